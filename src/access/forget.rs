//! Forgetting a person: their data goes out of the audit, the registry and the inbox; the ID, and what was done with it, stays.
//!
//! The audit comes first, together with a note of what is still to be done elsewhere: whoever is cut off in between goes on where
//! they were ([`super::UseCases::finish_forgetting`]). Asked again it does nothing.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{Caller, Dependencies, Journal, Result, UseCases, canonical};
use crate::{
    desired::DesiredError,
    handover::Handovers,
    history::{AuditEntry, HistoryError},
    inbox::{ForgottenEvents, Inbox},
    linking::Linking,
    model::corporate_id::CorporateId,
    registry::{Registry, forget_former},
};

/// Action of the audit rows about it.
const ACTION: &str = "audit.forgotten";

/// How often it is looked whether something is left to be forgotten.
const LOOK: Duration = Duration::from_secs(600);

/// What became of an order to forget somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Whom.
    pub corporate_id: CorporateId,
    /// Audit rows that were emptied now.
    pub rows: u64,
    /// HR events that were emptied now.
    pub events: u64,
    /// HR events that are still to be carried out, or to be decided about: they are forgotten as soon as that is done.
    pub waiting: u64,
    /// Whether the registry knew anything about the person.
    pub registry: bool,
    /// Objects of desired state that are about the person: what is written in them stays until somebody removes it.
    pub declared: Vec<String>,
    /// Where backups have it, and when the last of them that does is rotated out; `None` where the operator takes none.
    pub backups: Option<(PathBuf, Timestamp)>,
}

/// Everything in a data folder that knows something about people.
pub struct Memory<'a> {
    /// The audit.
    pub journal: &'a dyn Journal,
    /// The registry of corporate IDs.
    pub registry: &'a Registry,
    /// Events of HR, where they are received.
    pub inbox: Option<&'a Inbox>,
    /// Telegram accounts that are linked to people, where they are.
    pub linking: Option<&'a Linking>,
    /// Links that were handed over to people.
    pub handovers: &'a Handovers,
    /// The data folder.
    pub data_dir: Option<&'a Path>,
}

impl Memory<'_> {
    /// Forgets somebody; `who` says who orders it, by which way in, and why. What is kept beside this memory has to follow, and then
    /// [`Self::close`]: until then it counts as not done.
    ///
    /// # Errors
    /// Something cannot be read or written: ask again. What was done is done.
    pub async fn order(&self, who: AuditEntry, id: &CorporateId) -> Result<Forgotten> {
        let order = AuditEntry {
            action: ACTION.to_owned(),
            corporate_id: Some(canonical(id).into()),
            ..who
        };
        // Whoever was cut off has said it already.
        let again = self.is_open(id).await?;
        self.forget(order, !again).await
    }

    /// Forgets whom this order names. `always`: it is said in the audit even if nothing of it has to be emptied.
    ///
    /// # Errors
    /// Something cannot be read or written: ask again. What was done is done.
    async fn forget(&self, order: AuditEntry, always: bool) -> Result<Forgotten> {
        let told = order.corporate_id.clone().unwrap_or_default();
        let id = CorporateId::parse(&told).map_err(|error| DesiredError::Invalid(error.to_string()))?;
        // While the registry still knows it.
        let names = self.names(&id).await?;
        let rows = self.journal.forget(order, names.clone(), always).await?;
        let mut registry = self.registry.forget(&id, names).await?;
        if let Some(data_dir) = self.data_dir {
            let (data_dir, of) = (data_dir.to_owned(), id.clone());
            let former = tokio::task::spawn_blocking(move || forget_former(&data_dir, &of)).await;
            let unwritten = |why: String| DesiredError::Unavailable(format!("the imported registry: {why}"));
            registry |= former
                .map_err(|error| unwritten(error.to_string()))?
                .map_err(|error| unwritten(error.to_string()))?;
        }
        let events = match self.inbox {
            Some(inbox) => inbox.forget(id.as_str()).await?,
            None => ForgottenEvents::default(),
        };
        if let Some(linking) = self.linking {
            linking.forget(&id).await?;
            linking.scrub().await?;
        }
        self.handovers.forget(&id).await?;
        self.handovers.scrub().await?;
        self.journal.scrub().await?;
        self.registry.scrub().await?;
        if let Some(inbox) = self.inbox {
            inbox.scrub().await?;
        }
        Ok(Forgotten {
            corporate_id: id,
            rows,
            events: events.emptied,
            waiting: events.waiting,
            registry,
            declared: Vec::new(),
            backups: None,
        })
    }

    /// Notes that nothing is left to be done, where no event of HR is still waited for.
    ///
    /// # Errors
    /// The note cannot be written: it is gone on with.
    pub async fn close(&self, done: &Forgotten) -> Result<()> {
        if done.waiting == 0 {
            self.journal.forgotten(done.corporate_id.to_string()).await?;
        }
        Ok(())
    }

    /// What the person may be called where they acted themselves.
    async fn names(&self, id: &CorporateId) -> Result<Vec<String>> {
        let former = self.registry.telegram(id).await?.map(|link| link.telegram_id);
        let linked = match self.linking {
            Some(linking) => linking.of_person(id).await?.map(|link| link.account),
            None => None,
        };
        let telegram = former.into_iter().chain(linked);
        let telegram = telegram.flat_map(|account| [account.to_string(), format!("telegram:{account}")]);
        Ok([id.as_str().to_owned()].into_iter().chain(telegram).collect())
    }

    /// Whether anything is left that an order of before did not come to.
    async fn is_open(&self, id: &CorporateId) -> Result<bool, HistoryError> {
        let open = self.journal.to_forget().await?;
        let is_it = |told: Option<String>| told.is_some_and(|told| told.eq_ignore_ascii_case(id.as_str()));
        Ok(open.into_iter().any(|it| is_it(it.order.corporate_id)))
    }
}

impl UseCases {
    /// Takes a person's data out of everything that is kept in the data folder, and leaves the chain of the audit whole. It is said in
    /// the audit who ordered it and why.
    ///
    /// # Errors
    /// Something cannot be read or written: it is gone on with by itself, and may be asked for again.
    pub async fn forget(&self, caller: Caller, id: CorporateId, reason: String) -> Result<Forgotten> {
        let dependencies = self.dependencies.clone();
        self.to_the_end(async move { dependencies.forget(&caller, &id, reason).await })
            .await
    }

    /// Goes on with what was to be forgotten and is not yet: after a crash, and where an event of HR had to be carried out before.
    ///
    /// # Errors
    /// Something cannot be read or written: ask again.
    pub async fn finish_forgetting(&self) -> Result<()> {
        self.dependencies.finish_forgetting().await
    }

    /// Goes on with it now and then, until `cancel`.
    pub async fn keep_forgetting(self, cancel: CancellationToken) {
        loop {
            if let Err(error) = self.finish_forgetting().await {
                tracing::debug!(%error, "what is to be forgotten is not forgotten yet");
            }
            if cancel.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
                return;
            }
        }
    }
}

impl Dependencies {
    fn memory(&self) -> Memory<'_> {
        Memory {
            journal: &*self.journal,
            registry: self.registry(),
            inbox: self.hr.as_ref().map(|desk| desk.inbox()),
            linking: self.linking.as_ref().map(|desk| desk.links()),
            handovers: &self.handovers,
            data_dir: self.settings.data_dir.as_deref(),
        }
    }

    async fn forget(&self, caller: &Caller, id: &CorporateId, reason: String) -> Result<Forgotten> {
        let id = canonical(id);
        let mut order = caller.entry(ACTION, Some(&id));
        order.reason = Some(reason);
        let mut done = self.memory().order(order, &id).await?;
        self.desired.scrub().await?;
        self.memory().close(&done).await?;
        done.declared = self.declared(&id);
        let now = self.clock.now();
        let plan = self.settings.backups.as_ref().map(|backups| backups.plan());
        done.backups = plan.map(|plan| {
            // The last one with it was taken before now, and goes when so many newer ones are there.
            let keep = u32::try_from(plan.keep).unwrap_or(u32::MAX);
            let age = SignedDuration::try_from(plan.every.saturating_mul(keep)).unwrap_or(SignedDuration::MAX);
            (plan.folder.clone(), now.saturating_add(age).unwrap_or(Timestamp::MAX))
        });
        tracing::info!(corporate_id = %id, rows = done.rows, events = done.events, waiting = done.waiting, "a person was forgotten");
        Ok(done)
    }

    async fn finish_forgetting(&self) -> Result<()> {
        for open in self.journal.to_forget().await? {
            let done = self.memory().forget(open.order, false).await?;
            self.desired.scrub().await?;
            self.memory().close(&done).await?;
            if done.waiting == 0 {
                tracing::info!(corporate_id = %done.corporate_id, "a person is forgotten everywhere now");
            }
        }
        Ok(())
    }

    /// Objects about a person, for people.
    fn declared(&self, id: &CorporateId) -> Vec<String> {
        let name = |meta: &kube::api::ObjectMeta| meta.name.clone().unwrap_or_default();
        let user = self
            .known_user(id)
            .map(|user| format!("VpnUser {}", name(&user.metadata)));
        let holds = self.directory.holds();
        let holds = holds.iter().filter(|hold| hold.spec.corporate_id == *id);
        let mut all: Vec<String> = user
            .into_iter()
            .chain(holds.map(|hold| format!("VpnHold {}", name(&hold.metadata))))
            .collect();
        all.sort_unstable();
        all
    }
}
