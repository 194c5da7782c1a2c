//! One double for what the use cases need beside history and keys, with the rooms' contracts: writes are seen at once unless
//! `lag` is set, decisions are the model's own.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use axum::Router;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use secrecy::{ExposeSecret as _, SecretBox};
use tempfile::TempDir;
use tokio::sync::watch;
use vpn_operator::{
    access::{Dependencies, Directory, GatewayView, Ids, Links, People, Settings, UseCases, select},
    clock::ManualClock,
    config::{HISTORY_FILE, PublicUrl},
    credentials::MasterKey,
    desired::{
        DesiredError, DesiredState, FieldManager, HoldNotes, Result, SourceHealth, UserPatch, Version, Watches,
        id_claims::SoleIssuer,
    },
    gateway::{
        Backlog, Credentials, Link, NodeHealth, NodeName, RevocationProgress, Work, hysteria::ports::Ports,
        server::Server,
    },
    handover::{HANDOVER_FILE, Handovers},
    history::{History, HistoryError, Totals},
    http::{self, HttpState},
    issue::{Derived, Issuer, Linking},
    metrics::Metrics,
    model::{
        access::{Access, Decision, HoldSpan, Quota, Terms, decide},
        corporate_id::CorporateId,
        gateway::{Reachable, VpnGateway, VpnGatewayStatus},
        guard::{Budget, BudgetReport, Feed},
        hold::{VpnHold, VpnHoldSpec, VpnHoldStatus},
        session::Epoch,
        user::{VpnUser, VpnUserSpec, VpnUserStatus},
    },
    reconcile::auth_guard::AuthGuard,
    registry::{REGISTRY_FILE, Registrar, Registry, draw::SystemDraw},
    roster::{GuardReport, PendingDenial, Person, Several},
};

pub const SECRET: &str = "corporate-secret-of-today";
pub const PREVIOUS: &str = "corporate-secret-of-yesterday";

type Users = BTreeMap<String, Arc<VpnUser>>;
type Holds = BTreeMap<String, Arc<VpnHold>>;

#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault that a scenario switches on"
)]
pub struct Inner {
    pub users: Users,
    pub holds: Holds,
    seen: (Users, Holds),
    epochs: HashMap<String, u64>,
    revocations: HashMap<String, RevocationProgress>,
    pub writes: usize,
    /// Memory does not follow the source.
    pub lag: bool,
    pub nodes: usize,
    /// Nodes do not acknowledge kicks.
    pub nodes_down: bool,
    /// The first node has not answered for minutes.
    pub silent: bool,
    pub history_error: Option<HistoryError>,
    /// Writing the audit fails, and nobody knew before.
    pub history_breaks: bool,
    /// Writing the audit never comes back.
    pub history_stuck: bool,
    pub not_editable: bool,
    /// Gateways still speak of the revocation before this one.
    pub gateways_lag: bool,
    pub holds_unwritable: bool,
    pub users_unwritable: bool,
    pub unreadable: bool,
    pub not_synced: bool,
    pub problems: Vec<Arc<str>>,
    /// The guard holds back every consequence for these.
    pub guarded: Vec<CorporateId>,
    /// Holds that cannot be lifted.
    pub unliftable: Vec<String>,
    /// Lifts that are under way, and the most that ever were.
    pub lifts: (usize, usize),
    /// The guard's store does not take what the guard knows.
    pub guard_stuck: bool,
    /// A lift is done for a moment before its answer comes.
    pub lifted_slowly: bool,
    pub usage: HashMap<String, Totals>,
    pub public_url: String,
    /// No node has said anything yet.
    pub unheard: bool,
    pub panics: bool,
    /// Ports of every node; 443 alone without.
    pub ports: Option<String>,
    /// Traffic by day is never read to its end.
    pub traffic_stuck: bool,
}

pub struct World {
    pub inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
    pub clock: Arc<ManualClock>,
    ids: Arc<Ids>,
    pub handovers: Handovers,
    pub history: History,
    data: TempDir,
}

pub fn id(text: &str) -> CorporateId {
    CorporateId::parse(text).unwrap()
}

fn master_key() -> MasterKey {
    MasterKey::from_bytes(SecretBox::new(Box::new([7; 32])))
}

/// The password of somebody at a generation.
pub fn password(text: &str, generation: i64) -> String {
    let password = master_key().password(&id(text), generation);
    password.expose_secret().to_owned()
}

/// What is secret in the subscription link of somebody at a generation.
pub fn link_token(text: &str, generation: i64) -> String {
    let token = master_key().subscription_token(&id(text), generation);
    token.expose_secret().to_owned()
}

/// The last part of the subscription link of somebody at a generation.
pub fn link(text: &str, generation: i64) -> String {
    format!("{}.{}", id(text).key(), link_token(text, generation))
}

/// The path of the subscription link of somebody at a generation.
pub fn sub(text: &str, generation: i64) -> String {
    format!("/sub/{}", link(text, generation))
}

fn span(hold: &VpnHold) -> HoldSpan {
    HoldSpan {
        from: hold.spec.from,
        until: hold.spec.until,
    }
}

impl World {
    pub fn new() -> Arc<Self> {
        let clock = ManualClock::at("2026-05-01T12:00:00Z".parse().unwrap());
        let data = tempfile::tempdir().unwrap();
        let registry = Registry::open_or_retry(&data.path().join(REGISTRY_FILE), clock.clone()).unwrap();
        let registrar = Registrar::new(registry, Arc::new(SoleIssuer), Arc::new(SystemDraw));
        let key = master_key();
        let links = data.path().join(HANDOVER_FILE);
        let history = History::open(&data.path().join(HISTORY_FILE), key.audit_keys(), clock.clone()).unwrap();
        Arc::new(Self {
            history,
            handovers: Handovers::open_or_retry(&links, key.handover_key(), clock.clone()).unwrap(),
            inner: Mutex::new(Inner {
                nodes: 2,
                public_url: "https://vpn.example.com".to_owned(),
                ..Inner::default()
            }),
            changes: watch::Sender::new(0),
            clock,
            ids: Arc::new(Ids::new(registrar)),
            data,
        })
    }

    /// The data folder, with the registry in it.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    pub fn use_cases(self: &Arc<Self>) -> UseCases {
        UseCases::new(Dependencies {
            hr: None,
            linking: None,
            handovers: self.handovers.clone(),
            desired: self.clone(),
            people: self.clone(),
            directory: self.clone(),
            links: self.clone(),
            issuer: Issuer::new(
                Arc::new(Derived::new(
                    master_key(),
                    Arc::new(|_| Some("imported-password".into())),
                )),
                self.clone(),
                PublicUrl::parse(&self.lock().public_url).unwrap(),
            ),
            journal: self.clone(),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
            process: Arc::new(Vec::new),
            settings: Settings::default(),
        })
    }

    pub fn router(self: &Arc<Self>) -> Router {
        self.router_with(http::Settings {
            secrets: vec![SECRET.into(), PREVIOUS.into()],
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..http::Settings::default()
        })
    }

    pub fn router_with(self: &Arc<Self>, settings: http::Settings) -> Router {
        let metrics = Arc::new(Metrics::new());
        http::router(HttpState::new(self.use_cases(), metrics, self.clock.clone(), settings))
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Declares a user as a folder or a cluster would.
    pub fn declare(&self, text: &str, edit: impl FnOnce(&mut VpnUserSpec)) {
        let mut spec: VpnUserSpec = serde_json::from_value(serde_json::json!({ "corporateId": text })).unwrap();
        edit(&mut spec);
        let name = spec.corporate_id.object_name();
        self.change(|inner| {
            let mut user = VpnUser::new(&name, spec);
            user.metadata.generation = Some(1);
            inner.users.insert(name.clone(), Arc::new(user));
        });
    }

    /// Edits a user as a person would.
    pub fn edit(&self, text: &str, edit: impl FnOnce(&mut VpnUserSpec)) {
        let name = id(text).object_name();
        self.change(|inner| {
            let user = Arc::make_mut(inner.users.get_mut(&name).unwrap());
            edit(&mut user.spec);
            user.metadata.generation = user.metadata.generation.map(|generation| generation + 1);
        });
    }

    pub fn hold(&self, name: &str, spec: VpnHoldSpec) {
        self.change(|inner| {
            inner.holds.insert(name.to_owned(), Arc::new(VpnHold::new(name, spec)));
        });
    }

    /// As [`Self::hold`], with the time of its creation.
    pub fn hold_placed(&self, name: &str, spec: VpnHoldSpec) {
        let mut hold = VpnHold::new(name, spec);
        hold.metadata.creation_timestamp = Some(Time(self.clock_now()));
        self.change(|inner| inner.holds.insert(name.to_owned(), Arc::new(hold)));
    }

    /// Memory catches up with the source.
    pub fn catch_up(&self) {
        self.change(|inner| inner.lag = false);
    }

    /// Every node acknowledges every kick.
    pub fn contain(&self) {
        let now = self.clock_now();
        self.change(|inner| {
            inner.nodes_down = false;
            for progress in inner.revocations.values_mut() {
                progress.contained_at = Some(now);
                progress.waiting_for.clear();
            }
        });
    }

    pub fn clock_now(&self) -> Timestamp {
        use vpn_operator::clock::Clock as _;
        self.clock.now()
    }

    /// Changes the source; memory follows at once, unless it lags.
    pub fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let now = self.clock_now();
        let mut inner = self.lock();
        let before = inner.granted(now);
        let out = change(&mut inner);
        if !inner.lag {
            inner.seen = (inner.users.clone(), inner.holds.clone());
        }
        let after = inner.granted(now);
        for (account, generation) in before {
            if after.get(&account) != Some(&generation) {
                inner.revoke(&account, now);
            }
        }
        drop(inner);
        self.changes.send_modify(|count| *count += 1);
        out
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> Result<T>) -> Result<T> {
        self.change(|inner| {
            if inner.unreadable {
                return Err(DesiredError::Unavailable("the disk is gone".to_owned()));
            }
            change(inner)
        })
    }
}

impl Inner {
    fn terms(&self, id: &CorporateId) -> Option<Terms> {
        let user = self.seen.0.get(&id.object_name());
        let holds: Vec<HoldSpan> = self
            .seen
            .1
            .values()
            .filter(|hold| hold.spec.corporate_id == *id)
            .map(|hold| span(hold))
            .collect();
        if user.is_none() && holds.is_empty() {
            return None;
        }
        let spec = user.map(|user| &user.spec);
        Some(Terms {
            active: spec.is_some_and(|spec| spec.active),
            deleted: user.is_none_or(|user| user.metadata.deletion_timestamp.is_some()),
            conflict: false,
            valid_from: spec.and_then(|spec| spec.valid_from),
            valid_until: spec.and_then(|spec| spec.valid_until),
            quota: spec.and_then(|spec| spec.traffic.as_ref()).map(|traffic| Quota {
                limit: traffic.limit.get(),
                period: traffic.period,
            }),
            usage: self
                .usage
                .get(&id.account())
                .map(|totals| totals.usage)
                .unwrap_or_default(),
            holds,
        })
    }

    fn decision(&self, id: &CorporateId, now: Timestamp) -> Option<(Decision, Decision)> {
        let declared = decide(&self.terms(id)?, now);
        let mut effective = declared;
        let ordered = self.seen.1.values().any(|hold| {
            hold.spec.corporate_id == *id && span(hold).is_live(now) && Feed::of_source(&hold.spec.source).is_none()
        });
        if declared.access == Access::Denied && self.guarded.contains(id) && !ordered {
            effective.access = Access::Granted;
            effective.reason = vpn_operator::model::access::Reason::Active;
        }
        Some((effective, declared))
    }

    /// Accounts that auth lets in, with the generation of their passwords.
    fn granted(&self, now: Timestamp) -> HashMap<String, i64> {
        let users = self.seen.0.values();
        users
            .filter(|user| {
                let decision = self.decision(&user.spec.corporate_id, now);
                decision.is_some_and(|(effective, _)| effective.access == Access::Granted)
            })
            .map(|user| (user.spec.corporate_id.account(), user.spec.credential_generation))
            .collect()
    }

    fn revoke(&mut self, account: &str, now: Timestamp) {
        let epoch = self.epochs.entry(account.to_owned()).or_default();
        *epoch += 1;
        if self.gateways_lag {
            return;
        }
        let progress = RevocationProgress {
            below: Epoch(*epoch),
            denied_at: now,
            contained_at: (!self.nodes_down).then_some(now),
            sessions_zero_at: None,
            left_out: Vec::new(),
            withdrawn_at: None,
            waiting_for: if self.nodes_down {
                vec!["default/node0".to_owned()]
            } else {
                Vec::new()
            },
        };
        self.revocations.insert(account.to_owned(), progress);
    }
}

#[async_trait]
impl DesiredState for World {
    fn watch(&self) -> Watches {
        panic!("the shells do not watch")
    }
    fn health(&self) -> SourceHealth {
        let inner = self.lock();
        SourceHealth {
            synced: !inner.not_synced,
            unreadable_since: None,
            problems: inner.problems.clone(),
            refused_edits: Vec::new(),
        }
    }
    async fn get_user(&self, name: &str) -> Result<Option<VpnUser>> {
        let inner = self.lock();
        assert!(!inner.panics, "the source panics, as it was told to");
        if inner.unreadable {
            return Err(DesiredError::Unavailable("the disk is gone".to_owned()));
        }
        Ok(inner.users.get(name).map(|user| (**user).clone()))
    }
    async fn create_user(&self, name: &str, spec: VpnUserSpec, _: FieldManager) -> Result<VpnUser> {
        self.write(|inner| match inner.users.get(name) {
            Some(user) if user.spec == spec => Ok((**user).clone()),
            Some(_) => Err(DesiredError::AlreadyExists {
                kind: "VpnUser",
                name: name.to_owned(),
            }),
            None if inner.users_unwritable => Err(DesiredError::Unavailable("the folder is read-only".to_owned())),
            None => {
                let user = VpnUser::new(name, spec);
                inner.writes += 1;
                inner.users.insert(name.to_owned(), Arc::new(user.clone()));
                Ok(user)
            }
        })
    }
    async fn patch_user(&self, name: &str, patch: UserPatch, _: FieldManager) -> Result<VpnUser> {
        self.write(|inner| {
            if inner.not_editable {
                return Err(DesiredError::NotEditable {
                    name: name.to_owned(),
                    message: "the value is behind a YAML alias".to_owned(),
                });
            }
            let Some(user) = inner.users.get_mut(name) else {
                return Err(DesiredError::NotFound {
                    kind: "VpnUser",
                    name: name.to_owned(),
                });
            };
            let mut next = (**user).clone();
            next.spec = patch.applied_to(&user.spec);
            let marks = patch.marks_on(user).annotations();
            next.metadata.annotations = (!marks.is_empty()).then_some(marks);
            if next != **user {
                inner.writes += 1;
                next.metadata.generation = next.metadata.generation.map(|generation| generation + 1);
            }
            *user = Arc::new(next.clone());
            Ok(next)
        })
    }
    async fn delete_user(&self, _: &str, _: FieldManager) -> Result<()> {
        panic!("nobody deletes users over HTTP")
    }
    async fn create_hold(
        &self,
        name: &str,
        spec: VpnHoldSpec,
        notes: HoldNotes<'_>,
        _: FieldManager,
    ) -> Result<VpnHold> {
        tokio::task::yield_now().await;
        let now = self.clock_now();
        self.write(|inner| {
            if inner.holds_unwritable {
                return Err(DesiredError::Unavailable("the data folder is read-only".to_owned()));
            }
            match inner.holds.get(name) {
                Some(hold) if hold.spec == spec => Ok((**hold).clone()),
                Some(_) => Err(DesiredError::AlreadyExists {
                    kind: "VpnHold",
                    name: name.to_owned(),
                }),
                None => {
                    let mut hold = VpnHold::new(name, spec);
                    hold.metadata.creation_timestamp = Some(Time(now));
                    hold.metadata.annotations = Some(notes.annotations());
                    inner.writes += 1;
                    hold.metadata.uid = Some(format!("uid-{}", inner.writes));
                    inner.holds.insert(name.to_owned(), Arc::new(hold.clone()));
                    Ok(hold)
                }
            }
        })
    }
    async fn lift_hold(&self, name: &str, _: FieldManager) -> Result<()> {
        {
            let lifts = &mut self.lock().lifts;
            *lifts = (lifts.0 + 1, lifts.1.max(lifts.0 + 1));
        }
        tokio::task::yield_now().await;
        let lifted = self.write(|inner| {
            inner.lifts.0 -= 1;
            if inner.unliftable.iter().any(|it| it == name) {
                return Err(DesiredError::Unavailable("the data folder is read-only".to_owned()));
            }
            match inner.holds.remove(name) {
                Some(_) => {
                    inner.writes += 1;
                    Ok(())
                }
                None => Err(DesiredError::NotFound {
                    kind: "VpnHold",
                    name: name.to_owned(),
                }),
            }
        });
        if self.lock().lifted_slowly {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        lifted
    }
    async fn report_user(&self, _: &VpnUser, _: VpnUserStatus) -> Result<Version> {
        panic!("shells report nothing")
    }
    async fn report_hold(&self, _: &VpnHold, _: VpnHoldStatus) -> Result<()> {
        panic!("shells report nothing")
    }
    async fn report_gateway(&self, _: &VpnGateway, _: VpnGatewayStatus) -> Result<()> {
        panic!("shells report nothing")
    }
    async fn add_user_finalizer(&self, _: &VpnUser) -> Result<()> {
        panic!("shells guard nothing")
    }
    async fn add_hold_finalizer(&self, _: &VpnHold) -> Result<()> {
        panic!("shells guard nothing")
    }
    async fn add_gateway_finalizer(&self, _: &VpnGateway) -> Result<()> {
        panic!("shells guard nothing")
    }
    async fn delete_gateway(&self, _: &str) -> Result<()> {
        panic!("shells delete no gateway")
    }
    async fn remove_user_finalizer(&self, _: &str) -> Result<()> {
        panic!("shells release nothing")
    }
    async fn remove_hold_finalizer(&self, _: &str) -> Result<()> {
        panic!("shells forget nothing")
    }
    async fn remove_gateway_finalizer(&self, _: &str) -> Result<()> {
        panic!("shells release nothing")
    }
}

#[async_trait]
impl People for World {
    async fn guard_kept(&self) {
        if self.lock().guard_stuck {
            std::future::pending::<()>().await;
        }
    }
    fn is_loaded(&self) -> bool {
        !self.lock().not_synced
    }
    fn access(&self, id: &CorporateId) -> Access {
        self.person(id).map_or(Access::Denied, |person| person.effective.access)
    }
    fn person(&self, id: &CorporateId) -> Option<Person> {
        let now = self.clock_now();
        let inner = self.lock();
        let (effective, declared) = inner.decision(id, now)?;
        let user = inner.seen.0.get(&id.object_name());
        let live = |held_back: bool| -> Vec<String> {
            let holds = inner.seen.1.iter().filter(|(_, hold)| {
                let waits = inner.guarded.contains(id) && Feed::of_source(&hold.spec.source).is_some();
                hold.spec.corporate_id == *id && span(hold).is_live(now) && waits == held_back
            });
            holds.map(|(name, _)| name.clone()).collect()
        };
        Some(Person {
            corporate_id: user.map_or_else(|| id.clone(), |user| user.spec.corporate_id.clone()),
            user: user.map(|_| id.object_name()),
            account: id.account(),
            effective,
            declared,
            held_back_since: (effective != declared).then_some(now),
            live_holds: live(false),
            held_back_holds: live(true),
            lost_holds: Vec::new(),
            other_holds: Vec::new(),
            rejected_holds: Vec::new(),
            held_back: Vec::new(),
            kept_gateways: None,
            verdict: 0,
            has_password: true,
            generation: 1,
            epoch: Epoch(inner.epochs.get(&id.account()).copied().unwrap_or_default()),
            sessions: 0,
        })
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
    fn guard(&self, most: usize) -> GuardReport {
        let since = self.clock_now();
        let inner = self.lock();
        let mut pending = Several::none();
        for id in &inner.guarded {
            pending.add(most, || PendingDenial {
                corporate_id: id.clone(),
                cause: "Held".to_owned(),
                budget: Budget::Hr,
                since,
            });
        }
        GuardReport {
            pending,
            rejected: Several::none(),
            budgets: vec![
                BudgetReport {
                    budget: Budget::Declared,
                    limit: Some(10),
                    used: 4,
                    waiting: 0,
                },
                BudgetReport {
                    budget: Budget::Hr,
                    limit: Some(10),
                    used: 10,
                    waiting: inner.guarded.len(),
                },
                BudgetReport {
                    budget: Budget::Usage,
                    limit: None,
                    used: 3,
                    waiting: 0,
                },
            ],
            orders: 7,
            window: SignedDuration::from_mins(10),
        }
    }
    fn order_begins(&self, _: &str, _: &str) {}
    fn order_ends(&self, _: &str) -> bool {
        true
    }
    fn guard_store(&self) -> Vec<String> {
        Vec::new()
    }
    fn confirm(&self, ids: Option<&[CorporateId]>) {
        self.change(|inner| inner.guarded.retain(|id| ids.is_some_and(|ids| !ids.contains(id))));
    }
    fn cancel(&self, ids: Option<&[CorporateId]>) {
        self.confirm(ids);
    }
}

impl Directory for World {
    fn user(&self, name: &str) -> Option<Arc<VpnUser>> {
        self.lock().seen.0.get(name).cloned()
    }
    fn users(&self, after: Option<&str>, limit: usize, keep: &mut dyn FnMut(&VpnUser) -> bool) -> Vec<Arc<VpnUser>> {
        let users: Vec<Arc<VpnUser>> = self.lock().seen.0.values().rev().cloned().collect();
        select(users.into_iter(), after, limit, keep)
    }
    fn hold(&self, name: &str) -> Option<Arc<VpnHold>> {
        self.lock().seen.1.get(name).cloned()
    }
    fn holds(&self) -> Vec<Arc<VpnHold>> {
        self.lock().seen.1.values().cloned().collect()
    }
    fn unobserved(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Links for World {
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
    fn revocation(&self, account: &str) -> Option<RevocationProgress> {
        self.lock().revocations.get(account).cloned()
    }
    fn sessions(&self, _: &str) -> u32 {
        if self.lock().unheard { 0 } else { 3 }
    }
    fn health(&self) -> Vec<NodeHealth> {
        let at = self.clock_now();
        let inner = self.lock();
        let node = |node| NodeHealth {
            node: NodeName(format!("default/node{node}").into()),
            polled_at: (!inner.unheard).then_some(at),
            error: inner.nodes_down.then(|| "connection refused".to_owned()),
            sessions: 0,
            proves: true,
            reachable: Reachable::Unknown,
            faulty: false,
            undeclared: false,
        };
        (0..inner.nodes).map(node).collect()
    }
    fn gateways(&self) -> Vec<GatewayView> {
        let backlog = Backlog::NONE.with(Work::Add, 40).with(Work::Block, 2);
        let gateway = GatewayView {
            name: "default".to_owned(),
            kind: Some("blitz"),
            nodes: Links::health(self),
            backlog: backlog.taking(Some(Duration::from_secs(61))),
            refusal: None,
        };
        vec![
            GatewayView::refused("zurich".to_owned(), "its token cannot be read".to_owned()),
            gateway,
        ]
    }
}

impl Linking for World {
    fn links(&self, _: &str, _: &Credentials) -> Vec<Link> {
        let inner = self.lock();
        let ports = inner.ports.as_deref().unwrap_or("443");
        let link = |node| {
            let server = Server {
                name: format!("node{node}"),
                host: format!("n{node}.example.com"),
                ports: Ports::parse(ports).unwrap(),
                sni: Some("vpn".to_owned()),
                pin_sha256: None,
                insecure: false,
                certificate: None,
                obfs: None,
            };
            Link::new(Arc::new(server))
        };
        let mut links: Vec<Link> = (0..inner.nodes).map(link).collect();
        // As if the first had not answered for minutes.
        if let Some(first) = links.first_mut() {
            first.silent = inner.silent;
        }
        links
    }
}
