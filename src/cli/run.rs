//! `vpn-operator run`: wires the rooms together and joins every task.

mod backups;
mod bot;
mod data_folder;
mod handout;
mod live;
mod replica;
mod restored;
mod simulated;
mod source;
mod stores;
mod swappable_router;
mod tasks;
mod wire;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::{simulated::Simulated, source::lead, swappable_router::SwappableRouter, tasks::log_failure};
// The core without the process around it.
pub(super) use self::bot::api as bot_api;
pub(super) use self::data_folder::own as own_data_folder;
pub use self::{
    data_folder::DataFolderError,
    simulated::{SimulationError, refuse_beside},
    source::{Cluster, connect},
    tasks::Tasks,
    wire::{WireInputs, Wired, wire},
};
use super::{output::Output, surroundings, welcome};
use crate::{
    bot::Standing,
    clock::{SharedClock, SystemClock},
    cluster::lease::Leadership,
    config::{self, Components, Config, ConfigError, DesiredLocation},
    credentials::{KeyError, MasterKey, Origin},
    desired::DesiredError,
    fence::Fence,
    history::HistoryError,
    http::{self, HttpState},
    mail::MailError,
    metrics::{Listener, Metrics},
    model::access::Access::Granted,
    reconcile::{core::Core, namespace_teardown},
    serve::{Connections, Descriptors, TlsError, TlsFiles, serve},
};

/// Why the operator could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A listener's address cannot be used.
    #[error("cannot listen at {address} ({setting}): {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The data folder.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The master key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A secret of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// History, or the inbox of HR events.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Mail.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// Desired state.
    #[error(transparent)]
    Desired(#[from] DesiredError),
    /// Declared gateways cannot be looked at.
    #[error("the declared gateways cannot be read: {0}")]
    Nodes(String),
    /// A simulation beside something real.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// The cluster.
    #[error("the cluster cannot be used: {0}")]
    Cluster(String),
    /// The Telegram bot.
    #[error("the bot cannot run: {0}")]
    Bot(String),
    /// A part of the operator ended although nobody asked it to.
    #[error("{0} ended unexpectedly: see the log")]
    Ended(&'static str),
}

/// Secrets that the operator has of its own.
struct OwnSecrets {
    key: MasterKey,
    first_run: bool,
}

/// Runs the operator until `shutdown` is cancelled, then drains: no new requests, those under way to their end, then the core.
/// With `simulate`, on a simulated node.
///
/// # Errors
/// It could not start, or a part of it ended unexpectedly.
pub async fn run(config: Config, simulate: bool, shutdown: CancellationToken) -> Result<(), RunError> {
    if let Some(warning) = config.guard.warning() {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = config.webhook.warning() {
        tracing::warn!("{warning}");
    }
    match config.cluster.components {
        Components::All => Box::pin(run_all(config, simulate, shutdown)).await,
        Components::Auth => replica::run(config, shutdown).await,
        Components::Bot => bot::run(config, shutdown).await,
    }
}

async fn run_all(mut config: Config, simulate: bool, shutdown: CancellationToken) -> Result<(), RunError> {
    let simulated = simulate.then(|| Simulated::prepare(&mut config)).transpose()?;
    let _owner = data_folder::own(&config.state.data_dir)?;
    simulated::keep_data_apart(&config.state.data_dir, simulate)?;
    let secrets = own_secrets(&mut config)?;
    let (auth_tls, api_tls) = (tls(config.auth_tls.as_ref())?, tls(config.api_tls.as_ref())?);
    let api_settings = http_settings(&config, simulate)?;
    let clock: SharedClock = Arc::new(SystemClock);
    let api_socket = listen(config.listen.api, "LISTEN_ADDR")?;
    let auth_socket = listen(config.listen.auth, "HYSTERIA_AUTH_LISTEN")?;
    let auth_address = auth_socket.local_addr().unwrap_or(config.listen.auth);
    let mut tasks = Tasks::new();
    let metrics = Arc::new(Metrics::new());
    let routes = SwappableRouter::new(http::waiting(Arc::clone(&metrics)));
    let descriptors = Descriptors::raise();
    let api_connections = Connections::of(Listener::Api, descriptors, &metrics);
    let auth_connections = Connections::of(Listener::Auth, descriptors, &metrics);
    let api = serve(
        api_socket,
        routes.router(),
        api_tls,
        api_connections,
        tasks.front_token(),
    );
    tasks.front("the HTTP API", log_failure(api));
    let cluster = match config.state.desired {
        DesiredLocation::Kubernetes => Some(Cluster::infer(&config).await?),
        DesiredLocation::Folder(_) => None,
    };
    let leadership = match &cluster {
        Some(cluster) => match lead(cluster, &clock, &shutdown).await {
            Some(leadership) => Some(leadership),
            None => return Ok(()),
        },
        None => None,
    };
    let fence = leadership.as_ref().map_or_else(Fence::always_open, Leadership::fence);
    if let Some(leadership) = &leadership {
        tasks.core("the lease", leadership_lost(leadership, tasks.core_token()));
    }
    let standing = Arc::new(Standing::default());
    let inputs = WireInputs {
        cluster,
        fence,
        metrics,
        clock: Arc::clone(&clock),
        process: bot::checks(&config, &standing, surroundings::checks(&config, descriptors)),
        closing: tasks.front_token(),
    };
    let wired = wire(&config, &secrets.key, &inputs, tasks.core_token()).await?;
    let Wired {
        core,
        use_cases,
        endpoint,
        nodes,
        audit,
        ..
    } = &wired;
    let (core, use_cases, nodes, audit) = (Arc::clone(core), use_cases.clone(), nodes.clone(), Arc::clone(audit));
    let auth = serve(
        auth_socket,
        endpoint.router(),
        auth_tls,
        auth_connections,
        tasks.core_token(),
    );
    tasks.core("the auth listener", log_failure(auth));
    let state = HttpState::new(
        use_cases.clone(),
        Arc::clone(&core.metrics),
        Arc::clone(&clock),
        api_settings,
    );
    let router = http::router(state);
    routes.set(router.clone());
    bot::start(&config, router, &standing, &clock, &mut tasks)?;
    wired.start(&mut tasks);
    if let Some(simulated) = simulated {
        simulated.start(&config, &core, auth_address, &mut tasks);
    }

    let drain = CancellationToken::new();
    let last_duty = last_duty(shutdown, inputs.cluster, Arc::clone(&core), drain.clone());
    let _last_duty = AbortOnDropHandle::new(tokio::spawn(last_duty));
    let ended = tokio::select! {
        ended = tasks.until(drain, use_cases.drain()) => ended,
        () = announced(&config, &secrets, simulate, &core) => None,
    };
    nodes.close();
    nodes.wait().await;
    audit.finish().await;
    if let Some(leadership) = leadership {
        leadership.release().await;
    }
    tracing::info!("drained");
    if simulate {
        simulated::overtaken(&config, &core)?;
    }
    ended.map_or(Ok(()), |name| Err(RunError::Ended(name)))
}

/// Passes `shutdown` on, after the last duty in a namespace that is being deleted.
async fn last_duty(shutdown: CancellationToken, cluster: Option<Cluster>, core: Arc<Core>, drain: CancellationToken) {
    shutdown.cancelled().await;
    if let Some(cluster) = cluster
        && cluster.is_ending().await
    {
        namespace_teardown::delete_everything(core).await;
    }
    drain.cancel();
}

/// Ends when the lease is lost: then another process acts, and this one has to go.
fn leadership_lost(leadership: &Leadership, end: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
    let lost = leadership.lost();
    async move {
        if end.run_until_cancelled(lost).await.is_some() {
            tracing::error!("the lease is lost: another process may act now, and this one ends");
        }
    }
}

/// Connections that the kernel keeps until they are taken up; it may be set to keep fewer. One that finds no room comes a second
/// later, behind those that came after it: the standard library's 128 are few when a node begins again with all its clients.
const BACKLOG: i32 = 4096;

fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, RunError> {
    let socket = TcpListener::bind(address).and_then(|socket| {
        rustix::net::listen(&socket, BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    socket.map_err(|error| RunError::Listen {
        address,
        setting,
        error,
    })
}

/// The operator's own secrets. What nobody gave is made and kept in the data folder; the log names the files.
fn own_secrets(config: &mut Config) -> Result<OwnSecrets, RunError> {
    let given = &config.secrets;
    let value = |secret: &Option<config::secrets::Secret>| secret.as_ref().map(|secret| secret.value.clone());
    let (key, origin) = MasterKey::load_or_rotate(
        &config.state.data_dir,
        value(&given.master_key),
        value(&given.master_key_previous),
    )?;
    let mut made = config.complete_secrets()?;
    if let Origin::Created(path) = origin {
        made.push(path);
    }
    for file in &made {
        tracing::info!(file = %file.display(), "made a secret: back this file up");
    }
    Ok(OwnSecrets {
        key,
        first_run: !made.is_empty(),
    })
}

fn http_settings(config: &Config, simulated: bool) -> Result<http::Settings, RunError> {
    let secrets = [&config.secrets.corporate, &config.secrets.corporate_previous];
    let usual = http::Settings::default();
    Ok(http::Settings {
        secrets: secrets
            .into_iter()
            .flatten()
            .map(|secret| secret.value.clone())
            .collect(),
        clients: config.api_clients.clone(),
        trusted_proxies: config.trusted_proxies.clone(),
        failures_per_minute: config.failed_attempts,
        title: config.handout.title.clone().unwrap_or(usual.title),
        logo: handout::logo(&config.handout)?,
        color: config.handout.color()?,
        self_service: config.handout.self_service.clone(),
        announce: config.handout.announce.clone(),
        support_url: config.handout.support_url.clone(),
        support_contact: config.support_contact.clone(),
        simulated,
        ..usual
    })
}

/// Files that cannot be used stop the start: a listener that fails later has announced itself by then.
fn tls(files: Option<&config::TlsFiles>) -> Result<Option<TlsFiles>, RunError> {
    let Some(files) = files else { return Ok(None) };
    let files = TlsFiles {
        cert: files.cert.clone(),
        key: files.key.clone(),
    };
    files.load()?;
    Ok(Some(files))
}

/// Says what runs, and after a first start what to try next. Never ends.
async fn announced(config: &Config, secrets: &OwnSecrets, simulate: bool, core: &Core) {
    tracing::info!(
        desired = %config.state.desired,
        data = %config.state.data_dir.display(),
        api = %config.public_url,
        auth = %config.listen.auth,
        "listening"
    );
    core.roster.index().wait_loaded().await;
    tracing::info!(
        users = core.users.len(),
        holds = core.holds.len(),
        problems = core.desired.health().problems.len(),
        "desired state is loaded"
    );
    if secrets.first_run {
        let users = core.users.state();
        let granted = users.iter().filter(|user| {
            let person = core.roster.person(&user.spec.corporate_id);
            person.is_some_and(|person| person.effective.access == Granted)
        });
        let example = granted.map(|user| user.spec.corporate_id.to_string()).min();
        let example = example.unwrap_or_else(|| "AB123456".to_owned());
        // A closed stdout is no reason to stop.
        let steps = if simulate { welcome::tour } else { welcome::first_steps };
        let _ = Output::stdout().text(&steps(config, &example));
    }
    std::future::pending::<()>().await;
}
