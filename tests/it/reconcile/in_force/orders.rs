//! Orders and feeds: holds that are placed, lifted and lost, and what is answered about them.

use std::sync::Arc;

use vpn_operator::model::{
    RELEASED,
    access::HoldSpan,
    hold::{VpnHold, VpnHoldSpec, hold_name},
};

use super::{
    adapter,
    edits::Edit,
    leader::Question,
    ledger::{Standing, Waiting},
    listener::Event,
    stores::{id, new_hold, time},
    world::{Mode, World},
};

/// Who gives orders: the API, the command line, and a help desk that writes objects itself.
pub const SOURCES: [&str; 3] = ["api", "cli", "helpdesk"];
/// The automatic feeds.
pub const FEEDS: [&str; 2] = ["hr", "scim"];

/// When a hold denies: from and until so many seconds from now.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    pub from: Option<i64>,
    pub until: Option<i64>,
}

impl World {
    /// An order. The help desk writes objects itself, everybody else asks a running operator.
    pub fn order(&mut self, who: usize, source: &'static str, span: Span, flip: bool) {
        let by_hand = source == SOURCES[2];
        if self.leader.is_none() && !(by_hand && self.mode == Mode::Cluster) {
            return;
        }
        let name = self.place(who, source, "deactivated", span, by_hand);
        self.ask(&name);
        if flip && !by_hand {
            self.edit(std::iter::once(who), &Edit::Active(false));
        }
    }

    /// A feed asks a running operator.
    pub fn feed(&mut self, who: usize, source: &'static str, span: Span) {
        if self.leader.is_some() {
            let name = self.place(who, source, "dismissed", span, false);
            self.ask(&name);
        }
    }

    /// Places a hold, and answers its name. One that is there and stays does the same work.
    fn place(&mut self, who: usize, source: &'static str, cause: &str, span: Span, by_hand: bool) -> String {
        let [from, until] = [span.from, span.until].map(|at| at.map(|seconds| self.later(seconds)));
        let mut name = hold_name(source, cause, &id(who));
        let taken = self.objects().holds.get(&name);
        if let Some(hold) = taken {
            let stays =
                hold.metadata.deletion_timestamp.is_none() && (hold.spec.from, hold.spec.until) == (from, until);
            if stays && self.ledger.holds.contains_key(&name) {
                return name;
            }
            name = hold_name(source, &format!("{cause}{}", self.number()), &id(who));
        }
        let spec = VpnHoldSpec {
            corporate_id: id(who),
            source: source.to_owned(),
            reason: None,
            from,
            until,
        };
        let object = match self.mode {
            Mode::Folder => None,
            Mode::Cluster => Some(new_hold(&name, spec.clone(), self.number(), self.now())),
        };
        let standing = Standing {
            who,
            source,
            span: HoldSpan { from, until },
            own: self.mode == Mode::Folder && !by_hand,
            uid: object.as_ref().and_then(|hold| hold.metadata.uid.clone()),
            told: false,
            lost: false,
            stays: false,
        };
        self.ledger.held(&name, standing);
        match object {
            Some(hold) => self.put_hold(hold),
            None if by_hand => self.documents.write(|it| drop(it.holds.insert(name.clone(), spec))),
            None => self.files.write(|files| drop(files.insert(name.clone(), spec))),
        }
        self.read_folder();
        name
    }

    fn ask(&mut self, name: &str) {
        if let Some(leader) = &mut self.leader {
            leader.questions.push(Question {
                hold: name.to_owned(),
                needs: None,
            });
        }
    }

    /// Answers those who wait: about an order as soon as it was seen, about a feed's hold when what the guard decided about it
    /// is kept.
    pub fn answer(&mut self) {
        let present = self.objects().clone();
        let Some(leader) = &mut self.leader else { return };
        let (latest, kept) = (leader.latest, leader.kept);
        for question in std::mem::take(&mut leader.questions) {
            let Some(standing) = self.ledger.holds.get_mut(&question.hold) else {
                continue;
            };
            let present = present.holds.get(&question.hold).map(|hold| &hold.metadata.uid);
            let is_this = |hold: &&Arc<VpnHold>| {
                Some(&hold.metadata.uid) == present && hold.metadata.deletion_timestamp.is_none()
            };
            let Some(seen) = leader.listener.seen.holds.get(&question.hold).filter(is_this) else {
                leader.questions.push(question);
                continue;
            };
            // What is answered was read before it was waited for what the guard knew then.
            let waits = adapter::hold_waits(&leader.listener.roster, seen);
            let read = question.needs.filter(|(_, it)| *it == waits).unwrap_or((latest, waits));
            if standing.is_order() {
                standing.told |= !leader.listener.lets_in_anywhere(standing.who);
            } else if read.0 > kept {
                leader.questions.push(Question {
                    needs: Some(read),
                    ..question
                });
            } else if waits {
                let who = standing.who;
                let person = leader.listener.roster.person(&id(who));
                if person.is_some_and(|person| adapter::waits(&person)) {
                    let fresh = Waiting { by_guard: true };
                    self.ledger.waiting.entry(who).or_insert(fresh);
                }
            } else {
                standing.told = true;
            }
        }
    }

    pub fn release_nth(&mut self, nth: usize) {
        let names: Vec<String> = self.ledger.holds.keys().cloned().collect();
        if let Some(name) = nth.checked_rem(names.len()).and_then(|at| names.get(at)) {
            self.release(name);
        }
    }

    /// The source lifts its hold, by the API or, where people declared it, by taking the document away.
    fn release(&mut self, name: &str) {
        let Some(standing) = self.ledger.holds.get(name).cloned() else {
            return;
        };
        let in_documents = self.documents.get().holds.contains_key(name);
        if self.leader.is_none() || standing.lost {
            return;
        }
        match self.mode {
            Mode::Folder if in_documents => {
                self.ledger.lost(name, false);
                self.documents.write(|it| drop(it.holds.remove(name)));
                self.read_folder();
            }
            Mode::Folder => {
                self.ledger.lifted(name);
                self.files.write(|files| drop(files.remove(name)));
                let name = name.to_owned();
                self.change(vec![Event::HoldGone { name, released: true }]);
                self.write_record();
                if let Some(leader) = &mut self.leader {
                    leader.listener.hear(usize::MAX, usize::MAX);
                }
            }
            Mode::Cluster => {
                self.ledger.lifted(name);
                let now = self.now();
                if let Some(hold) = self.record.get().holds.get(name) {
                    let mut hold = (**hold).clone();
                    hold.metadata.annotations = Some([(RELEASED.to_owned(), "true".to_owned())].into());
                    hold.metadata.deletion_timestamp = time(now);
                    self.put_hold(hold);
                    let name = name.to_owned();
                    self.change(vec![Event::HoldGone { name, released: true }]);
                }
            }
        }
    }

    pub fn activate(&mut self, who: usize) {
        if self.leader.is_none() {
            return;
        }
        let of_api = |it: &Standing| it.who == who && it.source == SOURCES[0];
        let names = self
            .ledger
            .holds
            .iter()
            .filter(|(_, it)| of_api(it))
            .map(|(name, _)| name.clone());
        for name in names.collect::<Vec<_>>() {
            self.release(&name);
        }
        self.edit(std::iter::once(who), &Edit::Active(true));
    }

    /// Holds go without having been lifted: objects are deleted, files removed, documents taken away.
    pub fn lose_holds(&mut self, first: usize, count: usize) {
        let all: Vec<(String, bool)> = self
            .ledger
            .holds
            .iter()
            .map(|(name, it)| (name.clone(), it.own))
            .collect();
        let names: Vec<(String, bool)> = all
            .iter()
            .cycle()
            .skip(first)
            .take(count.min(all.len()))
            .cloned()
            .collect();
        let there: Vec<(String, bool)> = names
            .into_iter()
            .filter(|(name, _)| !self.ledger.holds[name].lost)
            .collect();
        for (name, own) in &there {
            self.ledger.lost(name, *own);
        }
        let is_lost = |name: &String| there.iter().any(|(lost, _)| lost == name);
        match self.mode {
            Mode::Folder => {
                self.files.write(|files| files.retain(|name, _| !is_lost(name)));
                self.documents
                    .write(|documents| documents.holds.retain(|name, _| !is_lost(name)));
                self.read_folder();
            }
            Mode::Cluster => {
                let now = self.now();
                let mut events = Vec::new();
                for (name, _) in there {
                    let Some(hold) = self.record.get().holds.get(&name) else {
                        continue;
                    };
                    let mut hold = (**hold).clone();
                    if hold.metadata.finalizers.is_none() {
                        events.push(Event::HoldGone { name, released: false });
                        continue;
                    }
                    hold.metadata.deletion_timestamp = time(now);
                    events.push(self.stamped_hold(hold));
                }
                self.change(events);
            }
        }
    }
}
