//! Keeps the audit: compares it with what was published of it, publishes its end, and walks along it now and then.
//!
//! What was published is compared before anything is published over it, and what is missing is a row of the audit before it is
//! forgotten elsewhere. Nothing that decides about access waits for any of this.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::future::join_all;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::history::{AuditHead, Finding, HeadPlace, History, HistoryError};

/// How often is looked whether the audit has grown.
const TICK: Duration = Duration::from_secs(1);
/// How often the head is in the log, if it changed.
const LOG_EVERY: Duration = Duration::from_secs(600);
/// How often the whole chain is walked along.
const WALK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// Pause until the next walk after one that failed.
const WALK_AGAIN: Duration = Duration::from_secs(60);
/// Longest that a place is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps the audit of one history.
pub struct AuditKeeper {
    history: History,
    places: Vec<Place>,
    /// Number of the row that was in the log last, and when.
    logged: Mutex<Option<(i64, Instant)>>,
}

struct Place {
    name: String,
    inner: Arc<dyn HeadPlace>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Whether what stood there was compared with the audit.
    compared: bool,
    /// The hash that stands there, and when another was tried.
    published: Option<String>,
    /// Whether the chain says that it is published there.
    noted: bool,
    tried: Option<Instant>,
}

impl Place {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuditKeeper {
    /// Publishes at these places.
    #[must_use]
    pub fn new(history: History, places: Vec<Arc<dyn HeadPlace>>) -> Arc<Self> {
        let place = |place: Arc<dyn HeadPlace>| Place {
            name: place.name(),
            inner: place,
            known: Mutex::default(),
        };
        Arc::new(Self {
            history,
            places: places.into_iter().map(place).collect(),
            logged: Mutex::default(),
        })
    }

    /// Publishes the head whenever it changed, until `cancel`.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = None;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = tick.tick() => {}
            }
            let commits = self.history.commits();
            if seen == Some(commits) {
                continue;
            }
            if self.round(false).await {
                seen = Some(commits);
            }
        }
    }

    /// Publishes the head a last time, wherever it was compared; nobody writes to the audit any more.
    pub async fn finish(&self) {
        self.round(true).await;
    }

    /// Walks along the whole audit, at once and then once a day, until `cancel`.
    pub async fn watch(self: Arc<Self>, cancel: CancellationToken) {
        loop {
            let pause = match self.walk().await {
                Ok(()) => WALK_EVERY,
                Err(error) => {
                    tracing::debug!(%error, "the audit cannot be walked along");
                    WALK_AGAIN
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn walk(&self) -> Result<(), HistoryError> {
        // A chain of before the key would look like one that somebody without it wrote anew.
        self.history.begin_key().await?;
        let verified = self.history.verified().await?;
        tracing::info!(
            rows = verified.rows,
            last = verified.last,
            findings = verified.findings.len(),
            "walked along the audit"
        );
        self.found(verified.findings).await
    }

    /// One round over all places; `last` regards no pace. Says whether nothing is left to be published.
    async fn round(&self, last: bool) -> bool {
        let mut done = true;
        // At the same time: one that hangs holds up no other.
        let outcomes = join_all(self.places.iter().map(|place| self.publish(place, last))).await;
        for (place, outcome) in self.places.iter().zip(outcomes) {
            done &= matches!(outcome, Ok(true));
            if let Err(why) = outcome {
                if !self.history.audit_state().places.contains_key(&place.name) {
                    tracing::warn!(place = place.name, why, "the head of the audit is not published there");
                }
                self.history.note_place(&place.name, Err(why));
            }
        }
        self.log(last).await;
        done
    }

    /// Publishes at one place what is not there yet, once what stood there was compared. Answers whether it has the present head.
    async fn publish(&self, place: &Place, last: bool) -> Result<bool, String> {
        if !place.known().compared {
            if last {
                return Ok(false);
            }
            let compared = tokio::time::timeout(PATIENCE, self.compare(place)).await;
            let there = compared.map_err(|_| "it does not answer".to_owned())??;
            let mut known = place.known();
            (known.compared, known.published) = (true, there);
        }
        let unreadable = |error: HistoryError| error.to_string();
        let Some(head) = self.history.head().await.map_err(unreadable)? else {
            return Err("there is no key to seal it with".to_owned());
        };
        let is_there = {
            let mut known = place.known();
            let is_there = known.published.as_ref() == Some(&head.hash);
            let pace = place.inner.pace();
            if !is_there && !last && known.tried.is_some_and(|tried| tried.elapsed() + TICK / 2 < pace) {
                return Ok(false);
            }
            if !is_there {
                known.tried = Some(Instant::now());
            }
            is_there
        };
        if !is_there {
            let written = tokio::time::timeout(PATIENCE, place.inner.write(head.text())).await;
            written.map_err(|_| "it does not answer".to_owned())??;
            place.known().published = Some(head.hash);
        }
        self.history.note_place(&place.name, Ok(head.row));
        if place.known().noted || last {
            return Ok(true);
        }
        // Only now: a chain that says so, and a place that has nothing, would look like one that was emptied.
        let noted = self.history.publishes_at(place.name.clone()).await;
        noted.map_err(unreadable)?;
        place.known().noted = true;
        // That may have been a row.
        Ok(false)
    }

    /// Compares the audit with what stands at a place, and answers the hash that stands there. What speaks against it is a row of
    /// the audit when this returns.
    async fn compare(&self, place: &Place) -> Result<Option<String>, String> {
        let unreadable = |error: HistoryError| error.to_string();
        let text = place.inner.read().await?;
        let there = text.as_deref().and_then(|text| AuditHead::parse(text).ok());
        let finding = match text {
            Some(text) => self.history.compare_head(place.name.clone(), text).await,
            None => self.history.missing_head(place.name.clone()).await,
        };
        let finding = finding.map_err(unreadable)?;
        let there = there.filter(|_| finding.is_none()).map(|head| head.hash);
        self.found(finding.into_iter().collect()).await.map_err(unreadable)?;
        Ok(there)
    }

    async fn found(&self, findings: Vec<Finding>) -> Result<(), HistoryError> {
        for new in self.history.found(findings).await? {
            tracing::error!(
                row = new.row,
                "the audit is not intact: {}. Access decisions go on; `vpn-operator doctor` says what to do",
                new.what
            );
        }
        Ok(())
    }

    async fn log(&self, last: bool) {
        let due = |logged: &Option<(i64, Instant)>| last || logged.is_none_or(|(_, at)| at.elapsed() >= LOG_EVERY);
        if !due(&self.logged.lock().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let Ok(Some(head)) = self.history.head().await else {
            return;
        };
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|(row, _)| row != head.row) {
            tracing::info!(row = head.row, hash = head.hash, key = head.key, "the audit ends here");
            *logged = Some((head.row, Instant::now()));
        }
    }
}
