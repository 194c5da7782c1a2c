//! Use cases shared by every way in: grant, deactivate, activate, rotate, hold, look up, hand out a configuration.
//!
//! It changes desired state and reads memory (the roster, the directory of objects, what gateways observed) and history.
//! It never touches a gateway, decides nothing about access by itself, and never lets history stand in the way of a
//! denial. What it hands out with a secret in it is held in [`secrecy::SecretString`] until a shell writes it.

mod activate;
mod announced;
mod audit;
mod backup;
mod configuration;
mod deactivate;
mod error;
mod forget;
mod gateways;
mod grant;
mod guard;
mod handed_out;
mod handover;
mod health;
mod holds;
mod hr;
mod ids;
mod linking;
mod own;
mod proof;
mod records;
mod release_many;
mod request_key;
mod rotate;
mod seams;
mod subscription;
mod tell;
mod users;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

pub use activate::Activation;
pub use audit::AuditPage;
pub use backup::OrderedBackup;
pub use configuration::Configuration;
pub use deactivate::{Deactivation, HELD};
pub use error::{AccessError, Denial, Flip, Former};
pub use forget::{Forgotten, Memory};
pub use gateways::GatewayView;
pub use grant::{Grant, NewUser};
pub use guard::{Confirmed, GuardView, MOST_SHOWN, WaitingDenial};
pub use handover::{HandedOver, LONGEST_HANDOVER, MOST_USES, OPEN_PATH, Opening, SHORTEST_HANDOVER};
pub use health::{Check, CheckResult, Health, ProcessChecks};
pub use holds::{HoldFilter, HoldView, NewHold, Phase, PlacedHold, ReleasedHold};
pub use hr::{Delivery, EventPage, HrDesk, HrGauges, HrHealth, HrSettings, Received};
pub use ids::{Beginning, Exchanged, IdPage, IdView, Ids, NewId, ReinstatedId, RevokedId, Validity};
pub use linking::{BegunLinks, LinkDesk, LinkSettings, LinkedView, MadeCode, NewLink, OwnHold, Usages};
pub use own::{Overview, RENEWALS_A_DAY, Renewal, TRAFFIC_DAYS, Visit};
pub use proof::Proof;
pub use release_many::{ReleaseMany, ReleasedMany, ReleasedOne, ReleasedPerson};
pub use rotate::{Rotate, Rotation};
pub use seams::{Directory, Journal, Links, LivePeople, People, select};
pub use subscription::Subscription;
pub use users::{UserFilter, UserPage, UserSummary, UserView};

use crate::{
    backup::Backups,
    clock::SharedClock,
    config::PublicUrl,
    desired::{DesiredError, DesiredState, FieldManager},
    handover::Handovers,
    issue::Issuer,
    model::{corporate_id::CorporateId, user::VpnUser},
};

/// Result of a use case.
pub type Result<T, E = AccessError> = std::result::Result<T, E>;

/// Who acts, and by which way in.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who: a name or an address. Goes to the audit.
    pub actor: String,
    /// By which way in: `api`, `cli`, … Holds that are created carry it, and only the same source lifts them.
    pub source: String,
    /// Network address that the request came from, for the audit.
    pub address: Option<String>,
    /// Id of the request, for the audit.
    pub request_id: Option<String>,
    /// The HR event that says so, by its number, for the audit.
    pub event: Option<String>,
    /// Who writes to desired state.
    pub manager: FieldManager,
}

/// Why a denial is ordered, as far as it could be read: an order is carried out whatever was said beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    /// For people; stands in the hold and the audit.
    pub reason: Option<String>,
    /// What of the order could not be taken as it came; stands in the audit.
    pub remarks: Vec<String>,
}

/// What can be set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a grant, an activation or a rotation waits until it is in force.
    pub grant_wait: Duration,
    /// How long a denial waits for proof that no session can pass another byte.
    pub denial_wait: Duration,
    /// The data folder, where there is one.
    pub data_dir: Option<PathBuf>,
    /// The backups that the operator takes, where it does.
    pub backups: Option<Arc<Backups>>,
}

impl Default for Settings {
    /// The usual waits.
    fn default() -> Self {
        Self {
            grant_wait: Duration::from_secs(5),
            denial_wait: Duration::from_secs(3),
            data_dir: None,
            backups: None,
        }
    }
}

/// What the use cases work with.
#[derive(Clone)]
pub struct Dependencies {
    /// Where desired state lives.
    pub desired: Arc<dyn DesiredState>,
    /// Everyone who is declared, and the guard.
    pub people: Arc<dyn People>,
    /// Objects as last seen, from memory.
    pub directory: Arc<dyn Directory>,
    /// The running gateways.
    pub links: Arc<dyn Links>,
    /// Makes what people need to connect.
    pub issuer: Issuer,
    /// History.
    pub journal: Arc<dyn Journal>,
    /// The registry of corporate IDs.
    pub ids: Arc<Ids>,
    /// The clock.
    pub clock: SharedClock,
    /// What the process around finds.
    pub process: ProcessChecks,
    /// What can be set.
    pub settings: Settings,
    /// Where events of HR are received; `None` where none are.
    pub hr: Option<Arc<HrDesk>>,
    /// Where Telegram accounts are linked; `None` where none are.
    pub linking: Option<Arc<LinkDesk>>,
    /// Links that are handed over.
    pub handovers: Handovers,
}

/// The use cases. One for the process; cheap to clone.
///
/// A use case that changes something runs to its end once it has begun, also when its caller goes away: a connection that
/// breaks leaves nothing half-applied. [`UseCases::drain`] waits for those.
#[derive(Clone)]
pub struct UseCases {
    dependencies: Arc<Dependencies>,
    tasks: TaskTracker,
    /// Fetches of subscriptions that the audit tells of.
    fetches: Arc<handed_out::Fetches>,
}

impl UseCases {
    /// Use cases over these dependencies.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            dependencies: Arc::new(dependencies),
            tasks: TaskTracker::new(),
            fetches: Arc::default(),
        }
    }

    /// Where people reach the HTTP shell.
    #[must_use]
    pub fn public_url(&self) -> &PublicUrl {
        self.dependencies.issuer.public_url()
    }

    /// Waits for every change that has begun. New ones may still begin: stop the shells first.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Runs a change to its end, whatever becomes of the caller.
    async fn to_the_end<T: Send + 'static>(&self, work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        use tracing::Instrument as _;
        let work = work.instrument(tracing::Span::current());
        self.tasks.spawn(work).await.unwrap_or(Err(AccessError::Interrupted))
    }
}

impl Dependencies {
    /// Waits until desired state is known. Before that memory knows no hold, and lifting all of none would pass for done.
    async fn loaded(&self) -> Result<()> {
        let loaded = || self.people.is_loaded().then_some(());
        let loaded = self.until(self.settings.grant_wait, loaded).await;
        Ok(loaded.ok_or_else(|| DesiredError::Unavailable("it is still being loaded: try again".to_owned()))?)
    }

    /// The user object of a person from memory.
    fn known_user(&self, id: &CorporateId) -> Option<Arc<VpnUser>> {
        self.directory.user(&id.object_name())
    }

    /// Whether anything is known of this ID.
    fn is_known(&self, id: &CorporateId) -> bool {
        self.known_user(id).is_some() || self.people.person(id).is_some()
    }
}

/// The spelling under which a new object is declared: standard IDs in capitals, others as given.
fn canonical(id: &CorporateId) -> CorporateId {
    CorporateId::parse(&id.as_str().to_ascii_uppercase())
        .ok()
        .filter(CorporateId::is_standard)
        .unwrap_or_else(|| id.clone())
}
