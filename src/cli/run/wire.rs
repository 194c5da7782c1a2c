//! Builds the core out of its rooms, and starts its tasks.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use kube::runtime::reflector::{ObjectRef, store};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    RunError, backups, handout,
    live::Live,
    restored,
    source::{Cluster, Source},
    stores,
    tasks::Tasks,
};
use crate::{
    access::{
        Dependencies, HrDesk, HrGauges, HrSettings, Ids, LinkDesk, LivePeople, ProcessChecks, Settings, UseCases,
    },
    auth::listener::AuthEndpoint,
    backup::Backups,
    clock::SharedClock,
    cluster::audit_head::AuditHeadMap,
    config::{self, Config},
    credentials::MasterKey,
    fence::Fence,
    gateway::declared::Environment,
    history::{HeadFile, HeadPlace},
    inbox::{INBOX_FILE, Inbox},
    issue::{Derived, Issuer},
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
    roster::{Passwords, Roster},
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
        process,
        closing,
    } = inputs;
    let data = &config.state.data_dir;
    let history = stores::open_history(&data.join(config::HISTORY_FILE), key, clock)?;
    let audit = AuditKeeper::new(history.clone(), head_places(config, cluster.as_ref(), fence));
    let source = Source::open(config, cluster.as_ref(), fence, clock)?;
    let ids = stores::open_ids(data, &source, clock)?;
    let sources = source.secrets(data);
    let (imported, to_import) = Imported::new(sources.clone(), key.clone());
    let known = Arc::clone(&imported);
    let passwords: Passwords = Arc::new(move |user| known.password(user));
    let roster = Arc::new(Roster::new(key.clone(), Arc::clone(&passwords), Arc::clone(clock)));
    if cluster.is_some() {
        roster.trust_deletions();
    }
    let verdicts = stores::open_guard(config, &roster, clock);
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
        issuer: Issuer::new(keys, Arc::clone(&gateways) as _, config.public_url.clone())
            .with_forms(handout::forms(&config.handout)?, &handout::profiles(&config.handout)),
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
    let linking = stores::link_desk(config, key, &core, closing)?;
    let backups = backups::planned(config, &core.verdicts, clock);
    Ok(Wired {
        use_cases: use_cases(config, key, &core, ids, process, backups.clone(), linking)?,
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
    let ids = async {
        while let Err(error) = use_cases.begin_ids(&data_dir).await {
            tracing::warn!(%error, "the registry of corporate IDs is not ready: trying again");
            tokio::time::sleep(ID_RETRY).await;
        }
        while let Err(error) = use_cases.begin_links().await {
            tracing::warn!(%error, "the links to Telegram accounts are not ready: trying again");
            tokio::time::sleep(ID_RETRY).await;
        }
    };
    let handovers = async {
        while let Err(error) = use_cases.begin_handovers().await {
            tracing::warn!(%error, "the handed-over links are not ready: trying again");
            tokio::time::sleep(ID_RETRY).await;
        }
    };
    let begun = async { tokio::join!(ids, handovers) };
    if end.run_until_cancelled(begun).await.is_some() {
        end.cancelled().await;
    }
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

fn use_cases(
    config: &Config,
    key: &MasterKey,
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
        handovers: stores::open_handovers(&config.state.data_dir, key, &core.clock)?,
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
