//! An operator that can be stopped at any of its calls to desired state or history, and what outlives it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::ResourceExt as _;
use secrecy::{SecretBox, SecretString};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use vpn_operator::{
    access::{
        Caller, Delivery, Dependencies, Directory, GatewayView, HoldFilter, HrDesk, HrSettings, Ids, Journal, Links,
        LivePeople, Received, Settings, UseCases, select,
    },
    clock::ManualClock,
    config::PublicUrl,
    credentials::MasterKey,
    desired::{
        DesiredState, Event, FieldManager, HoldNotes, Result, SourceHealth, UserPatch, Version, Watches,
        id_claims::SoleIssuer, memory::MemorySource,
    },
    fence::Fence,
    gateway::{Credentials, Link, NodeHealth, RevocationProgress},
    handover::{HANDOVER_FILE, Handovers},
    history::{
        AuditEntry, AuditRow, AuditState, Finding, Forgetting, HistoryError, Page, RevocationRow, Story, Totals,
        TrafficRow, Who, WhoQuestion,
    },
    inbox::{
        INBOX_FILE, Inbox,
        signature::{Keys, SignatureHeaders},
    },
    issue::{Issuer, Keys as IssuerKeys, Linking},
    model::{
        access::Access,
        corporate_id::CorporateId,
        gateway::{VpnGateway, VpnGatewayStatus},
        guard_limits::GuardLimits,
        hold::{VpnHold, VpnHoldSpec, VpnHoldStatus},
        user::{VpnUser, VpnUserSpec, VpnUserStatus},
    },
    reconcile::{auth_guard::AuthGuard, denials::Orders},
    registry::{REGISTRY_FILE, Registrar, Registry, draw::SystemDraw},
    roster::{Derivation, Input, Roster},
    verdicts::{GUARD_FILE, VerdictStore},
};

use crate::support::hr::{HUB_SECRET, STANDARD_KEY, hub};

/// What outlives an operator.
pub struct Place {
    dir: TempDir,
    pub source: Arc<MemorySource>,
    pub audit: Arc<Mutex<Vec<AuditEntry>>>,
    pub clock: Arc<ManualClock>,
}

impl Place {
    fn handovers(&self, clock: &Arc<ManualClock>) -> Handovers {
        let key = MasterKey::from_bytes(SecretBox::new(Box::new([7; 32])));
        let file = self.dir.path().join(HANDOVER_FILE);
        Handovers::open_or_retry(&file, key.handover_key(), clock.clone()).unwrap()
    }

    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            source: MemorySource::new(),
            audit: Arc::default(),
            clock: ManualClock::at("2026-05-01T12:00:00Z".parse().unwrap()),
        }
    }

    /// The file of the inbox.
    pub fn inbox(&self) -> std::path::PathBuf {
        self.dir.path().join(INBOX_FILE)
    }

    pub fn declare(&self, id: &str) {
        let spec: VpnUserSpec = serde_json::from_value(serde_json::json!({ "corporateId": id })).unwrap();
        self.source.put_user(&spec.corporate_id.object_name(), spec);
    }
}

/// Stops the operator before its call of this number, or after it.
pub struct Crash {
    left: AtomicI64,
    after: bool,
    pub happened: Notify,
}

impl Crash {
    pub fn at(call: i64, after: bool) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicI64::new(call),
            after,
            happened: Notify::new(),
        })
    }

    pub fn never() -> Arc<Self> {
        Self::at(i64::MAX, false)
    }

    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        let now = self.left.fetch_sub(1, Ordering::SeqCst);
        // What comes later never happens either.
        if now < 0 || (now == 0 && !self.after) {
            self.happened.notify_one();
            return std::future::pending().await;
        }
        let done = call.await;
        if now == 0 {
            self.happened.notify_one();
            return std::future::pending().await;
        }
        done
    }
}

/// Desired state and history of a process that may end at any call.
struct Mortal {
    source: Arc<MemorySource>,
    audit: Arc<Mutex<Vec<AuditEntry>>>,
    crash: Arc<Crash>,
}

#[async_trait]
impl DesiredState for Mortal {
    fn watch(&self) -> Watches {
        self.source.watch()
    }
    fn health(&self) -> SourceHealth {
        self.source.health()
    }
    async fn get_user(&self, name: &str) -> Result<Option<VpnUser>> {
        self.crash.around(self.source.get_user(name)).await
    }
    async fn create_user(&self, name: &str, spec: VpnUserSpec, manager: FieldManager) -> Result<VpnUser> {
        self.crash.around(self.source.create_user(name, spec, manager)).await
    }
    async fn patch_user(&self, name: &str, patch: UserPatch, manager: FieldManager) -> Result<VpnUser> {
        self.crash.around(self.source.patch_user(name, patch, manager)).await
    }
    async fn delete_user(&self, name: &str, manager: FieldManager) -> Result<()> {
        self.source.delete_user(name, manager).await
    }
    async fn create_hold(
        &self,
        name: &str,
        spec: VpnHoldSpec,
        notes: HoldNotes<'_>,
        manager: FieldManager,
    ) -> Result<VpnHold> {
        self.crash
            .around(self.source.create_hold(name, spec, notes, manager))
            .await
    }
    async fn lift_hold(&self, name: &str, manager: FieldManager) -> Result<()> {
        self.crash.around(self.source.lift_hold(name, manager)).await
    }
    async fn report_user(&self, user: &VpnUser, status: VpnUserStatus) -> Result<Version> {
        self.source.report_user(user, status).await
    }
    async fn report_hold(&self, hold: &VpnHold, status: VpnHoldStatus) -> Result<()> {
        self.source.report_hold(hold, status).await
    }
    async fn report_gateway(&self, gateway: &VpnGateway, status: VpnGatewayStatus) -> Result<()> {
        self.source.report_gateway(gateway, status).await
    }
    async fn add_user_finalizer(&self, user: &VpnUser) -> Result<()> {
        self.source.add_user_finalizer(user).await
    }
    async fn add_hold_finalizer(&self, hold: &VpnHold) -> Result<()> {
        self.source.add_hold_finalizer(hold).await
    }
    async fn add_gateway_finalizer(&self, gateway: &VpnGateway) -> Result<()> {
        self.source.add_gateway_finalizer(gateway).await
    }
    async fn delete_gateway(&self, name: &str) -> Result<()> {
        self.source.delete_gateway(name).await
    }
    async fn remove_user_finalizer(&self, name: &str) -> Result<()> {
        self.source.remove_user_finalizer(name).await
    }
    async fn remove_hold_finalizer(&self, name: &str) -> Result<()> {
        self.source.remove_hold_finalizer(name).await
    }
    async fn remove_gateway_finalizer(&self, name: &str) -> Result<()> {
        self.source.remove_gateway_finalizer(name).await
    }
}

#[async_trait]
impl Journal for Mortal {
    async fn audit(&self, entries: Vec<AuditEntry>) -> Result<(), HistoryError> {
        let write = async { self.audit.lock().unwrap().extend(entries) };
        self.crash.around(write).await;
        Ok(())
    }
    async fn audit_denial(&self, entries: Vec<AuditEntry>) {
        let _ = Journal::audit(self, entries).await;
    }
    fn last_error(&self) -> Option<HistoryError> {
        None
    }
    async fn totals(&self, _: String) -> Result<Totals, HistoryError> {
        Ok(Totals::default())
    }
    async fn audit_rows(&self, _: Option<String>, _: Page) -> Result<Vec<AuditRow>, HistoryError> {
        Ok(Vec::new())
    }
    async fn own_rows(&self, _: String, _: &'static str, _: u32) -> Result<Vec<AuditRow>, HistoryError> {
        Ok(Vec::new())
    }
    async fn revocations(&self, _: String, _: u32) -> Result<Vec<RevocationRow>, HistoryError> {
        Ok(Vec::new())
    }
    async fn traffic_by_day(&self, _: String, _: u32) -> Result<Vec<TrafficRow>, HistoryError> {
        Ok(Vec::new())
    }
    fn audit_state(&self) -> AuditState {
        AuditState::default()
    }
    async fn acknowledge(&self, _: AuditEntry) -> Result<Vec<Finding>, HistoryError> {
        Ok(Vec::new())
    }
    async fn forget(&self, _: AuditEntry, _: Vec<String>, _: bool) -> Result<u64, HistoryError> {
        Ok(0)
    }
    async fn to_forget(&self) -> Result<Vec<Forgetting>, HistoryError> {
        Ok(Vec::new())
    }
    async fn forgotten(&self, _: String) -> Result<(), HistoryError> {
        Ok(())
    }
    async fn scrub(&self) -> Result<(), HistoryError> {
        Ok(())
    }
    async fn who(&self, _: WhoQuestion) -> Result<Who, HistoryError> {
        Err(HistoryError::Unavailable("nobody asks it here".to_owned()))
    }
    async fn story(&self, _: String, _: String) -> Result<Story, HistoryError> {
        Err(HistoryError::Unavailable("nobody asks it here".to_owned()))
    }
}

/// Objects as the watches told them.
#[derive(Default)]
struct Seen {
    users: Mutex<BTreeMap<String, Arc<VpnUser>>>,
    holds: Mutex<BTreeMap<String, Arc<VpnHold>>>,
}

impl Directory for Seen {
    fn user(&self, name: &str) -> Option<Arc<VpnUser>> {
        self.users.lock().unwrap().get(name).cloned()
    }
    fn users(&self, after: Option<&str>, limit: usize, keep: &mut dyn FnMut(&VpnUser) -> bool) -> Vec<Arc<VpnUser>> {
        select(self.users.lock().unwrap().values().cloned(), after, limit, keep)
    }
    fn hold(&self, name: &str) -> Option<Arc<VpnHold>> {
        self.holds.lock().unwrap().get(name).cloned()
    }
    fn holds(&self) -> Vec<Arc<VpnHold>> {
        self.holds.lock().unwrap().values().cloned().collect()
    }
    fn unobserved(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Seen {
    fn user_event(&self, event: Event<VpnUser>) -> Option<Input> {
        let mut users = self.users.lock().unwrap();
        match event {
            Event::InitApply(user) | Event::Apply(user) => {
                let user = Arc::new(user);
                users.insert(user.name_any(), user.clone());
                Some(Input::User(user))
            }
            Event::Delete(user) => {
                users.remove(&user.name_any());
                Some(Input::UserGone(user.name_any()))
            }
            _ => None,
        }
    }

    fn hold_event(&self, event: Event<VpnHold>) -> Option<Input> {
        let mut holds = self.holds.lock().unwrap();
        match event {
            Event::InitApply(hold) | Event::Apply(hold) => {
                let hold = Arc::new(hold);
                holds.insert(hold.name_any(), hold.clone());
                Some(Input::Hold(hold))
            }
            Event::Delete(hold) => {
                let name = hold.name_any();
                holds.remove(&name);
                Some(Input::HoldGone { name, released: true })
            }
            _ => None,
        }
    }
}

struct Nothing;

impl Links for Nothing {
    fn obstacles(&self, _: &VpnUser) -> Vec<String> {
        Vec::new()
    }
    fn refusals(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    fn not_separated(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    fn guards(&self) -> Vec<AuthGuard> {
        Vec::new()
    }
    fn revocation(&self, _: &str) -> Option<RevocationProgress> {
        None
    }
    fn sessions(&self, _: &str) -> u32 {
        0
    }
    fn health(&self) -> Vec<NodeHealth> {
        Vec::new()
    }
    fn gateways(&self) -> Vec<GatewayView> {
        Vec::new()
    }
}

impl Linking for Nothing {
    fn links(&self, _: &str, _: &Credentials) -> Vec<Link> {
        Vec::new()
    }
}

impl IssuerKeys for Nothing {
    fn credentials(&self, _: &VpnUser) -> Option<Credentials> {
        None
    }
    fn subscription_token(&self, id: &CorporateId, _: i64) -> SecretString {
        id.key().into()
    }
}

impl Derivation for Nothing {
    fn password(&self, id: &CorporateId, generation: i64) -> SecretString {
        format!("pw-{}-{generation}", id.key()).into()
    }
}

/// A hold: its name, begin, end, and the moment of its event.
pub type Standing = (String, Option<Timestamp>, Option<Timestamp>, Option<String>);

/// A running operator. Needs a runtime of its own, which ends it at once when it is dropped.
pub struct Operator {
    pub use_cases: UseCases,
    pub roster: Arc<Roster>,
    inbox: Inbox,
    clock: Arc<ManualClock>,
}

pub fn caller(source: &str) -> Caller {
    Caller {
        actor: "tester".to_owned(),
        source: source.to_owned(),
        address: None,
        request_id: None,
        event: None,
        manager: FieldManager::Api,
    }
}

impl Operator {
    pub async fn start(place: &Place, crash: Arc<Crash>) -> Self {
        let clock = place.clock.clone();
        let roster = Arc::new(Roster::with_derivation(
            Arc::new(Nothing),
            Arc::new(|_: &VpnUser| None),
            clock.clone(),
        ));
        roster.set_limits(GuardLimits::new(
            "off".parse().unwrap(),
            "0".parse().unwrap(),
            GuardLimits::WINDOW,
        ));
        let seen = Arc::new(Seen::default());
        let mortal = Arc::new(Mortal {
            source: place.source.clone(),
            audit: place.audit.clone(),
            crash,
        });
        let Watches {
            mut users, mut holds, ..
        } = mortal.watch();
        loop {
            match users.next().await.unwrap() {
                Event::InitDone => break,
                event => drop(roster.apply(seen.user_event(event).into_iter().collect())),
            }
        }
        loop {
            match holds.next().await.unwrap() {
                Event::InitDone => break,
                event => drop(roster.apply(seen.hold_event(event).into_iter().collect())),
            }
        }
        drop(roster.loaded());
        let (told, known) = (roster.clone(), seen.clone());
        tokio::spawn(async move {
            loop {
                let input = tokio::select! {
                    Some(event) = users.next() => known.user_event(event),
                    Some(event) = holds.next() => known.hold_event(event),
                    else => return,
                };
                drop(told.apply(input.into_iter().collect()));
            }
        });
        let guard = place.dir.path().join(GUARD_FILE);
        let (verdicts, _) = VerdictStore::open(&guard, clock.clone(), jiff::SignedDuration::from_mins(10));
        let inbox = Inbox::open_or_retry(&place.dir.path().join(INBOX_FILE), clock.clone()).unwrap();
        let registry = Registry::open_or_retry(&place.dir.path().join(REGISTRY_FILE), clock.clone()).unwrap();
        let registrar = Registrar::new(registry, Arc::new(SoleIssuer), Arc::new(SystemDraw));
        let settings = HrSettings {
            keys: Keys::read(
                Some(&format!("standard:whsec_{STANDARD_KEY}").into()),
                Some(&HUB_SECRET.into()),
            )
            .unwrap(),
            ..HrSettings::default()
        };
        let (nothing, dispatch) = (Arc::new(Nothing), Arc::new(|_| ()));
        let people = LivePeople::new(
            roster.clone(),
            dispatch,
            Arc::new(verdicts),
            Arc::new(Orders::default()),
        );
        let use_cases = UseCases::new(Dependencies {
            desired: mortal.clone(),
            people: Arc::new(people),
            directory: seen,
            links: nothing.clone(),
            issuer: Issuer::new(
                nothing.clone(),
                nothing,
                PublicUrl::parse("http://vpn.example.com").unwrap(),
            ),
            journal: mortal,
            clock: clock.clone(),
            process: Arc::new(Vec::new),
            settings: Settings {
                denial_wait: Duration::from_secs(2),
                grant_wait: Duration::from_secs(2),
                ..Settings::default()
            },
            ids: Arc::new(Ids::new(registrar)),
            hr: Some(HrDesk::new(inbox.clone(), settings, Fence::always_open())),
            linking: None,
            handovers: place.handovers(&clock),
        });
        let worker = use_cases
            .clone()
            .carry_out_hr_events(Arc::new(|_, _| ()), CancellationToken::new());
        tokio::spawn(worker);
        Self {
            use_cases,
            roster,
            inbox,
            clock,
        }
    }

    /// Sends an event as an HR system does; `None` when it is refused.
    pub async fn send(&self, body: &Value, signature: Option<&str>) -> Option<Received> {
        let body = body.to_string().into_bytes();
        let good = hub(&body);
        let headers = SignatureHeaders {
            hub: vec![signature.unwrap_or(&good).as_bytes()],
            ..SignatureHeaders::default()
        };
        let sender = self.use_cases.hr_sender(&headers, &body).ok()?;
        let delivery = Delivery {
            sender,
            text: String::from_utf8(body.clone()).unwrap(),
            body,
            request_id: None,
        };
        Some(self.use_cases.receive_hr_event(delivery).await.unwrap())
    }

    /// Lets time pass, and waits until nothing is due any more.
    pub async fn settle(&self) {
        drop(self.roster.tick());
        loop {
            let due = self
                .inbox
                .due(vpn_operator::clock::Clock::now(&*self.clock), 1)
                .await
                .unwrap();
            if due.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn has_access(&self, id: &str) -> bool {
        let person = self.roster.person(&CorporateId::parse(id).unwrap());
        person.is_some_and(|person| person.effective.access == Access::Granted)
    }

    /// Holds as they are.
    pub fn holds(&self, place: &Place) -> Vec<Standing> {
        let views = self.use_cases.holds(&HoldFilter::default());
        let mark = |name: &str| {
            let hold = place.source.hold(name)?;
            hold.annotations().get(vpn_operator::model::hr::HR_EVENT_AT).cloned()
        };
        let row = |view: vpn_operator::access::HoldView| {
            let at = mark(&view.name);
            (view.name, view.spec.from, view.spec.until, at)
        };
        views.into_iter().map(row).collect()
    }

    pub async fn events(&self) -> Vec<vpn_operator::inbox::StoredEvent> {
        self.inbox
            .list(vpn_operator::inbox::EventFilter::default(), 1000)
            .await
            .unwrap()
    }
}

/// Runs an operator in a runtime of its own: when this returns, nothing of it is left.
pub fn live<T>(place: &Place, crash: Arc<Crash>, life: impl AsyncFnOnce(&Operator) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let done = runtime.block_on(async {
        let operator = Operator::start(place, crash).await;
        life(&operator).await
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    done
}

/// The lock of a poisoned audit is as good as any.
pub fn audited(place: &Place, action: &str) -> usize {
    let audit = place.audit.lock().unwrap_or_else(PoisonError::into_inner);
    audit
        .iter()
        .filter(|entry| entry.action == action && entry.source == "hr")
        .count()
}
