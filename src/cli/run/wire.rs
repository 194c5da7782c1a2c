//! Builds the core out of its rooms, and starts its tasks.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kube::runtime::reflector::{ObjectRef, store};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    RunError, backups,
    live::Live,
    restored,
    source::{Cluster, Source},
    tasks::Tasks,
};
use crate::{
    access::{
        Dependencies, HrDesk, HrGauges, HrSettings, Ids, LinkDesk, LinkSettings, LivePeople, ProcessChecks, Settings,
        UseCases,
    },
    auth::listener::AuthEndpoint,
    backup::Backups,
    clock::SharedClock,
    cluster::audit_head::AuditHeadMap,
    config::{self, Config},
    credentials::MasterKey,
    fence::Fence,
    gateway::declared::Environment,
    history::{HeadFile, HeadPlace, History, HistoryError},
    inbox::{INBOX_FILE, Inbox},
    issue::{Derived, Issuer},
    linking::{LINKING_FILE, Linking},
    mail::{Post, Smtp},
    metrics::Metrics,
    model::{gateway::BlitzGateway, user::VpnUser},
    reconcile::{
        access_record::AccessRecord,
        access_writer,
        audit_keeper::AuditKeeper,
        backoff::Backoff,
        core::{Core, Queue},
        gateway_convergence,
        gateways::{self, Gateways},
        hold_work::HoldWork,
        holds,
        imported::{self, Imported},
        intake,
        overdue::Unobserved,
        runner, see_off,
        status_write_cache::StatusWriteCache,
        unobserved, upkeep,
        usage::UsageBook,
    },
    registry::{REGISTRY_FILE, Registrar, Registry, draw::SystemDraw},
    roster::{Passwords, Roster},
    verdicts::{GUARD_FILE, VerdictStore},
};

/// The core, wired and not yet running.
pub struct Wired {
    /// What every part of it shares.
    pub core: Arc<Core>,
    /// The use cases.
    pub use_cases: UseCases,
    /// What nodes ask.
    pub endpoint: Arc<AuthEndpoint>,
    /// Joins the tasks of gateways.
    pub nodes: TaskTracker,
    /// Keeps the audit.
    pub audit: Arc<AuditKeeper>,
    backups: Option<Arc<Backups>>,
    source: Source,
    writers: intake::Writers,
    work: Work,
    data_dir: PathBuf,
}

/// What waits to be worked on.
struct Work {
    users: UnboundedReceiver<ObjectRef<VpnUser>>,
    holds: UnboundedReceiver<String>,
    passwords: UnboundedReceiver<imported::Touched>,
    completions: UnboundedReceiver<HashSet<String>>,
}

/// What the core stands on.
pub struct WireInputs {
    /// The cluster that desired state lives in.
    pub cluster: Option<Cluster>,
    /// Open while this process may act.
    pub fence: Fence,
    /// What the process counts.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: SharedClock,
    /// What the process finds of its surroundings.
    pub process: ProcessChecks,
    /// Cancelled when no new requests are taken any more.
    pub closing: CancellationToken,
}

/// Wires the core.
///
/// # Errors
/// Desired state or history cannot be opened.
pub async fn wire(
    config: &Config,
    key: &MasterKey,
    inputs: &WireInputs,
    cancel: CancellationToken,
) -> Result<Wired, RunError> {
    let WireInputs {
        cluster,
        fence,
        metrics,
        clock,
        ..
    } = inputs;
    let data = &config.state.data_dir;
    let history = open_history(&data.join(config::HISTORY_FILE), key, clock)?;
    let audit = AuditKeeper::new(history.clone(), head_places(config, cluster.as_ref(), fence));
    let source = Source::open(config, cluster.as_ref(), fence, clock)?;
    let ids = Arc::new(Ids::new(Registrar::new(
        open_registry(data, clock)?,
        source.id_claims(),
        Arc::new(SystemDraw),
    )));
    let sources = source.secrets(data);
    let (imported, to_import) = Imported::new(sources.clone(), key.clone());
    let known = Arc::clone(&imported);
    let passwords: Passwords = Arc::new(move |user| known.password(user));
    let roster = Arc::new(Roster::new(key.clone(), Arc::clone(&passwords), Arc::clone(clock)));
    if cluster.is_some() {
        roster.trust_deletions();
    }
    let verdicts = open_guard(config, &roster, clock);
    let endpoint = AuthEndpoint::new(roster.index(), Arc::clone(metrics));
    let usage = UsageBook::open(history.clone(), Arc::clone(clock)).await;
    // Nobody is known yet: this only lets the first load see who is over quota.
    let _ = roster.apply(usage.inputs());

    let nodes = TaskTracker::new();
    let (completions, completed) = mpsc::unbounded_channel();
    let (queue, queued) = mpsc::unbounded_channel();
    let (hold_work, touched_holds) = HoldWork::new();
    let ((users, user_writer), (held, hold_writer), (declared, gateway_writer)) = (store(), store(), store());
    let (namespace, word) = source.place();
    let gateways = Arc::new(Gateways::new(gateways::Dependencies {
        environment: environment(config),
        sources,
        index: roster.index(),
        endpoint: Arc::clone(&endpoint),
        completions,
        clock: Arc::clone(clock),
        // The folder is this process's alone.
        fence: fence.clone(),
        metrics: Arc::clone(metrics),
        alone: cluster.is_none(),
        tasks: nodes.clone(),
        cancel,
    }));
    let keys = Arc::new(Derived::new(key.clone(), Arc::clone(&passwords)));
    let core = Arc::new(Core {
        issuer: Issuer::new(keys, Arc::clone(&gateways) as _, config.public_url.clone()),
        desired: source.desired(),
        gateways,
        roster,
        history,
        usage: Arc::clone(&usage),
        clock: Arc::clone(clock),
        metrics: Arc::clone(metrics),
        users,
        holds: held,
        declared_gateways: declared,
        queue: Queue(queue),
        imported,
        hold_work,
        access_record: AccessRecord::default(),
        linked: Arc::default(),
        orders: Arc::default(),
        backoff: Backoff::default(),
        verdicts,
        namespace,
        source: word,
        fence: fence.clone(),
        status_writes: StatusWriteCache::default(),
        unobserved: Unobserved::default(),
        cluster_outputs: source.outputs(),
    });
    core.follow_usage();
    core.answer_inquiries();
    let linking = link_desk(config, key, &core, closing)?;
    let backups = backups::planned(config, &core.verdicts, clock);
    Ok(Wired {
        use_cases: use_cases(config, &core, ids, process, backups.clone(), linking)?,
        backups,
        core,
        endpoint,
        nodes,
        audit,
        source,
        writers: intake::Writers {
            users: user_writer,
            holds: hold_writer,
            gateways: gateway_writer,
        },
        work: Work {
            users: queued,
            holds: touched_holds,
            passwords: to_import,
            completions: completed,
        },
        data_dir: data.clone(),
    })
}

impl Wired {
    /// Starts the tasks of the core.
    pub fn start(self, tasks: &mut Tasks) {
        let Self {
            core,
            use_cases,
            audit,
            backups,
            source,
            writers,
            work,
            data_dir,
            ..
        } = self;
        let (ctx, end) = (|| Arc::clone(&core), tasks.core_token());
        let end = || end.clone();
        let watches = core.desired.watch();
        source.start(&core, tasks);
        tasks.core("the intake", intake::run(watches, writers, ctx(), intake::TICK, end()));
        tasks.core("the record of access", access_writer::run(ctx(), end()));
        tasks.core("the reconciler", runner::run(ctx(), work.users, end()));
        tasks.core("the hold reporter", holds::run(ctx(), work.holds, end()));
        tasks.core("the gateway keeper", gateway_convergence::run(ctx(), end()));
        tasks.core("the password reader", imported::run(ctx(), work.passwords, end()));
        tasks.core("the traffic book", Arc::clone(&core.usage).run(end()));
        tasks.core("the completions", upkeep::completions(ctx(), work.completions, end()));
        tasks.core("the guard's memory", upkeep::keep_guard(ctx(), end()));
        tasks.core("the look for what is overdue", unobserved::run(ctx(), end()));
        tasks.core("those who are gone", see_off::resume(ctx(), end()));
        tasks.core(
            "the HR events",
            use_cases.clone().carry_out_hr_events(hr_gauges(&core), end()),
        );
        tasks.core("what is to be forgotten", use_cases.clone().keep_forgetting(end()));
        if let Some(backups) = backups {
            let (metrics, clock) = (Arc::clone(&core.metrics), Arc::clone(&core.clock));
            tasks.core("the backups", backups::run(backups, metrics, clock, end()));
        }
        let history = core.history.clone();
        tasks.core("what was restored", restored::tell(history, data_dir.clone(), end()));
        tasks.core("the keeper of the audit", Arc::clone(&audit).run(end()));
        tasks.core("the walk along the audit", audit.watch(end()));
        tasks.core("the gauges", upkeep::gauges(ctx(), end()));
        tasks.core("the codes for linking", use_cases.clone().send_link_codes(end()));
        tasks.core("the notices", use_cases.clone().find_notices(end()));
        tasks.core("the corporate IDs", begin_ids(use_cases, data_dir, end()));
    }
}

fn hr_gauges(core: &Core) -> HrGauges {
    let metrics = Arc::clone(&core.metrics);
    Arc::new(move |waiting, oldest| metrics.hr_waiting(&waiting.counts(), oldest))
}

/// Pause between attempts to make the registry of corporate IDs ready.
const ID_RETRY: Duration = Duration::from_secs(5);

/// Makes the registry ready, and tries again while something is unavailable. Ends when told to.
async fn begin_ids(use_cases: UseCases, data_dir: PathBuf, end: CancellationToken) {
    let begun = async {
        while let Err(error) = use_cases.begin_ids(&data_dir).await {
            tracing::warn!(%error, "the registry of corporate IDs is not ready: trying again");
            tokio::time::sleep(ID_RETRY).await;
        }
        while let Err(error) = use_cases.begin_links().await {
            tracing::warn!(%error, "the links to Telegram accounts are not ready: trying again");
            tokio::time::sleep(ID_RETRY).await;
        }
    };
    if end.run_until_cancelled(begun).await.is_some() {
        end.cancelled().await;
    }
}

/// One that cannot be opened stands in nobody's way.
fn open_registry(data: &Path, clock: &SharedClock) -> Result<Registry, RunError> {
    let registry = Registry::open_or_retry(&data.join(REGISTRY_FILE), Arc::clone(clock))?;
    if let Some(error) = registry.last_error() {
        tracing::error!(%error, "starting without the registry of corporate IDs: none are issued, logins and denials work");
    }
    Ok(registry)
}

/// The guard's store, and the roster with its limits and what it decided before.
fn open_guard(config: &Config, roster: &Roster, clock: &SharedClock) -> Arc<VerdictStore> {
    let path = config.state.data_dir.join(GUARD_FILE);
    let (verdicts, memory) = VerdictStore::open(&path, Arc::clone(clock), config.guard.window());
    roster.set_limits(config.guard.clone());
    roster.restore(memory);
    Arc::new(verdicts)
}

/// A database of a newer version stops the start; any other trouble must not keep auth from answering.
fn open_history(path: &Path, key: &MasterKey, clock: &SharedClock) -> Result<History, RunError> {
    // Every operator that acted in this folder has a memory of the guard.
    let was_used = path.with_file_name(GUARD_FILE).exists();
    if was_used && std::fs::metadata(path).map_or(true, |file| file.len() == 0) {
        tracing::error!(
            path = %path.display(),
            "the history is missing or empty although this data folder was used before: the audit begins anew, and traffic counts from \
             what was reported last; stop the operator and put a backup back if that is not meant"
        );
    }
    let history = History::open_or_retry(path, key.audit_keys(), Arc::clone(clock))?;
    match history.last_error() {
        Some(error @ HistoryError::Newer { .. }) => return Err(error.into()),
        Some(error) => tracing::error!(%error, "starting without history: grants are refused, logins and denials work"),
        None => {}
    }
    Ok(history)
}

/// Where the end of the audit is published.
fn head_places(config: &Config, cluster: Option<&Cluster>, fence: &Fence) -> Vec<Arc<dyn HeadPlace>> {
    let file = Arc::new(HeadFile::new(&config.state.audit_head()));
    let map = cluster.map(|cluster| AuditHeadMap::new(&cluster.client, &cluster.namespace, fence));
    let map = map.map(|map| Arc::new(map) as Arc<dyn HeadPlace>);
    map.into_iter().chain([file as Arc<dyn HeadPlace>]).collect()
}

pub fn environment(config: &Config) -> Environment {
    let gateway = config.default_gateway();
    let named: Vec<_> = gateway
        .spec
        .hysteria
        .iter()
        .flat_map(|hysteria| &hysteria.nodes)
        .flat_map(|node| {
            [
                node.stats_secret.clone(),
                node.obfs.as_ref().map(|o| o.password.clone()),
                node.auth_token.clone(),
            ]
        })
        .flatten()
        .chain(gateway.spec.blitz.iter().flat_map(BlitzGateway::secrets).cloned())
        .collect();
    let known = named
        .into_iter()
        .filter_map(|source| gateway.secret(&source).cloned().map(|secret| (source, secret)))
        .collect();
    Environment {
        known,
        spec: gateway.spec,
        auth_token: gateway.auth_token.unwrap_or_default(),
        stats_secret: gateway.stats_secret.unwrap_or_default(),
        undeclared: gateway.undeclared,
        poll_interval: config.times.hysteria_poll_interval,
    }
}

/// The desk at which Telegram accounts are linked. A file that cannot be opened stands in nobody's way.
fn link_desk(
    config: &Config,
    key: &MasterKey,
    core: &Arc<Core>,
    closing: &CancellationToken,
) -> Result<Arc<LinkDesk>, RunError> {
    let path = config.state.data_dir.join(LINKING_FILE);
    let (keys, limits) = (key.link_code_key(), config.linking.limits());
    let linking = Linking::open_or_retry(&path, keys, limits, Arc::clone(&core.clock))?;
    if let Some(error) = linking.last_error() {
        tracing::error!(%error, "starting without the links to Telegram accounts: logins and denials work");
    }
    let post = config.mail.as_ref().map(Smtp::new).transpose()?;
    let usage = Arc::clone(&core.usage);
    Ok(LinkDesk::new(
        linking,
        Arc::clone(&core.linked),
        Arc::new(move |account| usage.usage(account)),
        Arc::clone(&core.metrics),
        LinkSettings {
            post: post.map(|post| Arc::new(post) as Arc<dyn Post>),
            title: crate::http::Settings::default().title,
            closing: closing.clone(),
        },
    ))
}

fn use_cases(
    config: &Config,
    core: &Arc<Core>,
    ids: Arc<Ids>,
    process: &ProcessChecks,
    backups: Option<Arc<Backups>>,
    linking: Arc<LinkDesk>,
) -> Result<UseCases, RunError> {
    let inbox = Inbox::open_or_retry(&config.state.data_dir.join(INBOX_FILE), Arc::clone(&core.clock))?;
    let dispatch = {
        let core = Arc::clone(core);
        Arc::new(move |transitions| core.dispatch(transitions))
    };
    let live = Arc::new(Live(Arc::clone(core)));
    Ok(UseCases::new(Dependencies {
        desired: Arc::clone(&core.desired),
        people: Arc::new(LivePeople::new(
            Arc::clone(&core.roster),
            dispatch,
            Arc::clone(&core.verdicts),
            Arc::clone(&core.orders),
        )),
        directory: Arc::clone(&live) as _,
        links: live,
        issuer: core.issuer.clone(),
        journal: Arc::new(core.history.clone()),
        ids,
        clock: Arc::clone(&core.clock),
        process: backups::checks(backups.as_ref(), process, &core.clock),
        settings: Settings {
            data_dir: Some(config.state.data_dir.clone()),
            backups,
            ..Settings::default()
        },
        hr: Some(HrDesk::new(inbox, hr_settings(config), core.fence.clone())),
        linking: Some(linking),
    }))
}

fn hr_settings(config: &Config) -> HrSettings {
    let webhook = &config.webhook;
    HrSettings {
        keys: webhook.keys.clone(),
        allow_unsigned: webhook.allow_unsigned,
        zone: Some(webhook.time_zone.clone()),
    }
}
