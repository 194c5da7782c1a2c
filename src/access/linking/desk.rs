//! What the use cases about links work with beside everything else.

use std::sync::{Arc, Mutex, atomic::AtomicBool};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{AccessError, Caller, Dependencies, Result, UseCases},
    linking::Linking,
    mail::Post,
    metrics::Metrics,
    model::{access::Usage, corporate_id::CorporateId},
    reconcile::linked::LinkedPeople,
};

/// Codes that wait to be sent. What comes on top is not sent: whoever asked asks again.
const QUEUE: usize = 256;

/// Says what an account used so far, from memory.
pub type Usages = Arc<dyn Fn(&str) -> Usage + Send + Sync>;

/// What linking stands on.
#[derive(Clone)]
pub struct LinkSettings {
    /// Sends mail; `None` where none is sent.
    pub post: Option<Arc<dyn Post>>,
    /// Name of the VPN in mails.
    pub title: String,
    /// Ends what waits for something to happen when the process drains.
    pub closing: CancellationToken,
}

/// The desk at which accounts are linked. One for the process.
pub struct LinkDesk {
    pub(super) linking: Linking,
    pub(super) people: Arc<LinkedPeople>,
    pub(super) usages: Usages,
    pub(super) metrics: Arc<Metrics>,
    pub(super) settings: LinkSettings,
    pub(super) outgoing: mpsc::Sender<Outgoing>,
    pub(super) to_send: Mutex<Option<mpsc::Receiver<Outgoing>>>,
    /// When a former process looked after the links last.
    former: OnceCell<Option<Timestamp>>,
    /// The links are as the audit knows them.
    pub(super) begun: AtomicBool,
}

/// A code that is to be sent, if anybody can receive it.
pub(super) struct Outgoing {
    pub caller: Caller,
    pub account: i64,
    pub id: CorporateId,
    pub language: &'static str,
    pub code: SecretString,
}

impl LinkDesk {
    /// A desk over the links.
    #[must_use]
    pub fn new(
        linking: Linking,
        people: Arc<LinkedPeople>,
        usages: Usages,
        metrics: Arc<Metrics>,
        settings: LinkSettings,
    ) -> Arc<Self> {
        let (outgoing, to_send) = mpsc::channel(QUEUE);
        Arc::new(Self {
            linking,
            people,
            usages,
            metrics,
            settings,
            outgoing,
            to_send: Mutex::new(Some(to_send)),
            former: OnceCell::new(),
            begun: AtomicBool::new(false),
        })
    }
}

impl LinkDesk {
    /// The links.
    pub(in crate::access) fn links(&self) -> &Linking {
        &self.linking
    }

    /// When a former process looked after the links last; `None` if none ever did.
    pub(super) async fn former(&self) -> Result<Option<Timestamp>> {
        let read = self.former.get_or_try_init(|| self.linking.looked_after()).await?;
        Ok(*read)
    }

    /// What is wrong with the links, one line each.
    pub(in crate::access) fn troubles(&self) -> Vec<String> {
        self.linking
            .last_error()
            .map(|error| error.to_string())
            .into_iter()
            .collect()
    }
}

impl UseCases {
    pub(super) fn link_desk(&self) -> Result<Arc<LinkDesk>> {
        self.dependencies.link_desk().map(Arc::clone)
    }
}

impl Dependencies {
    pub(super) fn link_desk(&self) -> Result<&Arc<LinkDesk>> {
        self.linking.as_ref().ok_or(AccessError::NoLinks)
    }
}
