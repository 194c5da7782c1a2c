//! `vpn-operator run`: wires the rooms together and joins every task.

mod live;
mod tasks;

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use kube::runtime::reflector::store;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{live::Live, tasks::Tasks};
use super::{output::Output, welcome};
use crate::{
    access::{Access, Derived, LivePeople, Parts, Settings},
    auth::{
        listener::AuthEndpoint,
        roster::Roster,
        serve::{TlsFiles, serve},
    },
    clock::{SharedClock, SystemClock},
    config::{self, Config, ConfigError, DesiredLocation},
    credentials::{FileError, KeyError, MasterKey, Origin, Sources, load_or_create_secret},
    desired::{
        DesiredError, DesiredState, Watches,
        folder::{FolderOptions, FolderSource},
    },
    history::{History, HistoryError},
    http::{self, HttpState},
    metrics::Metrics,
    model::access::Access::Granted,
    reconcile::{
        backoff::Backoff,
        context::{Context, Queue},
        gateways::{self, Environment, Gateways},
        holds::{self, HoldWork},
        imported::{self, Imported},
        intake, runner, upkeep,
        usage::UsageBook,
    },
};

/// Namespace of objects in a folder that name none.
const FOLDER_NAMESPACE: &str = "default";

/// Pause between walks over the folder, for what file events miss.
const RESCAN: Duration = Duration::from_secs(30);

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
    /// The data folder cannot be made or written.
    #[error("the data folder {path} cannot be used: {error}")]
    DataFolder {
        /// The folder.
        path: String,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The master key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A secret of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A secret that is kept in the data folder.
    #[error(transparent)]
    Secret(#[from] FileError),
    /// History.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Desired state.
    #[error(transparent)]
    Desired(#[from] DesiredError),
    /// What the guard knew.
    #[error("{0}")]
    Guard(String),
    /// A mode that this version does not have.
    #[error("this version of vpn-operator reads desired state from a folder only: use --desired folder:PATH")]
    NotSupported,
    /// A part of the operator ended although nobody asked it to.
    #[error("{0} ended unexpectedly: see the log")]
    Ended(&'static str),
}

/// Secrets that the operator has of its own.
struct OwnSecrets {
    key: MasterKey,
    first_run: bool,
}

/// Runs the operator until `shutdown` is cancelled, then drains.
///
/// # Errors
/// It could not start, or a part of it ended unexpectedly.
pub async fn run(mut config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    make_private_folder(&config.state.data_dir)?;
    let secrets = own_secrets(&mut config)?;
    let DesiredLocation::Folder(folder) = &config.state.desired else {
        return Err(RunError::NotSupported);
    };
    let data = &config.state.data_dir;
    let clock: SharedClock = Arc::new(SystemClock);
    let api_socket = listen(config.listen.api, "LISTEN_ADDR")?;
    let auth_socket = listen(config.listen.auth, "HYSTERIA_AUTH_LISTEN")?;
    let history = open_history(&data.join(config::HISTORY_FILE), &clock)?;
    let source = FolderSource::open(FolderOptions {
        root: folder.clone(),
        data_dir: data.clone(),
        last_known_max_age: config.times.last_known_max_age,
        clock: Arc::clone(&clock),
        rescan_interval: RESCAN,
    })?;

    let metrics = Arc::new(Metrics::new());
    let sources = Sources::local(data);
    let (imported, to_import) = Imported::new(sources.clone(), secrets.key.clone());
    let passwords: crate::auth::roster::Passwords = {
        let imported = Arc::clone(&imported);
        Arc::new(move |user| imported.password(user))
    };
    let roster = Arc::new(Roster::new(
        secrets.key.clone(),
        Arc::clone(&passwords),
        Arc::clone(&clock),
    ));
    let guard_file = data.join("guard.json");
    roster.restore(upkeep::load_guard(&guard_file).map_err(RunError::Guard)?);
    let endpoint = AuthEndpoint::new(roster.index(), Arc::clone(&metrics));
    let usage = UsageBook::open(history.clone(), Arc::clone(&clock)).await;
    let _ = roster.apply(usage.inputs());

    let (front, cancel) = (CancellationToken::new(), CancellationToken::new());
    let nodes = TaskTracker::new();
    let (completions, completed) = mpsc::unbounded_channel();
    let (queue, queued) = mpsc::unbounded_channel();
    let (hold_work, touched_holds) = HoldWork::new();
    let (users, user_writer) = store();
    let (held, hold_writer) = store();
    let (declared_gateways, gateway_writer) = store();
    let context = Arc::new(Context {
        desired: Arc::clone(&source) as Arc<dyn DesiredState>,
        roster: Arc::clone(&roster),
        gateways: Gateways::new(gateways::Parts {
            environment: environment(&config),
            sources,
            index: roster.index(),
            endpoint: Arc::clone(&endpoint),
            completions,
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            tasks: nodes.clone(),
            cancel: cancel.clone(),
        }),
        history: history.clone(),
        usage: Arc::clone(&usage),
        clock: Arc::clone(&clock),
        metrics: Arc::clone(&metrics),
        users,
        holds: held,
        declared_gateways,
        queue: Queue(queue),
        imported,
        hold_work,
        backoff: Backoff::default(),
        namespace: FOLDER_NAMESPACE.to_owned(),
        source: "folder",
    });
    usage.attach(&context);
    let access = use_cases(&config, &secrets, &context, &passwords);

    let writers = intake::Writers {
        users: user_writer,
        holds: hold_writer,
        gateways: gateway_writer,
    };
    let watches: Watches = source.watch();
    let mut tasks = Tasks::new(front.clone(), cancel.clone());
    tasks.spawn("the folder source", {
        let (source, cancel) = (Arc::clone(&source), cancel.clone());
        async move { told(source.run(cancel)).await }
    });
    tasks.spawn(
        "the intake",
        intake::run(watches, writers, Arc::clone(&context), cancel.clone()),
    );
    tasks.spawn(
        "the reconciler",
        runner::run(Arc::clone(&context), queued, cancel.clone()),
    );
    tasks.spawn(
        "the hold reporter",
        holds::run(Arc::clone(&context), touched_holds, cancel.clone()),
    );
    tasks.spawn(
        "the gateway keeper",
        Gateways::run(Arc::clone(&context), cancel.clone()),
    );
    tasks.spawn(
        "the password reader",
        imported::run(Arc::clone(&context), to_import, cancel.clone()),
    );
    tasks.spawn("the traffic book", Arc::clone(&usage).run(cancel.clone()));
    tasks.spawn(
        "the completions",
        upkeep::completions(Arc::clone(&context), completed, cancel.clone()),
    );
    tasks.spawn(
        "the guard's memory",
        upkeep::keep_guard(Arc::clone(&context), guard_file, cancel.clone()),
    );
    tasks.spawn("the gauges", upkeep::gauges(Arc::clone(&context), cancel.clone()));
    tasks.spawn_front(
        "the auth listener",
        told(serve(
            auth_socket,
            endpoint.router(),
            tls(config.auth_tls.as_ref()),
            front.clone(),
        )),
    );
    let state = HttpState::new(
        access.clone(),
        Arc::new({
            let metrics = Arc::clone(&metrics);
            move || metrics.encode()
        }),
        Arc::clone(&clock),
        http_settings(&config),
    );
    tasks.spawn_front(
        "the HTTP API",
        told(serve(
            api_socket,
            http::router(state),
            tls(config.api_tls.as_ref()),
            front,
        )),
    );

    let ended = tokio::select! {
        ended = tasks.until(shutdown, access.drain()) => ended,
        () = announced(&config, &secrets, &context) => None,
    };
    nodes.close();
    nodes.wait().await;
    tracing::info!("drained");
    ended.map_or(Ok(()), |name| Err(RunError::Ended(name)))
}

/// Says why a task failed; that it ended is noticed by whoever joins it.
async fn told<E: std::fmt::Display>(task: impl Future<Output = Result<(), E>>) {
    if let Err(error) = task.await {
        tracing::error!(%error, "a part of the operator failed");
    }
}

fn make_private_folder(path: &Path) -> Result<(), RunError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| RunError::DataFolder {
            path: path.display().to_string(),
            error,
        })
}

fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, RunError> {
    let socket = TcpListener::bind(address).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    socket.map_err(|error| RunError::Listen {
        address,
        setting,
        error,
    })
}

/// A database of a newer version and one that another process owns stop the start; any other trouble must not keep auth
/// from answering.
fn open_history(path: &Path, clock: &SharedClock) -> Result<History, RunError> {
    let history = History::open_or_retry(path, Arc::clone(clock))?;
    match history.last_error() {
        Some(error @ (HistoryError::Newer { .. } | HistoryError::InUse { .. })) => return Err(error.into()),
        Some(error) => tracing::error!(%error, "starting without history: grants are refused, logins and denials work"),
        None => {}
    }
    Ok(history)
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
    let mut made = Vec::new();
    let mut note = |origin| {
        if let Origin::Created(path) = origin {
            made.push(path);
        }
    };
    note(origin);
    for (file, given) in [
        (config::CORPORATE_SECRET_FILE, &given.corporate),
        (config::AUTH_TOKEN_FILE, &given.hysteria_auth_token),
        (config::STATS_SECRET_FILE, &given.hysteria_stats_secret),
    ] {
        if given.is_none() {
            note(load_or_create_secret(&config.state.data_dir, file, None)?.1);
        }
    }
    config.secrets.complete_from(&config.state.data_dir)?;
    for file in &made {
        tracing::info!(file = %file.display(), "made a secret: back this file up");
    }
    Ok(OwnSecrets {
        key,
        first_run: !made.is_empty(),
    })
}

fn environment(config: &Config) -> Environment {
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
        poll_interval: config.times.hysteria_poll_interval,
    }
}

fn use_cases(
    config: &Config,
    secrets: &OwnSecrets,
    context: &Arc<Context>,
    passwords: &crate::auth::roster::Passwords,
) -> Access {
    let dispatch = {
        let context = Arc::clone(context);
        Arc::new(move |transitions| context.dispatch(transitions))
    };
    let live = Arc::new(Live(Arc::clone(context)));
    Access::new(Parts {
        desired: Arc::clone(&context.desired),
        people: Arc::new(LivePeople::new(Arc::clone(&context.roster), dispatch)),
        directory: Arc::clone(&live) as _,
        links: live,
        keys: Arc::new(Derived::new(secrets.key.clone(), Arc::clone(passwords))),
        journal: Arc::new(context.history.clone()),
        clock: Arc::clone(&context.clock),
        settings: Settings {
            public_url: config.public_url.clone(),
            ..Settings::default()
        },
    })
}

fn http_settings(config: &Config) -> http::Settings {
    let secrets = [&config.secrets.corporate, &config.secrets.corporate_previous];
    http::Settings {
        secrets: secrets
            .into_iter()
            .flatten()
            .map(|secret| secret.value.clone())
            .collect(),
        trusted_proxies: config.trusted_proxies.clone(),
        ..http::Settings::default()
    }
}

fn tls(files: Option<&config::TlsFiles>) -> Option<TlsFiles> {
    files.map(|files| TlsFiles {
        cert: files.cert.clone(),
        key: files.key.clone(),
    })
}

/// Says what runs, and after a first start what to try next. Never ends.
async fn announced(config: &Config, secrets: &OwnSecrets, context: &Context) {
    tracing::info!(
        desired = %config.state.desired,
        data = %config.state.data_dir.display(),
        api = %config.public_url,
        auth = %config.listen.auth,
        "listening"
    );
    context.roster.index().wait_loaded().await;
    tracing::info!(
        users = context.users.len(),
        holds = context.holds.len(),
        problems = context.desired.health().problems.len(),
        "desired state is loaded"
    );
    if secrets.first_run {
        let users = context.users.state();
        let granted = users.iter().filter(|user| {
            let person = context.roster.person(&user.spec.corporate_id);
            person.is_some_and(|person| person.effective.access == Granted)
        });
        let example = granted.map(|user| user.spec.corporate_id.to_string()).min();
        let example = example.unwrap_or_else(|| "AB123456".to_owned());
        // A closed stdout is no reason to stop.
        let _ = Output::stdout().text(&welcome::first_steps(config, &example));
    }
    std::future::pending().await
}
