//! Whatever goes wrong between operator and panel, they agree in the end, and nobody who is denied gets in.
//!
//! `PROPTEST_CASES` says how many random schedules are tried, 16 if it is not set: each waits for calls that take their time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;
use vpn_operator::{
    gateway::{Account, Gateway as _, TargetAccess},
    model::user::AccountPresence,
};

use super::house::{Busy, House, TOKEN, account, eventually, password};
use crate::support::blitz::{Account as Stored, BlitzPanel, Fault, GB, Op};

const NAMES: [&str; 3] = ["corp_a", "corp_b", "corp_c"];
/// Somebody else's, of which nothing may ever change.
const STRANGERS: [&str; 2] = ["guest", "corp_d"];

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Dropped),
        Just(Fault::AnswerLost),
        Just(Fault::HalfDone),
        Just(Fault::DoesNothing),
        Just(Fault::Truncated),
        Just(Fault::Hang),
        Just(Fault::Status(500)),
        Just(Fault::Status(502)),
        Just(Fault::Status(400)),
        Just(Fault::Status(422)),
        Just(Fault::SlowBody(Duration::from_millis(10))),
    ]
}

/// What people do to an account at the panel, or the panel by itself.
#[derive(Debug, Clone, Copy)]
enum Hand {
    LetIn,
    Block,
    Password,
    Note,
    Limits,
    Delete,
}

#[derive(Debug, Clone)]
enum Event {
    Grant(usize),
    Deny(usize),
    Rotate(usize),
    Leave(usize),
    /// The operator is killed and starts again.
    Crash,
    /// It is killed in the middle of the next call.
    CrashInCall,
    /// The wall clock is set.
    Clock(i64),
    Hand(usize, Hand),
    /// The panel loses everything.
    Reset,
    /// Somebody keeps a copy of the panel's database, or puts the last one back.
    Backup,
    Restore,
    Fault(usize, Fault),
    /// The panel cannot do anything about this account for a while.
    Stumble(usize, u16, usize),
    /// Hysteria's traffic API is away until the next of these.
    TrafficApi,
}

fn hand() -> impl Strategy<Value = Hand> {
    prop_oneof![
        2 => Just(Hand::LetIn),
        1 => Just(Hand::Block),
        1 => Just(Hand::Password),
        1 => Just(Hand::Note),
        1 => Just(Hand::Limits),
        1 => Just(Hand::Delete),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let who = 0..NAMES.len();
    prop_oneof![
        4 => who.clone().prop_map(Event::Grant),
        4 => who.clone().prop_map(Event::Deny),
        1 => who.clone().prop_map(Event::Rotate),
        2 => who.clone().prop_map(Event::Leave),
        1 => Just(Event::Crash),
        2 => Just(Event::CrashInCall),
        1 => (-40 * 86_400..40 * 86_400i64).prop_map(Event::Clock),
        2 => (who.clone(), hand()).prop_map(|(who, hand)| Event::Hand(who, hand)),
        1 => Just(Event::Reset),
        1 => Just(Event::Backup),
        1 => Just(Event::Restore),
        6 => (0..6usize, fault()).prop_map(|(at, fault)| Event::Fault(at, fault)),
        1 => (who, prop_oneof![Just(400u16), Just(422), Just(500)], 1..5usize)
            .prop_map(|(who, status, times)| Event::Stumble(who, status, times)),
        1 => Just(Event::TrafficApi),
    ]
}

fn stranger() -> Stored {
    Stored {
        password: "made-by-hand".to_owned(),
        max_download_bytes: 7 * GB,
        expiration_days: 90,
        account_creation_date: None,
        blocked: false,
        unlimited_user: true,
        note: Some("call before 10".to_owned()),
        upload_bytes: None,
        download_bytes: None,
        online_count: 0,
    }
}

/// A schedule under way.
struct Run {
    house: House,
    wanted: [TargetAccess; NAMES.len()],
    devices: Vec<(&'static str, Busy)>,
    backup: BTreeMap<String, Stored>,
    traffic_api_down: bool,
    /// Whose account the last report says is there, and who was ever handed a link.
    reported: [bool; NAMES.len()],
    linked: [bool; NAMES.len()],
}

impl Run {
    async fn begin() -> Self {
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

    fn want(&mut self, who: usize, access: TargetAccess, revoke: bool) {
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

    fn panel(&self) -> &Arc<BlitzPanel> {
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

    fn back_up(&mut self) {
        let accounts = self.panel().database().accounts.clone();
        self.backup = accounts;
    }

    fn strangers(&self) -> BTreeMap<String, Stored> {
        let database = self.panel().database();
        let theirs = |name: &&str| Some(((*name).to_owned(), database.accounts.get(*name)?.clone()));
        STRANGERS.iter().filter_map(theirs).collect()
    }

    async fn happens(mut self, event: Event) -> Self {
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
    async fn devices_come(&mut self) {
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

    async fn eventually(&self, what: &str, is_so: impl Fn() -> bool) {
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
    async fn cycles(&self, lists: usize) {
        let before = self.panel().count(Op::List);
        self.eventually("lists", || self.panel().count(Op::List) > before + lists + 1)
            .await;
    }

    fn is_as_wanted(&self, who: usize) -> bool {
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
    async fn agree(&mut self) {
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

    async fn run(events: Vec<Event>) {
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
}

fn on_a_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work);
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(16),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn they_agree_in_the_end_and_nobody_who_is_denied_is_online(events in proptest::collection::vec(event(), 1..14)) {
        on_a_runtime(Run::run(events));
    }
}

/// The panel loses everything, or has an older state again, while calls go wrong and the operator is killed.
fn disaster() -> impl Strategy<Value = Event> {
    let not_done = |fault: &Fault| !matches!(fault, Fault::Hang);
    prop_oneof![
        2 => Just(Event::Reset),
        2 => Just(Event::Backup),
        2 => Just(Event::Restore),
        1 => Just(Event::Crash),
        1 => Just(Event::CrashInCall),
        1 => (-86_400..86_400i64).prop_map(Event::Clock),
        1 => (0..3usize).prop_map(|who| Event::Hand(who, Hand::Note)),
        1 => (0..3usize).prop_map(|who| Event::Hand(who, Hand::Delete)),
        4 => (0..6usize, fault().prop_filter("it is answered", not_done)).prop_map(|(at, fault)| Event::Fault(at, fault)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: config().cases.div_ceil(4), ..config() })]

    #[test]
    fn a_panel_that_is_reset_or_restored_disconnects_nobody_who_is_granted(events in proptest::collection::vec(disaster(), 1..10)) {
        on_a_runtime(async move {
            let mut run = Run::begin().await;
            for who in 0..NAMES.len() {
                run.want(who, TargetAccess::Granted, false);
            }
            for who in 0..NAMES.len() {
                run.eventually("granted", || run.is_as_wanted(who)).await;
            }
            // The state that an older backup has is one in which they had access.
            run.back_up();
            run.devices_come().await;
            assert_eq!(run.devices.len(), NAMES.len());
            let kicked = run.panel().node().kicked().len();
            for event in events {
                run = run.happens(event).await;
            }
            run.cycles(2).await;
            assert_eq!(run.panel().node().kicked().len(), kicked, "somebody was kicked");
            assert!(run.devices.iter().all(|(_, device)| !device.is_out()));
            run.agree().await;
            run.house.stop().await;
        });
    }
}

#[test]
fn an_operator_that_is_killed_at_whichever_call_leaves_nobody_in_who_is_denied() {
    on_a_runtime(async {
        for call in 0..24 {
            let mut run = Run::begin().await;
            for who in 0..NAMES.len() {
                run.want(who, TargetAccess::Granted, false);
            }
            run = run.killed_at(call).await;
            run.devices_come().await;
            run.devices_come().await;
            let before = run.panel().calls().len();
            run.want(0, TargetAccess::Denied, true);
            run.want(1, TargetAccess::Absent, true);
            run.want(2, TargetAccess::Granted, true);
            run = run.killed_at(before + call).await;
            run.agree().await;
            assert_eq!(run.panel().conflicts(), 0, "killed at {call}");
            run.house.stop().await;
        }
    });
}

impl Run {
    /// Kills the operator when the panel takes up the call of this number, unless they agree before that.
    async fn killed_at(mut self, call: usize) -> Self {
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

#[tokio::test]
async fn an_account_that_the_panel_stumbles_over_holds_up_nobody_else() {
    let house = House::new().await;
    for name in NAMES {
        house.grant(name);
    }
    eventually("there", || NAMES.iter().all(|name| house.panel.account(name).is_some())).await;
    house.lists(1).await;
    // The first to be denied, and the first that is made.
    house.panel.stumble("corp_a", 400, usize::MAX);
    house.panel.stumble("corp_first", 500, usize::MAX);
    house.deny("corp_a");
    house.grant("corp_first");
    for name in ["corp_b", "corp_c"] {
        house.deny(name);
    }
    for n in 0..20 {
        house.grant(&format!("corp_{n}"));
    }
    for name in ["corp_b", "corp_c"] {
        eventually(name, || house.is_zero(name)).await;
    }
    eventually("made", || house.panel.database().accounts.len() == 23).await;
    assert!(!house.is_zero("corp_a"));
    eventually("it is said", || house.observe("corp_first").obstacle.is_some()).await;
    house.panel.mend();
    eventually("in the end", || {
        house.is_zero("corp_a") && house.panel.account("corp_first").is_some()
    })
    .await;
    house.stop().await;
}

#[tokio::test]
async fn links_that_cannot_be_read_hold_up_nobody() {
    let house = House::new().await;
    for _ in 0..50 {
        house.panel.fail_next(Op::UriBulk, Fault::Status(400));
    }
    house.grant("corp_a");
    eventually("there", || house.observe("corp_a").account == AccountPresence::Present).await;
    for n in 0..20 {
        house.grant(&format!("corp_{n}"));
    }
    eventually("made", || house.panel.database().accounts.len() == 21).await;
    assert!(
        house.panel.count(Op::UriBulk) < 10,
        "{}",
        house.panel.count(Op::UriBulk)
    );
    house.stop().await;
}

#[tokio::test]
async fn an_account_that_was_deleted_does_not_come_back_with_an_older_backup() {
    let house = House::new().await;
    house.grant("corp_a");
    eventually("there", || house.observe("corp_a").account == AccountPresence::Present).await;
    let backup = house.panel.database().accounts.clone();
    house.submit("corp_a", TargetAccess::Absent, account("corp_a"), true);
    eventually("gone", || house.observe("corp_a").account == AccountPresence::Absent).await;
    // Nothing more is to be known of somebody who is gone.
    house.gateway.forget("corp_a");
    house.panel.database().accounts = backup;
    let session = house.connect("corp_a").await;
    let device = Busy::begin(&house.panel, "corp_a", session);
    eventually("out", || device.is_out()).await;
    eventually("deleted again", || house.panel.account("corp_a").is_none()).await;
    // A stranger's account of that name is another matter.
    house.panel.database().accounts.insert("corp_a".to_owned(), stranger());
    house.lists(2).await;
    assert_eq!(house.panel.account("corp_a"), Some(stranger()));
    house.stop().await;
}

#[tokio::test]
async fn two_operators_at_one_panel_that_want_the_same_let_nobody_in_who_is_denied() {
    let one = House::new().await;
    let two = House::at(one.panel.clone(), Arc::default());
    for house in [&one, &two] {
        for name in NAMES {
            house.grant(name);
        }
    }
    for house in [&one, &two] {
        for name in NAMES {
            eventually(name, || house.observe(name).account == AccountPresence::Present).await;
        }
    }
    let session = one.connect("corp_a").await;
    let device = Busy::begin(&one.panel, "corp_a", session);
    for house in [&one, &two] {
        house.deny("corp_a");
        house.submit("corp_b", TargetAccess::Absent, account("corp_b"), true);
    }
    for house in [&one, &two] {
        eventually("zero", || house.is_zero("corp_a")).await;
        eventually("left", || house.observe("corp_b").account == AccountPresence::Absent).await;
    }
    assert!(device.is_out() && one.panel.account("corp_a").unwrap().blocked);
    assert!(one.panel.account("corp_b").is_none());
    let (before, lists) = (one.writes().len(), one.panel.count(Op::List));
    eventually("lists", || one.panel.count(Op::List) > lists + 4).await;
    assert_eq!(one.writes().len(), before, "they do not work against each other");
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn two_operators_at_one_panel_with_people_of_their_own_leave_the_others_alone() {
    let one = House::new().await;
    let two = House::at(one.panel.clone(), Arc::default());
    one.grant("corp_a");
    two.grant("corp_b");
    eventually("there", || one.observe("corp_a").account == AccountPresence::Present).await;
    eventually("there", || two.observe("corp_b").account == AccountPresence::Present).await;
    one.deny("corp_a");
    eventually("zero", || one.is_zero("corp_a")).await;
    one.lists(2).await;
    assert!(!one.panel.account("corp_b").unwrap().blocked && one.panel.account("corp_a").unwrap().blocked);
    one.stop().await;
    two.stop().await;
}
