//! What a panel is called with next. Pure.
//!
//! A panel works on one call at a time, so one lane a panel decides which: blocks first, the oldest denial before the others; then
//! the list, when something waits for what it shows; then what somebody asked for; then the rest in the order in which it came.
//! Every account is compared with the one list of a cycle, and written only where something differs. Finding the next call looks
//! at no other account.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use secrecy::SecretString;

use super::{
    client::{Change, Entry, NewAccount, PanelError},
    difference,
    proof::{Need, Proof},
};
use crate::{
    gateway::{
        Leaving, Moment, Observation, Obstacle, RevocationProgress, Revoke, Target, TargetAccess, retry::Backoff,
    },
    model::user::AccountPresence,
};

/// A call that is to be made.
#[derive(Debug, Clone)]
pub(super) enum Call {
    /// Who is there.
    List,
    /// Kick an account and refuse its logins.
    Block(Arc<str>),
    /// Make an account.
    Add(Arc<str>, NewAccount),
    /// Bring an account in line.
    Change(Arc<str>, Change),
    /// Delete an account that nobody uses any more.
    Delete(Arc<str>),
    /// Read the links of this account, which say what everybody's are.
    Links(Arc<str>),
}

impl Call {
    pub(super) const fn operation(&self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Block(_) => "block",
            Self::Add(..) => "add",
            Self::Change(..) => "change",
            Self::Delete(_) => "delete",
            Self::Links(_) => "links",
        }
    }
}

/// What refuses an account's logins.
pub(super) fn block() -> Change {
    Change {
        blocked: Some(true),
        ..Change::default()
    }
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Next {
    /// Make this call, and say how it ended.
    Call(Call),
    /// There is nothing to do until then, or until a target is handed over.
    Wait(Instant),
}

/// How long links that were read are good.
const LINKS: Duration = Duration::from_secs(600);

/// How often the panel is asked who is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// While nothing is to be proved.
    pub(super) quiet: Duration,
    /// While a revocation waits for what is shown.
    pub(super) watchful: Duration,
}

/// An account that was handed over.
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
struct Managed {
    target: Target,
    proof: Option<Proof>,
    /// In which order it came.
    number: u64,
    /// Somebody waits for it.
    asked: bool,
    /// A list showed it with access as is wanted, and with nothing to change.
    agreed: bool,
    /// A list showed that people are let in as is wanted, whatever else waits until nobody is connected.
    open: bool,
    /// It was made or seen here since the start, so that somebody may have been let in.
    was_there: bool,
    /// It is somebody else's.
    foreign: bool,
    /// What keeps it from being brought in line, and when that is tried again.
    failing: Option<(PanelError, Instant, Backoff)>,
    /// Written since the last list.
    written: bool,
    /// Where its next call is found.
    filed: Filed,
}

/// Where the next call of an account is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Filed {
    #[default]
    Nowhere,
    Blocks(Timestamp),
    Looks,
    Deletes,
    Asked,
    Rest,
}

/// The last list.
#[derive(Default)]
struct Seen {
    begun: Option<Instant>,
    entries: HashMap<String, Entry>,
    /// Devices online, on all accounts.
    devices: u32,
}

/// What happened to accounts that the operator had brought in line, and that somebody else changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Drift {
    /// Accounts that are not there any more.
    pub(super) gone: usize,
    /// Accounts that are not as they were.
    pub(super) changed: usize,
}

/// What a list brought.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Accounts about which something became known.
    pub(super) completed: HashSet<String>,
    pub(super) drift: Drift,
}

pub(super) struct Lane {
    /// As the panel is called in what waits for its word.
    panel: String,
    pace: Pace,
    accounts: HashMap<Arc<str>, Managed>,
    seen: Seen,
    numbered: u64,
    blocks: BTreeSet<(Timestamp, Arc<str>)>,
    /// Revocations that wait for a list.
    looks: HashSet<Arc<str>>,
    deletes: BTreeSet<Arc<str>>,
    asked: BTreeSet<(u64, Arc<str>)>,
    rest: BTreeSet<(u64, Arc<str>)>,
    /// An account that lets people in, whose links can be read.
    witness: Option<Arc<str>>,
    /// Links were understood.
    has_links: bool,
    /// When links are to be read again.
    links_due: Option<Instant>,
    /// When the last list that was answered was begun.
    looked: Option<Instant>,
    /// Not before then is the panel called again: it failed as a whole.
    resting: Option<(PanelError, Instant)>,
    backoff: Backoff,
}

impl Lane {
    pub(super) fn new(panel: &str, pace: Pace) -> Self {
        Self {
            panel: panel.to_owned(),
            pace,
            accounts: HashMap::new(),
            seen: Seen::default(),
            numbered: 0,
            blocks: BTreeSet::new(),
            looks: HashSet::new(),
            deletes: BTreeSet::new(),
            asked: BTreeSet::new(),
            rest: BTreeSet::new(),
            witness: None,
            has_links: false,
            links_due: None,
            looked: None,
            resting: None,
            backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(10)),
        }
    }

    /// Takes a target. Answers whether there may be something to do.
    pub(super) fn submit(&mut self, account: &str, target: &Target, now: Moment) -> bool {
        let entry = self.seen.entries.get(account);
        let online = entry.map_or(0, |entry| entry.online);
        let key: Arc<str> = match self.accounts.get_key_value(account) {
            Some((_, managed)) if managed.target == *target => return false,
            Some((key, _)) => key.clone(),
            None => account.into(),
        };
        self.numbered += 1;
        let number = self.numbered;
        let managed = self.accounts.entry(key.clone()).or_insert_with(|| Managed {
            target: target.clone(),
            proof: None,
            number,
            asked: false,
            agreed: false,
            open: false,
            was_there: false,
            foreign: false,
            failing: None,
            written: false,
            filed: Filed::default(),
        });
        managed.target = target.clone();
        managed.failing = None;
        // What the status says was there may have let somebody in before this process began.
        let ours = entry.is_some_and(|entry| managed.is_ours(entry));
        managed.was_there |= ours || target.account.reported;
        if target.revoke.is_some() && self.resting.as_ref().is_some_and(|(error, _)| error.is_retryable()) {
            // A denial does not wait for what others ran into.
            self.resting = None;
        }
        if let Some(revoke) = target.revoke.as_ref().filter(|_| !managed.is_let_go())
            && managed.proof.as_ref().is_none_or(|proof| proof.below() < revoke.below)
        {
            managed.proof = Some(Proof::open(revoke, online));
        }
        // What was written since the last list was not read back.
        let read_back = self.seen.begun.is_some() && !managed.written;
        managed.agreed = read_back && managed.agrees(entry, now.utc);
        managed.open = read_back && managed.is_open(entry);
        self.file(&key, now);
        true
    }

    /// Somebody waits for this account.
    pub(super) fn ask(&mut self, account: &str, now: Moment) -> bool {
        let Some((key, managed)) = self.accounts.get_key_value(account) else {
            return false;
        };
        let (key, first) = (key.clone(), !managed.asked);
        if let Some(managed) = self.accounts.get_mut(&key) {
            managed.asked = true;
        }
        if first {
            self.file(&key, now);
        }
        first
    }

    pub(super) fn forget(&mut self, account: &str) {
        if let Some((key, managed)) = self.accounts.remove_entry(account) {
            self.unfile(&key, &managed);
        }
    }

    fn unfile(&mut self, key: &Arc<str>, managed: &Managed) {
        match managed.filed {
            Filed::Nowhere => {}
            Filed::Blocks(since) => drop(self.blocks.remove(&(since, key.clone()))),
            Filed::Looks => drop(self.looks.remove(key)),
            Filed::Deletes => drop(self.deletes.remove(key)),
            Filed::Asked => drop(self.asked.remove(&(managed.number, key.clone()))),
            Filed::Rest => drop(self.rest.remove(&(managed.number, key.clone()))),
        }
    }

    /// Puts an account where its next call is found.
    fn file(&mut self, key: &Arc<str>, now: Moment) {
        let Some(mut managed) = self.accounts.remove(key) else {
            return;
        };
        self.unfile(key, &managed);
        let waits = managed.failing.as_ref().is_some_and(|(_, until, _)| *until > now.at);
        let wants = managed.wants(self.seen.entry(key), self.seen.begun.is_some(), now.utc);
        managed.filed = match wants {
            _ if managed.foreign || (waits && !managed.is_denial()) => Filed::Nowhere,
            Wants::Nothing => Filed::Nowhere,
            Wants::Block => {
                let since = managed.proof.as_ref().map_or(now.utc, Proof::denied_at);
                self.blocks.insert((since, key.clone()));
                Filed::Blocks(since)
            }
            Wants::Look => {
                self.looks.insert(key.clone());
                Filed::Looks
            }
            Wants::Delete => {
                self.deletes.insert(key.clone());
                Filed::Deletes
            }
            Wants::Write if managed.asked => {
                self.asked.insert((managed.number, key.clone()));
                Filed::Asked
            }
            Wants::Write => {
                self.rest.insert((managed.number, key.clone()));
                Filed::Rest
            }
        };
        self.accounts.insert(key.clone(), managed);
    }

    /// What to do now.
    pub(super) fn next(&mut self, now: Moment) -> Next {
        if let Some((_, until)) = &self.resting
            && *until > now.at
        {
            return Next::Wait(*until);
        }
        if let Some((_, key)) = self.blocks.first() {
            return Next::Call(Call::Block(key.clone()));
        }
        let pace = if self.looks.is_empty() {
            self.pace.quiet
        } else {
            self.pace.watchful
        };
        let due = self.seen.begun.map(|begun| begun + pace);
        if due.is_none_or(|due| due <= now.at) {
            return Next::Call(Call::List);
        }
        if let Some(key) = self.deletes.first() {
            return Next::Call(Call::Delete(key.clone()));
        }
        if self.links_due.is_none_or(|due| due <= now.at)
            && let Some(witness) = &self.witness
        {
            return Next::Call(Call::Links(witness.clone()));
        }
        while let Some((_, key)) = self.asked.first().or_else(|| self.rest.first()).cloned() {
            if let Some(call) = self.write(&key, now.utc) {
                return Next::Call(call);
            }
            if let Some(managed) = self.accounts.get(&key) {
                let at = (managed.number, key);
                self.asked.remove(&at);
                self.rest.remove(&at);
            }
        }
        Next::Wait(due.unwrap_or(now.at))
    }

    /// The call that brings an account in line.
    fn write(&self, key: &Arc<str>, now: Timestamp) -> Option<Call> {
        let account = &self.accounts.get(key)?.target.account;
        Some(match self.seen.entry(key) {
            Some(entry) => {
                let change = difference::change(account, entry, now);
                (!change.is_empty()).then(|| Call::Change(key.clone(), change))?
            }
            None => Call::Add(key.clone(), difference::new(account, now)?),
        })
    }

    /// A list was answered that was begun at `begun`.
    pub(super) fn listed(&mut self, begun: Instant, entries: HashMap<String, Entry>, now: Moment) -> Listed {
        let mut listed = Listed::default();
        self.succeeded();
        let first = self.looked.replace(begun).is_none();
        self.seen = Seen {
            begun: Some(begun),
            devices: entries.values().map(|entry| entry.online).sum(),
            entries,
        };
        let keys: Vec<Arc<str>> = self.accounts.keys().cloned().collect();
        self.witness = None;
        for key in keys {
            let Some(managed) = self.accounts.get_mut(&key) else {
                continue;
            };
            let entry = self.seen.entries.get(&*key);
            let before = managed.facts(&self.panel);
            managed.foreign = entry.is_some_and(|entry| !managed.is_ours(entry));
            managed.was_there |= entry.is_some() && !managed.foreign;
            // Who is let in again is so on purpose, once the former sessions are proved gone.
            let granted = managed.target.access == TargetAccess::Granted;
            if let Some(proof) = managed.proof.as_mut().filter(|proof| !(granted && proof.is_over())) {
                let refused = managed.foreign || entry.is_none_or(|entry| entry.blocked);
                let devices = entry.filter(|_| !managed.foreign).map(|entry| entry.online);
                proof.looked(devices, refused, begun, now);
            }
            let agrees = managed.agrees(entry, now.utc);
            if managed.agreed && !agrees && !managed.written {
                match entry {
                    None => listed.drift.gone += 1,
                    Some(_) => listed.drift.changed += 1,
                }
            }
            if let Some(entry) = entry.filter(|entry| !entry.blocked && !managed.foreign) {
                managed.let_in_by_others(entry, now);
            }
            managed.agreed = agrees;
            managed.open = managed.is_open(entry);
            managed.written = false;
            if agrees {
                managed.asked = false;
                managed.failing = None;
            }
            if managed.open {
                self.witness.get_or_insert_with(|| key.clone());
            }
            if first || before != managed.facts(&self.panel) {
                listed.completed.insert(key.to_string());
            }
            self.file(&key, now);
        }
        listed
    }

    /// A write that was begun at `begun` ended.
    pub(super) fn wrote(
        &mut self,
        call: &Call,
        begun: Instant,
        result: Result<(), PanelError>,
        now: Moment,
    ) -> HashSet<String> {
        let (Call::Block(key) | Call::Add(key, _) | Call::Change(key, _) | Call::Delete(key)) = call else {
            return HashSet::new();
        };
        match result {
            // Where there is no such account, it kicks whoever is there under this name, and nobody can log in.
            Ok(()) | Err(PanelError::NoSuchAccount) => self.done(call, key, begun, now),
            Err(error) => self.failed(key, error, now),
        }
        self.file(key, now);
        HashSet::from([key.to_string()])
    }

    fn done(&mut self, call: &Call, key: &Arc<str>, begun: Instant, now: Moment) {
        self.succeeded();
        let Some(managed) = self.accounts.get_mut(key) else {
            return;
        };
        managed.failing = None;
        managed.written = true;
        match call {
            Call::Block(_) => {
                if let Some(proof) = &mut managed.proof {
                    proof.blocked(begun, now);
                }
                if let Some(entry) = self.seen.entries.get_mut(&**key) {
                    entry.blocked = true;
                }
            }
            Call::Add(_, new) => {
                managed.was_there = true;
                // Until the next list: what was acknowledged is not made twice.
                self.seen.entries.insert(key.to_string(), made(new));
            }
            Call::Change(_, change) => {
                if let Some(entry) = self.seen.entries.get_mut(&**key) {
                    apply(change, entry);
                }
            }
            Call::Delete(_) => {
                self.seen.entries.remove(&**key);
            }
            Call::List | Call::Links(_) => {}
        }
    }

    /// A call of one account failed. What is wrong with the panel as a whole rests the lane.
    fn failed(&mut self, key: &Arc<str>, error: PanelError, now: Moment) {
        let own = matches!(error, PanelError::Rejected { .. } | PanelError::Exists);
        if !own {
            self.unreachable(error, now);
            return;
        }
        if error == PanelError::Exists {
            // Somebody made it since the last list, or the answer to ours was lost: the next list says whose it is.
            self.seen.begun = None;
        }
        let Some(managed) = self.accounts.get_mut(key) else {
            return;
        };
        let mut backoff = managed.failing.take().map_or_else(
            || Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            |(_, _, backoff)| backoff,
        );
        let until = now.at + backoff.wait();
        managed.failing = Some((error, until, backoff));
    }

    /// The panel cannot be called, or its answer says nothing. What it was asked for may have been done: it is looked at again.
    pub(super) fn unreachable(&mut self, error: PanelError, now: Moment) {
        if error.may_be_done() {
            self.seen.begun = None;
        }
        let wait = if error.is_retryable() {
            self.backoff.wait()
        } else {
            self.backoff.longest()
        };
        self.resting = Some((error, now.at + wait));
    }

    fn succeeded(&mut self) {
        self.resting = None;
        self.backoff.reset();
    }

    /// What the last list showed may not be so any more.
    pub(super) const fn look_again(&mut self) {
        self.seen.begun = None;
    }

    /// Whether people are let in with this account, as a list showed.
    pub(super) fn lets_in(&self, account: &str) -> bool {
        self.accounts.get(account).is_some_and(|managed| managed.open)
    }

    /// The password of an account, as it was listed.
    pub(super) fn password(&self, account: &str) -> Option<SecretString> {
        Some(self.seen.entry(account)?.password.clone())
    }

    /// Links were read. Those of an account that was gone by then, or in a form that is not `understood`, are read again with the
    /// next cycle. Answers the accounts that wait for them: all that are there, the first time.
    pub(super) fn read_links(&mut self, understood: bool, now: Moment) -> HashSet<String> {
        self.succeeded();
        self.links_due = Some(now.at + if understood { LINKS } else { self.pace.quiet });
        let first = understood && !self.has_links;
        self.has_links |= understood;
        let there = self.accounts.iter().filter(|(_, managed)| first && managed.open);
        there.map(|(name, _)| name.to_string()).collect()
    }

    /// The operator's accounts among those that are listed.
    pub(super) fn ours(&self, entries: &HashMap<String, Entry>) -> Vec<Arc<str>> {
        let ours = self.accounts.iter().filter(|(name, managed)| {
            let entry = entries.get(&***name);
            entry.is_some_and(|entry| managed.is_ours(entry))
        });
        ours.map(|(name, _)| name.clone()).collect()
    }

    /// What keeps the panel from being called.
    pub(super) fn error(&self) -> Option<String> {
        self.resting.as_ref().map(|(error, _)| error.to_string())
    }

    /// Whether only a person can mend what keeps the panel from being called.
    pub(super) fn is_refused(&self) -> bool {
        self.resting.as_ref().is_some_and(|(error, _)| !error.is_retryable())
    }

    /// When the last list was begun, and how many devices it showed.
    pub(super) fn last_look(&self) -> Option<(Instant, u32)> {
        Some((self.looked?, self.seen.devices))
    }

    pub(super) fn observe(&self, account: &str) -> Observation {
        let managed = self.accounts.get(account);
        let entry = self.seen.entries.get(account);
        let looked = self.seen.begun.is_some();
        Observation {
            account: match managed {
                Some(managed) if managed.foreign => AccountPresence::Unknown,
                Some(managed) if managed.has_left(entry, looked) => AccountPresence::Absent,
                Some(managed) if managed.open || managed.target.access != TargetAccess::Granted => {
                    if entry.is_some() {
                        AccountPresence::Present
                    } else {
                        AccountPresence::Unknown
                    }
                }
                _ => AccountPresence::Unknown,
            },
            sessions: entry.map_or(0, |entry| entry.online),
            revocation: managed.and_then(|managed| managed.progress(&self.panel)),
            unprovable: Vec::new(),
            unusable: Vec::new(),
            obstacle: managed.and_then(Managed::obstacle),
            handed_over: Some(managed.map_or(0, |managed| managed.target.digest())),
            asked_to_leave: managed.is_some_and(|managed| managed.target.access == TargetAccess::Absent),
        }
    }
}

enum Wants {
    Nothing,
    Block,
    Look,
    Delete,
    Write,
}

impl Managed {
    fn is_denial(&self) -> bool {
        self.target.access != TargetAccess::Granted || self.proof.as_ref().is_some_and(|proof| !proof.is_over())
    }

    fn is_ours(&self, entry: &Entry) -> bool {
        self.was_there || self.target.account.reported || difference::is_ours(&self.target.account, entry)
    }

    /// It is not the operator's any more, as it is.
    fn is_let_go(&self) -> bool {
        self.target.access == TargetAccess::Absent && self.target.account.leaving == Leaving::Retain
    }

    fn obstacle(&self) -> Option<Obstacle> {
        if self.foreign {
            return Some(Obstacle::Foreign);
        }
        let (error, ..) = self.failing.as_ref()?;
        Some(Obstacle::Rejected(error.to_string()))
    }

    /// What others want to be told of when it changes. `panel`: whose word is missing.
    fn facts(&self, panel: &str) -> impl PartialEq + use<> {
        (self.agreed, self.open, self.foreign, self.progress(panel))
    }

    fn progress(&self, panel: &str) -> Option<RevocationProgress> {
        Some(self.proof.as_ref()?.progress(panel))
    }

    /// What has to be done, by the last list (`looked`: there was one).
    fn wants(&self, entry: Option<&Entry>, looked: bool, now: Timestamp) -> Wants {
        if self.is_let_go() {
            return Wants::Nothing;
        }
        if let Some(proof) = &self.proof {
            match proof.need(!self.was_there) {
                Need::Block => return Wants::Block,
                Need::Look => return Wants::Look,
                Need::Nothing => {}
            }
        }
        if !looked {
            return Wants::Look;
        }
        match (self.target.access, entry) {
            (TargetAccess::Granted, None) => Wants::Write,
            (TargetAccess::Granted, Some(entry)) => {
                let change = difference::change(&self.target.account, entry, now);
                // A change kicks: who is connected is left alone until nobody is, unless nobody can log in before.
                let waits = entry.online > 0 && change.blocked.is_none();
                if change.is_empty() || waits {
                    Wants::Nothing
                } else {
                    Wants::Write
                }
            }
            (TargetAccess::Absent, Some(_)) if self.target.account.leaving == Leaving::Delete => Wants::Delete,
            _ => Wants::Nothing,
        }
    }

    /// Whether people are let in as is wanted.
    fn is_open(&self, entry: Option<&Entry>) -> bool {
        let proved = self.proof.as_ref().is_none_or(Proof::is_over);
        let granted = proved && !self.foreign && self.target.access == TargetAccess::Granted;
        granted && entry.is_some_and(|entry| difference::lets_in(&self.target.account, entry))
    }

    /// Whether the panel is as is wanted.
    fn agrees(&self, entry: Option<&Entry>, now: Timestamp) -> bool {
        if self.proof.as_ref().is_some_and(|proof| !proof.is_over()) {
            return false;
        }
        match (self.target.access, entry) {
            (TargetAccess::Granted, Some(entry)) => difference::change(&self.target.account, entry, now).is_empty(),
            (TargetAccess::Granted, None) => false,
            (_, Some(entry)) => entry.blocked,
            (_, None) => true,
        }
    }

    fn has_left(&self, entry: Option<&Entry>, looked: bool) -> bool {
        let proved = self.is_let_go() || self.proof.as_ref().is_none_or(Proof::is_over);
        let gone = match self.target.account.leaving {
            Leaving::Retain => true,
            Leaving::Delete => looked && entry.is_none(),
            Leaving::Block => looked && entry.is_none_or(|entry| entry.blocked),
        };
        self.target.access == TargetAccess::Absent && proved && gone
    }

    /// A denied account lets people in, and nothing is under way against that: somebody else did it, at whatever time. It is cut as by
    /// a new order.
    fn let_in_by_others(&mut self, entry: &Entry, now: Moment) {
        if self.target.access == TargetAccess::Granted || self.proof.is_some() || self.is_let_go() {
            return;
        }
        let revoke = Revoke {
            below: self.target.epoch,
            denied_at: now.utc,
            known: Vec::new(),
            left_out: Vec::new(),
        };
        self.proof = Some(Proof::open(&revoke, entry.online));
        self.agreed = false;
    }
}

impl Seen {
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }
}

/// An account that was made, as a list would show it.
fn made(new: &NewAccount) -> Entry {
    Entry {
        password: new.password.clone(),
        limit: Some(u64::from(new.limit_gb) << 30).filter(|limit| *limit > 0),
        days: Some(new.days).filter(|days| *days > 0),
        created: None,
        blocked: false,
        unlimited: false,
        note: new.note.clone(),
        moved: (0, 0),
        online: 0,
    }
}

/// An account after a change, as a list would show it.
fn apply(change: &Change, entry: &mut Entry) {
    if let Some(blocked) = change.blocked {
        entry.blocked = blocked;
    }
    if let Some(password) = &change.password {
        entry.password = password.clone();
    }
    if let Some(gb) = change.limit_gb {
        entry.limit = Some(u64::from(gb) << 30).filter(|limit| *limit > 0);
    }
    if let Some(days) = change.days {
        entry.days = Some(days).filter(|days| *days > 0);
    }
    if let Some(unlimited) = change.unlimited {
        entry.unlimited = unlimited;
    }
    if let Some(note) = &change.note {
        note.clone_into(&mut entry.note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_are_not_understood_are_read_again_with_the_next_cycle() {
        let pace = Pace {
            quiet: Duration::from_secs(30),
            watchful: Duration::from_secs(2),
        };
        let mut lane = Lane::new("default/panel", pace);
        let now = Moment {
            at: Instant::now(),
            utc: Timestamp::UNIX_EPOCH,
        };
        lane.listed(now.at, HashMap::new(), now);
        lane.witness = Some("corp_a".into());
        let reads = |lane: &mut Lane, after: u64| {
            let at = now.at + Duration::from_secs(after);
            // Lists are not what this is about.
            lane.seen.begun = Some(at);
            matches!(lane.next(Moment { at, ..now }), Next::Call(Call::Links(_)))
        };
        assert!(reads(&mut lane, 0));
        lane.read_links(false, now);
        assert!(!reads(&mut lane, 29) && reads(&mut lane, 30));
        lane.read_links(true, now);
        assert!(!reads(&mut lane, 599) && reads(&mut lane, 600));
    }
}
