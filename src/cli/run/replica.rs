//! `vpn-operator run --components auth`: a replica that only answers logins.
//!
//! It keeps nothing, makes nothing and writes nothing, so that any number of them run beside one controller, and go on without it.

use std::sync::Arc;

use secrecy::SecretString;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    super::surroundings,
    RunError, listen,
    source::Cluster,
    tasks::{Tasks, log_failure},
    tls,
    wire::environment,
};
use crate::{
    access::Health,
    auth::listener::AuthEndpoint,
    clock::{SharedClock, SystemClock},
    config::{Config, secrets::Secret},
    credentials::{MasterKey, Sources},
    desired::{
        DesiredState as _,
        kubernetes::{KubernetesSource, ReferencedSecrets},
    },
    fence::Fence,
    http::{self, Probes},
    metrics::{Listener, Metrics},
    reconcile::{
        follow::{
            Follower, gauges, intake,
            nodes::{self, Nodes},
        },
        imported::{self, Imported},
    },
    roster::{Passwords, Roster},
    serve::{Connections, Descriptors, serve},
};

/// Runs a replica until `shutdown` is cancelled, then drains: logins under way to their end, then the watches.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    let key = master_key(&config)?;
    let (auth_tls, probes_tls) = (tls(config.auth_tls.as_ref())?, tls(config.api_tls.as_ref())?);
    let clock: SharedClock = Arc::new(SystemClock);
    let probes_socket = listen(config.listen.api, "LISTEN_ADDR")?;
    let auth_socket = listen(config.listen.auth, "HYSTERIA_AUTH_LISTEN")?;
    let cluster = Cluster::infer(&config).await?;
    let mut tasks = Tasks::new();

    // Nobody opens it: a replica reconciles nothing.
    let (_, fence) = Fence::closed(Arc::clone(&clock));
    let source = KubernetesSource::new(&cluster.client, &cluster.namespace, &fence, Arc::clone(&clock));
    let referenced = ReferencedSecrets::new(&cluster.client, &cluster.namespace);
    let sources = Sources::cluster(&config.state.data_dir, Arc::clone(&referenced) as _);
    let metrics = Arc::new(Metrics::new());
    let (imported, to_import) = Imported::new(sources.clone(), key.clone());
    let known = Arc::clone(&imported);
    let passwords: Passwords = Arc::new(move |user| known.password(user));
    let roster = Arc::new(Roster::follower(key, passwords, Arc::clone(&clock)));
    roster.set_limits(config.guard.clone());
    let endpoint = AuthEndpoint::new(roster.index(), Arc::clone(&metrics));
    let looks = TaskTracker::new();
    let nodes = Nodes::new(nodes::Dependencies {
        environment: environment(&config),
        sources,
        index: roster.index(),
        endpoint: Arc::clone(&endpoint),
        clock,
        metrics: Arc::clone(&metrics),
        tasks: looks.clone(),
        cancel: tasks.core_token(),
    });
    let watches = source.watch();
    let follower = Follower::new(source, roster, imported, nodes, Arc::clone(&metrics));

    let ctx = || Arc::clone(&follower);
    let descriptors = Descriptors::raise();
    let auth_connections = Connections::of(Listener::Auth, descriptors, &metrics);
    let probes_connections = Connections::of(Listener::Api, descriptors, &metrics);
    let auth = serve(
        auth_socket,
        endpoint.router(),
        auth_tls,
        auth_connections,
        tasks.front_token(),
    );
    tasks.front("the auth listener", log_failure(auth));
    let looked_at = ctx();
    let process = surroundings::checks(&config, descriptors);
    let probes = http::probes(Probes {
        health: Arc::new(move || Health::of_replica(&looked_at, &process)),
        metrics,
    });
    // Until the last login is answered, so that nobody takes a draining replica for a dead one.
    let probes = serve(
        probes_socket,
        probes,
        probes_tls,
        probes_connections,
        tasks.core_token(),
    );
    tasks.core("the probes", log_failure(probes));
    let end = tasks.core_token();
    let end = || end.clone();
    tasks.core("the intake", intake::run(watches, ctx(), end()));
    tasks.core("the nodes", Nodes::run(ctx(), end()));
    tasks.core("the password reader", imported::run(ctx(), to_import, end()));
    tasks.core("the gauges", gauges(ctx(), end()));
    let changed = {
        let ctx = ctx();
        move |secret: &str| ctx.secret_changed(secret)
    };
    tasks.core("the watch of Secrets", referenced.run(changed, end()));
    tracing::info!(
        namespace = cluster.namespace,
        auth = %config.listen.auth,
        probes = %config.listen.api,
        "listening as a replica that only answers logins"
    );
    let ended = tasks.until(shutdown, async {}).await;
    looks.close();
    looks.wait().await;
    tracing::info!("drained");
    ended.map_or(Ok(()), |name| Err(RunError::Ended(name)))
}

fn master_key(config: &Config) -> Result<MasterKey, RunError> {
    let value = |secret: &Option<Secret>| -> Option<SecretString> { secret.as_ref().map(|it| it.value.clone()) };
    let secrets = &config.secrets;
    Ok(MasterKey::given(
        value(&secrets.master_key),
        value(&secrets.master_key_previous),
    )?)
}
