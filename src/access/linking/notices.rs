//! What linked people are to be told, and the admins of the guard: found out behind everything else, from what happened.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{LinkDesk, person::word};
use crate::{
    access::{Dependencies, Result, UseCases},
    linking::{
        Notice, Outcome,
        watch::{FRESH, Facts, Quota},
    },
    model::corporate_id::CorporateId,
    roster::Person,
};

/// Most notices in one answer.
const PAGE: u32 = 100;

/// Longest pause between two looks: the wall clock may be set, and the file says that somebody looks.
const TICK: Duration = Duration::from_secs(60);

/// Shortest pause between two looks, in which what happens is gathered.
const BREATH: Duration = Duration::from_millis(200);

/// Pause after something failed.
const RETRY: Duration = Duration::from_secs(5);

/// People who are looked at in one go.
const BATCH: usize = 500;

/// IDs that a notice about the guard names.
const NAMED: usize = 10;

/// How long it is worth telling that the guard holds something back.
const HELD_BACK: SignedDuration = SignedDuration::from_hours(12);

impl UseCases {
    /// What nobody has been told yet, oldest first; waits for the first one, at most `wait`.
    ///
    /// # Errors
    /// The links cannot be read.
    pub async fn notices(&self, wait: Duration) -> Result<Vec<Notice>> {
        let desk = self.link_desk()?;
        let (mut news, deadline) = (desk.linking.news(), Instant::now() + wait);
        loop {
            news.borrow_and_update();
            let notices = desk.linking.hand_out(PAGE).await?;
            if !notices.is_empty() || Instant::now() >= deadline {
                return Ok(notices);
            }
            let now = self.dependencies.clock.now();
            let due = desk.linking.next_due().await?;
            let due = due.map(|due| Instant::now() + due.duration_since(now).max(SignedDuration::ZERO).unsigned_abs());
            let until = due.map_or(deadline, |due| due.min(deadline));
            tokio::select! {
                _ = news.changed() => {}
                () = tokio::time::sleep_until(until) => {}
                () = desk.settings.closing.cancelled() => return Ok(Vec::new()),
            }
        }
    }

    /// Keeps what became of a notice; what was said first stays.
    ///
    /// # Errors
    /// The links cannot be written.
    pub async fn notice_done(&self, notice: i64, outcome: Outcome) -> Result<()> {
        let desk = self.link_desk()?;
        if desk.linking.done(notice, outcome).await? {
            desk.metrics.notice_done(outcome.word());
        }
        Ok(())
    }

    /// Finds out what linked people and the admins are to be told, until cancelled.
    pub async fn find_notices(self, end: CancellationToken) {
        let Some(desk) = self.dependencies.linking.clone() else {
            return end.cancelled().await;
        };
        let mut watcher = Watcher {
            dependencies: self.dependencies.clone(),
            desk,
            wheel: Wheel::default(),
            waiting: HashSet::new(),
            held_back: Vec::new(),
            told_of_guard: true,
            looked_at: None,
        };
        let looking = async {
            while let Err(error) = watcher.begin().await {
                tracing::warn!(%error, "linked people cannot be looked at yet");
                tokio::time::sleep(RETRY).await;
            }
            loop {
                let pause = match watcher.look().await {
                    Ok(pause) => pause,
                    Err(error) => {
                        tracing::warn!(%error, "what linked people are to be told could not be kept");
                        RETRY
                    }
                };
                tokio::select! {
                    () = watcher.desk.people.changed() => tokio::time::sleep(BREATH).await,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        };
        end.run_until_cancelled(looking).await;
    }
}

/// Who is to be looked at when although nothing changes.
#[derive(Default)]
struct Wheel {
    times: BTreeSet<(Timestamp, CorporateId)>,
    of: HashMap<CorporateId, Timestamp>,
}

impl Wheel {
    fn set(&mut self, id: &CorporateId, at: Option<Timestamp>) {
        if let Some(before) = self.of.remove(id) {
            self.times.remove(&(before, id.clone()));
        }
        if let Some(at) = at {
            self.of.insert(id.clone(), at);
            self.times.insert((at, id.clone()));
        }
    }

    /// Takes who is due.
    fn due(&mut self, now: Timestamp) -> Vec<CorporateId> {
        let mut due = Vec::new();
        while let Some((at, id)) = self.times.first().cloned().filter(|(at, _)| *at <= now) {
            self.times.remove(&(at, id.clone()));
            self.of.remove(&id);
            due.push(id);
        }
        due
    }

    fn next(&self) -> Option<Timestamp> {
        self.times.first().map(|(at, _)| *at)
    }
}

struct Watcher {
    dependencies: Arc<Dependencies>,
    desk: Arc<LinkDesk>,
    wheel: Wheel,
    /// Linked people who are to be looked at.
    waiting: HashSet<CorporateId>,
    /// People of whom the guard held something back, and nobody was told.
    held_back: Vec<CorporateId>,
    /// There may be a notice for the admins that nobody was told.
    told_of_guard: bool,
    /// When everything was last kept that there was to keep.
    looked_at: Option<Timestamp>,
}

impl Watcher {
    /// Everybody who is linked is looked at once.
    async fn begin(&mut self) -> Result<()> {
        let mut changes = self.dependencies.people.changes();
        while !self.dependencies.people.is_loaded() {
            // Loading ends with a change, or without one where nobody is declared.
            let _ = tokio::time::timeout(RETRY, changes.changed()).await;
        }
        let linking = &self.desk.linking;
        let links = linking.all().await?;
        if self.looked_at.is_none() {
            self.looked_at = self.desk.former().await?.or(Some(Timestamp::MIN));
        }
        for link in links {
            self.desk.people.link(&link.id);
        }
        let waiting = self.dependencies.people.guard(NAMED).pending;
        self.held_back
            .extend(waiting.first.into_iter().map(|pending| pending.corporate_id));
        Ok(())
    }

    /// Looks at everybody who is to be looked at. Answers how long there is nothing to do.
    async fn look(&mut self) -> Result<Duration> {
        let now = self.dependencies.clock.now();
        let changed = self.desk.people.take();
        self.waiting.extend(changed.people);
        self.waiting.extend(self.wheel.due(now));
        self.held_back.extend(changed.held_back);
        let quiet = self.looked_at.is_none_or(|at| now.duration_since(at) > FRESH);
        let people: Vec<CorporateId> = self.waiting.iter().cloned().collect();
        for batch in people.chunks(BATCH) {
            let facts = batch.iter().map(|id| (id.clone(), self.facts(id, now))).collect();
            let seen = self.desk.linking.observe(facts, quiet).await?;
            for id in batch {
                self.waiting.remove(id);
                self.wheel.set(id, seen.next.get(id.key()).copied().flatten());
            }
        }
        self.tell_of_guard(now).await?;
        let is_old = self
            .looked_at
            .is_none_or(|at| now.duration_since(at).unsigned_abs() >= TICK);
        if quiet || is_old {
            // Before that the audit is compared with what a former process left.
            if self.desk.begun.load(Ordering::Acquire) {
                self.desk.linking.look_after().await?;
            }
            self.looked_at = Some(now);
            let (waiting, links) = self.desk.linking.counts().await?;
            self.desk.metrics.links(links, waiting.values().sum());
        }
        let next = self
            .wheel
            .next()
            .map(|at| at.duration_since(now).max(SignedDuration::ZERO));
        Ok(next.map_or(TICK, |next| next.unsigned_abs().clamp(BREATH, TICK)))
    }

    /// One notice for the admins of everything that was held back since the last.
    async fn tell_of_guard(&mut self, now: Timestamp) -> Result<()> {
        let people = &self.dependencies.people;
        let pending = |id: &CorporateId| people.person(id).and_then(|person| person.held_back_since);
        if self.held_back.is_empty() && !self.told_of_guard {
            return Ok(());
        }
        let total = people.guard(0).pending.total;
        if total == 0 {
            self.held_back.clear();
            if std::mem::take(&mut self.told_of_guard) {
                self.desk.linking.nothing_held_back().await?;
            }
            return Ok(());
        }
        let mut held: Vec<(CorporateId, Timestamp)> = Vec::new();
        let mut known = HashSet::new();
        for id in &self.held_back {
            if let Some(since) = pending(id).filter(|_| known.insert(id)) {
                held.push((id.clone(), since));
            }
        }
        let newest = held.iter().map(|(_, since)| *since).max();
        if let Some(newest) = newest {
            let some = held.iter().take(NAMED).map(|(id, _)| id.to_string()).collect();
            let until = now.checked_add(HELD_BACK).unwrap_or(Timestamp::MAX);
            let name = newest.as_second().to_string();
            self.desk
                .linking
                .held_back(&name, total.max(held.len()), some, until)
                .await?;
            self.told_of_guard = true;
        }
        self.held_back.clear();
        Ok(())
    }

    /// How things stand with a person.
    fn facts(&self, id: &CorporateId, now: Timestamp) -> Facts {
        let (user, person) = (self.dependencies.known_user(id), self.dependencies.people.person(id));
        let (granted, reason) = word(person.as_ref());
        // While the guard keeps an older version in force, what the object says is not so.
        let keeps_older = person.as_ref().is_some_and(Person::keeps_declared);
        let spec = user.as_ref().map(|user| &user.spec).filter(|_| !keeps_older);
        let quota = spec.and_then(|spec| {
            let traffic = spec.traffic.as_ref()?;
            Some(Quota {
                used: (self.desk.usages)(&spec.account()).in_period(traffic.period, now),
                limit: traffic.limit.get(),
                since: traffic.period.start(now),
                resets_at: traffic.period.end(now),
            })
        });
        Facts {
            granted,
            reason: reason.to_owned(),
            valid_until: spec.and_then(|spec| spec.valid_until),
            quota,
        }
    }
}
