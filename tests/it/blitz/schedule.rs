//! An operator, a panel and devices to which a schedule of events happens.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use vpn_operator::{
    gateway::{Account, TargetAccess},
    model::user::AccountPresence,
};

use super::{
    events::{Event, Hand, NAMES, STRANGERS, stranger},
    house::{Busy, House, TOKEN, account, password},
};
use crate::support::blitz::{Account as Stored, BlitzPanel, GB, Op};

/// A schedule under way.
pub struct Run {
    pub house: House,
    wanted: [TargetAccess; NAMES.len()],
    pub devices: Vec<(&'static str, Busy)>,
    backup: BTreeMap<String, Stored>,
    traffic_api_down: bool,
    /// Whose account the last report says is there, and who was ever handed a link.
    reported: [bool; NAMES.len()],
    linked: [bool; NAMES.len()],
}

impl Run {
    pub async fn begin() -> Self {
        let panel = BlitzPanel::start(TOKEN).await;
        // A call takes some milliseconds, so that something can happen in the middle of it.
        panel.set_pace(0.001);
        panel.set_gap(0.5);
        for name in STRANGERS {
            panel.database().accounts.insert(name.to_owned(), stranger());
        }
        let run = Self {
            house: House::at(panel, Arc::default()),
            wanted: [TargetAccess::Denied; NAMES.len()],
            devices: Vec::new(),
            backup: BTreeMap::new(),
            traffic_api_down: false,
            reported: [false; NAMES.len()],
            linked: [false; NAMES.len()],
        };
        run.tell();
        run
    }

    /// Tells a process that just began what it is to know.
    fn tell(&self) {
        for (name, access) in NAMES.iter().zip(self.wanted) {
            self.order(name, access, access != TargetAccess::Granted);
        }
        // A person whose account is somebody else's.
        self.order(STRANGERS[1], TargetAccess::Granted, false);
    }

    fn order(&self, name: &str, access: TargetAccess, revoke: bool) {
        let who = NAMES.iter().position(|it| *it == name);
        let reported = who.is_some_and(|who| self.reported[who]);
        let account = Account {
            reported,
            ..account(name)
        };
        self.house.submit(name, access, account, revoke);
    }

    /// What the operator writes into the statuses.
    fn is_reported(&mut self) {
        for (who, name) in NAMES.iter().enumerate() {
            self.reported[who] = match self.house.observe(name).account {
                AccountPresence::Present => true,
                AccountPresence::Absent | AccountPresence::Foreign => false,
                AccountPresence::Unknown => self.reported[who],
            };
            self.linked[who] |= self.reported[who];
        }
    }

    /// A panel that loses an account does not list its devices any more. Nobody can find those who were let in by others while
    /// nothing said that there was an account.
    fn unseen_devices_leave(&self) {
        let unreported = |name: &str| {
            NAMES
                .iter()
                .zip(self.reported)
                .any(|(it, reported)| *it == name && !reported)
        };
        for (_, device) in self.devices.iter().filter(|(name, _)| unreported(name)) {
            device.leave();
        }
    }

    pub fn want(&mut self, who: usize, access: TargetAccess, revoke: bool) {
        self.wanted[who] = access;
        self.order(NAMES[who], access, revoke);
    }

    async fn crash(self) -> Self {
        let sink = self.house.sink.clone();
        let run = Self {
            house: House::at(self.house.stop().await, sink),
            ..self
        };
        run.tell();
        run
    }

    pub fn panel(&self) -> &Arc<BlitzPanel> {
        &self.house.panel
    }

    fn edit(&self, who: usize, hand: Hand) {
        let mut database = self.panel().database();
        if matches!(hand, Hand::Delete) {
            database.accounts.remove(NAMES[who]);
        }
        let Some(it) = database.accounts.get_mut(NAMES[who]) else {
            return;
        };
        match hand {
            Hand::LetIn => it.blocked = false,
            Hand::Block => it.blocked = true,
            Hand::Password => "theirs".clone_into(&mut it.password),
            Hand::Note => it.note = None,
            Hand::Limits => (it.max_download_bytes, it.expiration_days, it.unlimited_user) = (GB, 3, true),
            Hand::Delete => {}
        }
    }

    pub fn back_up(&mut self) {
        let accounts = self.panel().database().accounts.clone();
        self.backup = accounts;
    }

    fn strangers(&self) -> BTreeMap<String, Stored> {
        let database = self.panel().database();
        let theirs = |name: &&str| Some(((*name).to_owned(), database.accounts.get(*name)?.clone()));
        STRANGERS.iter().filter_map(theirs).collect()
    }

    pub async fn happens(mut self, event: Event) -> Self {
        self.is_reported();
        match event {
            Event::Grant(who) => self.want(who, TargetAccess::Granted, false),
            Event::Deny(who) => self.want(who, TargetAccess::Denied, true),
            Event::Rotate(who) => {
                let access = self.wanted[who];
                self.want(who, access, true);
            }
            Event::Leave(who) => self.want(who, TargetAccess::Absent, true),
            Event::Crash => self = self.crash().await,
            Event::CrashInCall => {
                let before = self.panel().calls().len();
                // A quiet operator makes no call but its lists, and those it does make.
                let _ = tokio::time::timeout(Duration::from_millis(300), async {
                    while self.panel().calls().len() == before {
                        tokio::task::yield_now().await;
                    }
                })
                .await;
                self = self.crash().await;
            }
            Event::Clock(seconds) => self.house.clock.step(seconds),
            Event::Hand(who, hand) => {
                if matches!(hand, Hand::Delete) {
                    self.unseen_devices_leave();
                }
                self.edit(who, hand);
            }
            Event::Reset => {
                self.unseen_devices_leave();
                let strangers = self.strangers();
                self.panel().database().accounts = strangers;
            }
            Event::Backup => self.back_up(),
            Event::Restore if !self.backup.is_empty() => {
                self.unseen_devices_leave();
                self.panel().database().accounts = self.backup.clone();
            }
            Event::Restore => {}
            Event::Fault(at, fault) => self.panel().fail_call(self.panel().calls().len() + at, fault),
            Event::Stumble(who, status, times) => self.panel().stumble(NAMES[who], status, times),
            Event::TrafficApi => {
                if self.traffic_api_down {
                    self.panel().node().bring_up().await;
                } else {
                    self.panel().node().take_down().await;
                }
                self.traffic_api_down = !self.traffic_api_down;
            }
        }
        self
    }

    /// Everybody tries to get in, and stays busy then.
    pub async fn devices_come(&mut self) {
        self.is_reported();
        for name in NAMES.into_iter().zip(self.linked).filter(|it| it.1).map(|it| it.0) {
            let credential = format!("{name}:{}", password(name));
            if let Ok(session) = self.panel().connect(&credential, "192.0.2.1:1").await {
                self.devices.push((name, Busy::begin(self.panel(), name, session)));
            }
        }
    }

    /// A call that is never answered ends when somebody restarts the panel.
    async fn end_what_hangs(&self) {
        if self.panel().hanging() > 0 {
            self.panel().take_down().await;
            self.panel().bring_up();
        }
    }

    pub async fn eventually(&self, what: &str, is_so: impl Fn() -> bool) {
        for _ in 0..6000 {
            if is_so() {
                return;
            }
            self.end_what_hangs().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let calls = self.panel().calls();
        let last: Vec<_> = calls.iter().rev().take(12).map(|call| (call.op, &call.name)).collect();
        let seen = NAMES.map(|name| {
            (
                self.house.observe(name),
                self.panel().account(name).map(|it| it.blocked),
            )
        });
        panic!(
            "never: {what}; wanted {:?}, seen {seen:?}, last calls {last:?}",
            self.wanted
        );
    }

    /// So many lists are answered that were begun from now on.
    pub async fn cycles(&self, lists: usize) {
        let before = self.panel().count(Op::List);
        self.eventually("lists", || self.panel().count(Op::List) > before + lists + 1)
            .await;
    }

    pub fn is_as_wanted(&self, who: usize) -> bool {
        let name = NAMES[who];
        let stored = self.panel().account(name);
        let there = self.house.observe(name).account;
        match self.wanted[who] {
            TargetAccess::Granted => {
                there == AccountPresence::Present
                    && stored.is_some_and(|it| !it.blocked && it.password == password(name) && !it.unlimited_user)
            }
            TargetAccess::Denied => self.house.is_zero(name) && stored.is_none_or(|it| it.blocked),
            TargetAccess::Absent => there == AccountPresence::Absent && stored.is_none(),
        }
    }

    /// They agree: first about those who must not be in, while everybody is busy, then about the others, once devices leave that
    /// what can wait waits for.
    pub async fn agree(&mut self) {
        let denied = |who: &usize| self.wanted[*who] != TargetAccess::Granted;
        for who in (0..NAMES.len()).filter(denied) {
            self.eventually(&format!("{} is out", NAMES[who]), || self.is_as_wanted(who))
                .await;
            let online = self.panel().node().online();
            assert_eq!(online.get(NAMES[who]), None, "{} is denied, and online", NAMES[who]);
        }
        for (_, device) in &self.devices {
            device.leave();
        }
        for (who, name) in NAMES.iter().enumerate() {
            self.eventually(&format!("{name} is as wanted"), || self.is_as_wanted(who))
                .await;
        }
    }

    pub async fn run(events: Vec<Event>) {
        let mut run = Self::begin().await;
        let hands = |event: &Event| {
            matches!(
                event,
                Event::Hand(..) | Event::Restore | Event::Crash | Event::CrashInCall
            )
        };
        let conflicts_happen = events.iter().any(hands);
        for event in events {
            run = run.happens(event).await;
            run.devices_come().await;
            run.end_what_hangs().await;
        }
        if run.traffic_api_down {
            run = run.happens(Event::TrafficApi).await;
        }
        run.agree().await;
        // What agrees is left alone.
        run.panel().mend();
        let before = run.house.writes().len();
        run.cycles(2).await;
        let writes = run.house.writes();
        assert_eq!(writes.len(), before, "{:?}", &writes[before..]);
        assert!(
            conflicts_happen || run.panel().conflicts() == 0,
            "an account was made twice"
        );
        assert_eq!(
            run.strangers(),
            STRANGERS.map(|name| (name.to_owned(), stranger())).into()
        );
        let touched = |name: &str| STRANGERS.contains(&name);
        assert!(!writes.iter().any(|call| call.op != Op::Add && touched(&call.name)));
        run.house.stop().await;
    }

    /// Kills the operator when the panel takes up the call of this number, unless they agree before that.
    pub async fn killed_at(mut self, call: usize) -> Self {
        loop {
            if self.panel().calls().len() > call {
                self = self.crash().await;
                break;
            }
            if (0..NAMES.len()).all(|who| self.is_as_wanted(who)) {
                break;
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        for who in (0..NAMES.len()).filter(|who| self.wanted[*who] == TargetAccess::Granted) {
            self.eventually("granted", || self.is_as_wanted(who)).await;
        }
        self
    }
}
