//! The source of desired state that was asked for, with what belongs to it.

use std::{path::Path, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt as _, config::InferConfigError};
use tokio_util::sync::CancellationToken;

use super::{
    RunError,
    tasks::{Tasks, log_failure},
};
use crate::{
    clock::SharedClock,
    cluster::{
        client::bounded,
        lease::{self, Election, Leadership, Times},
    },
    config::{Config, DesiredLocation},
    credentials::Sources,
    desired::{
        DesiredState,
        folder::{FolderOptions, FolderSource},
        id_claims::{IdClaims, SoleIssuer},
        kubernetes::{ConfigMapClaims, EventAnnouncer, KubernetesSource, Publisher, ReferencedSecrets, UserSecrets},
    },
    fence::Fence,
    reconcile::{
        core::{ClusterOutputs, Core},
        gateway_convergence,
    },
};

/// Namespace of objects in a folder that name none.
const FOLDER_NAMESPACE: &str = "default";

/// Pause between walks over the folder, for what file events miss.
const RESCAN: Duration = Duration::from_secs(30);

/// How long a connection to the API server may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// How long the API server may take until it begins to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A cluster, and the namespace in it.
#[derive(Clone)]
pub struct Cluster {
    /// Its API server.
    pub client: Client,
    /// The one namespace that is watched.
    pub namespace: String,
    /// Name of this process, for Events and the Lease.
    pub instance: String,
    /// Name of the Lease.
    pub lease: String,
}

impl Cluster {
    /// The cluster that the environment names. Asks it nothing.
    ///
    /// # Errors
    /// There is neither a kubeconfig nor a service account, or it cannot be used.
    pub async fn infer(config: &Config) -> Result<Self, RunError> {
        let unusable = |message: String| RunError::Cluster(message);
        let (client, namespace) = connect(config.cluster.namespace.as_deref()).await.map_err(unusable)?;
        Ok(Self {
            client,
            namespace,
            instance: lease::identity().map_err(|error| unusable(format!("this process cannot be named: {error}")))?,
            lease: config.cluster.lease_name.clone(),
        })
    }
}

/// A client of the cluster that the environment names, and the namespace: the one that is given, else that of the pod or of the
/// kubeconfig. Asks nothing.
///
/// # Errors
/// There is neither a kubeconfig nor a service account, or it cannot be used.
pub async fn connect(namespace: Option<&str>) -> Result<(Client, String), String> {
    let mut access = kube::Config::infer()
        .await
        .map_err(|error: InferConfigError| format!("{error}: set KUBECONFIG, or run with a service account"))?;
    access.connect_timeout = Some(CONNECT);
    let namespace = namespace.filter(|name| !name.is_empty());
    let namespace = namespace.map_or_else(|| access.default_namespace.clone(), str::to_owned);
    let client = bounded(access, ANSWER).map_err(|error| error.to_string())?;
    Ok((client, namespace))
}

/// Waits until this process may act; `None` when cancelled.
pub async fn lead(cluster: &Cluster, clock: &SharedClock, cancel: &CancellationToken) -> Option<Leadership> {
    let Cluster {
        client,
        namespace,
        instance,
        lease,
    } = cluster.clone();
    let clock = Arc::clone(clock);
    let election = Election::new(client, &namespace, &lease, instance, Times::default(), clock);
    election.acquire(cancel).await
}

impl Cluster {
    /// Whether the namespace is being deleted. What cannot be asked counts as no.
    pub async fn is_ending(&self) -> bool {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let asked = tokio::time::timeout(CONNECT, namespaces.get_metadata(&self.namespace)).await;
        matches!(asked, Ok(Ok(namespace)) if namespace.metadata.deletion_timestamp.is_some())
    }
}

/// Desired state, wherever it lives.
pub enum Source {
    /// A folder.
    Folder(Arc<FolderSource>),
    /// A namespace.
    Kubernetes(Box<InCluster>),
}

/// What belongs to a source in a cluster.
pub struct InCluster {
    source: Arc<KubernetesSource>,
    secrets: Arc<UserSecrets>,
    referenced: Arc<ReferencedSecrets>,
    announcer: Arc<EventAnnouncer>,
    publisher: Publisher,
    claims: Arc<ConfigMapClaims>,
    namespace: String,
}

impl Source {
    /// Opens the source.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(
        config: &Config,
        cluster: Option<&Cluster>,
        fence: &Fence,
        clock: &SharedClock,
    ) -> Result<Self, RunError> {
        match (&config.state.desired, cluster) {
            (DesiredLocation::Folder(root), _) => Ok(Self::Folder(FolderSource::open(FolderOptions {
                root: root.clone(),
                data_dir: config.state.data_dir.clone(),
                last_known_max_age: config.times.last_known_max_age,
                clock: Arc::clone(clock),
                rescan_interval: RESCAN,
            })?)),
            (DesiredLocation::Kubernetes, Some(cluster)) => {
                let Cluster {
                    client,
                    namespace,
                    instance,
                    ..
                } = cluster;
                let (announcer, publisher) = EventAnnouncer::new(client, namespace, instance, Arc::clone(clock));
                Ok(Self::Kubernetes(Box::new(InCluster {
                    source: KubernetesSource::new(client, namespace, fence, Arc::clone(clock)),
                    secrets: UserSecrets::new(client, namespace, fence),
                    referenced: ReferencedSecrets::new(client, namespace),
                    announcer,
                    publisher,
                    claims: ConfigMapClaims::new(client, namespace, fence, Arc::clone(clock)),
                    namespace: namespace.clone(),
                })))
            }
            (DesiredLocation::Kubernetes, None) => Err(RunError::Cluster("no cluster is known".to_owned())),
        }
    }

    /// The source as the core sees it.
    pub fn desired(&self) -> Arc<dyn DesiredState> {
        match self {
            Self::Folder(folder) => Arc::clone(folder) as _,
            Self::Kubernetes(cluster) => Arc::clone(&cluster.source) as _,
        }
    }

    /// Who gives corporate IDs away.
    pub fn id_claims(&self) -> Arc<dyn IdClaims> {
        match self {
            Self::Folder(_) => Arc::new(SoleIssuer),
            Self::Kubernetes(cluster) => Arc::clone(&cluster.claims) as _,
        }
    }

    /// Where secrets that resources name are read from.
    pub fn secrets(&self, data_dir: &Path) -> Sources {
        match self {
            Self::Folder(_) => Sources::local(data_dir),
            Self::Kubernetes(cluster) => Sources::cluster(data_dir, Arc::clone(&cluster.referenced) as _),
        }
    }

    /// Namespace of every object, and the word for the source in the audit.
    pub fn place(&self) -> (String, &'static str) {
        match self {
            Self::Folder(_) => (FOLDER_NAMESPACE.to_owned(), "folder"),
            Self::Kubernetes(cluster) => (cluster.namespace.clone(), "kubernetes"),
        }
    }

    /// What a source in a cluster hands out and tells.
    pub fn outputs(&self) -> Option<ClusterOutputs> {
        let Self::Kubernetes(cluster) = self else { return None };
        Some(ClusterOutputs {
            secrets: Arc::clone(&cluster.secrets) as _,
            announcer: Arc::clone(&cluster.announcer) as _,
        })
    }

    /// Starts the tasks of the source.
    pub fn start(self, core: &Arc<Core>, tasks: &mut Tasks) {
        let end = tasks.core_token();
        match self {
            Self::Folder(folder) => {
                tasks.core("the folder source", async move { log_failure(folder.run(end)).await });
            }
            Self::Kubernetes(cluster) => {
                let InCluster {
                    secrets,
                    referenced,
                    publisher,
                    ..
                } = *cluster;
                let ctx = Arc::clone(core);
                let changed = move |user: &str| ctx.queue.push(user, &ctx.namespace);
                let ctx = Arc::clone(core);
                let listed_once = move || {
                    for user in ctx.users.state() {
                        ctx.queue.push(&user.name_any(), &ctx.namespace);
                    }
                };
                let watching = secrets.run(changed, listed_once, end.clone());
                tasks.core("the watch of users' Secrets", watching);
                let ctx = Arc::clone(core);
                let changed = move |secret: &str| {
                    gateway_convergence::secret_changed(&ctx, secret);
                    ctx.imported.secret_changed(secret);
                    // It may have been in the way of a user's own.
                    if let Some(user) = UserSecrets::owner(secret) {
                        ctx.queue.push(user, &ctx.namespace);
                    }
                };
                tasks.core("the watch of other Secrets", referenced.run(changed, end.clone()));
                tasks.core("the Events", publisher.run(end));
            }
        }
    }
}
