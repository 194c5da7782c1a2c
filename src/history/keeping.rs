//! Keeping the audit: whether it is whole, where its end is published, and who took note of what is not.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    History, HistoryError, audit, changeover,
    entry::AuditEntry,
    finding::Finding,
    head::{self, AuditHead},
    parts, redact, standing,
    standing::Standing,
    walk::Verified,
};

/// What is known of the audit in this process, for whoever asks at any time.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    shown: AuditState,
    /// Marks of what was taken note of since the start: who read the chain before that must not bring it back.
    acknowledged: HashSet<String>,
}

impl State {
    /// Adds what is not known yet.
    fn add(&mut self, findings: &[Finding]) {
        for finding in findings {
            let known = self.shown.findings.iter().any(|known| known.mark == finding.mark);
            if !known && !self.acknowledged.contains(&finding.mark) {
                self.shown.findings.push(finding.clone());
            }
        }
    }
}

/// How the audit is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditState {
    /// What does not fit, and nobody took note of.
    pub findings: Vec<Finding>,
    /// Where the head could not be published or read, and why.
    pub places: BTreeMap<String, String>,
    /// Number of the last row that was published.
    pub published: i64,
}

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    /// How the audit is, as far as this process knows.
    #[must_use]
    pub fn audit_state(&self) -> AuditState {
        self.known.state().shown.clone()
    }

    /// Whether nothing speaks against the audit.
    #[must_use]
    pub fn is_audit_intact(&self) -> bool {
        self.known.state().shown.findings.is_empty()
    }

    /// Notes whether a head could be published or read at a place, and which.
    pub fn note_place(&self, place: &str, outcome: Result<i64, String>) {
        let state = &mut self.known.state().shown;
        match outcome {
            Ok(row) => {
                state.places.remove(place);
                state.published = row;
            }
            Err(why) => {
                state.places.insert(place.to_owned(), why);
            }
        }
    }

    /// Walks along the whole chain.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn verified(&self) -> Result<Verified, HistoryError> {
        let (keys, store) = (self.sealer.keys.clone(), self.store.clone());
        let more = move || store.reader().ok().map(|(_, conn)| conn);
        self.store.read(move |conn| parts::verify(conn, &keys, &more)).await
    }

    /// The end of the chain, sealed; `None` without a key.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn head(&self) -> Result<Option<AuditHead>, HistoryError> {
        let (keys, now) = (self.sealer.keys.clone(), self.sealer.now());
        self.store.read(move |conn| head::of(conn, &keys, now)).await
    }

    /// What speaks against this database having all that was published at a place.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn compare_head(&self, place: String, text: String) -> Result<Option<Finding>, HistoryError> {
        let keys = self.sealer.keys.clone();
        self.store
            .read(move |conn| head::compare(conn, &keys, &place, &text))
            .await
    }

    /// What speaks against nothing standing at a place: the chain says that it was published there.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn missing_head(&self, place: String) -> Result<Option<Finding>, HistoryError> {
        let standing = self.standing().await?;
        let what = format!(
            "{place} has no head of the audit, and there was one: somebody removed it, or it was never moved here"
        );
        let last = self.head().await?.map(|head| head.hash).unwrap_or_default();
        Ok(standing
            .places
            .contains(&place)
            .then(|| Finding::new(None, what, &[last.as_bytes()])))
    }

    /// What the chain says of itself.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn standing(&self) -> Result<Standing, HistoryError> {
        self.store.read(standing::read).await
    }

    /// Takes findings in: they are known from now on, and what the chain does not have yet becomes a row at its end. Answers
    /// those that are new.
    ///
    /// # Errors
    /// They are known, and stand nowhere.
    pub async fn found(&self, findings: Vec<Finding>) -> Result<Vec<Finding>, HistoryError> {
        let known = self.standing().await.unwrap_or_default();
        let is_new = |finding: &Finding, standing: &Standing| {
            !standing.acknowledged.contains(&finding.mark)
                && !standing.open.iter().any(|open| open.mark == finding.mark)
        };
        let fresh: Vec<Finding> = findings.iter().filter(|it| is_new(it, &known)).cloned().collect();
        {
            let mut state = self.known.state();
            state.add(&known.open);
            state.add(&fresh);
        }
        if fresh.is_empty() {
            return Ok(fresh);
        }
        let sealer = self.sealer.clone();
        self.store
            .write(move |conn| {
                let standing = standing::read(conn)?;
                let fresh: Vec<Finding> = fresh.into_iter().filter(|it| is_new(it, &standing)).collect();
                if !fresh.is_empty() {
                    audit::append(conn, &sealer, [&standing::broken(&fresh, sealer.now())])?;
                }
                Ok(fresh)
            })
            .await
    }

    /// Somebody takes note of everything that was found broken: from now on the audit counts as intact until something else is
    /// found. Becomes a row, which has what it was; answers the same.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn acknowledge(&self, who: AuditEntry) -> Result<Vec<Finding>, HistoryError> {
        let sealer = self.sealer.clone();
        let unwritten = self.known.state().shown.findings.clone();
        let noted = self
            .store
            .write(move |conn| {
                let standing = standing::read(conn)?;
                let mut open = standing.open;
                for finding in unwritten {
                    if !open.contains(&finding) && !standing.acknowledged.contains(&finding.mark) {
                        open.push(finding);
                    }
                }
                if !open.is_empty() {
                    let entry = redact::entry(standing::acknowledged(&open, who));
                    audit::append(
                        conn,
                        &sealer,
                        [&super::Stamped {
                            at: sealer.now(),
                            entry,
                        }],
                    )?;
                }
                Ok(open)
            })
            .await?;
        let mut state = self.known.state();
        state
            .acknowledged
            .extend(noted.iter().map(|finding| finding.mark.clone()));
        state.shown.findings.retain(|open| !noted.contains(open));
        Ok(noted)
    }

    /// Begins the present key, if it has not begun yet.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn begin_key(&self) -> Result<(), HistoryError> {
        let sealer = self.sealer.clone();
        self.store
            .write(move |conn| changeover::begin(conn, &sealer).map(drop))
            .await
    }

    /// Notes in the chain that its end is published at a place, if it does not say so yet.
    ///
    /// # Errors
    /// Nothing was written.
    pub async fn publishes_at(&self, place: String) -> Result<(), HistoryError> {
        let sealer = self.sealer.clone();
        self.store
            .write(move |conn| {
                if standing::read(conn)?.places.contains(&place) {
                    return Ok(());
                }
                audit::append(conn, &sealer, [&standing::published(&place, sealer.now())])
            })
            .await
    }
}
