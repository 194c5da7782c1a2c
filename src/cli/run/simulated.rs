//! `vpn-operator run --simulate`: the operator with a simulated node in the same process, for trying it out.
//!
//! Whatever else runs is the same: the node is asked over HTTP, and asks over HTTP. What is here keeps the simulation apart from
//! anything real: settings, declared gateways, and data folders.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::{
    RunError,
    data_folder::OWNER_FILE,
    listen,
    tasks::{Tasks, log_failure},
};
use crate::{
    cli::{
        nodes::{self, NamedGateway},
        render::auth_url,
    },
    config::{self, Config, ConfigError, DesiredLocation, HysteriaDefaults, Settings, State},
    metrics::Listener,
    model::corporate_id::CorporateId,
    reconcile::core::Core,
    serve::{Connections, serve},
    simulation::{
        devices::{self, Person, World},
        statistics::{SharedNode, router},
    },
};

/// How often it is looked whether a real gateway is declared meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// Most connections to the simulated node's statistics: the operator alone asks there.
const MOST_CONNECTIONS: usize = 64;

/// What the file in a data folder says that marks it as a simulation's.
const MARK: &str = "\
`vpn-operator run --simulate` made this data folder: traffic, sessions and revocations in it are not real.
Delete the whole folder when it is not needed any more.
";

/// Why a simulation does not run, or nothing else does.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// A real gateway is declared.
    #[error(
        "--simulate does not run beside a real gateway, and {folder} declares {gateways}: leave --simulate away to run it, or \
         name a folder without a VpnGateway, like --desired folder:examples/quickstart"
    )]
    RealGateway {
        /// Where it is declared.
        folder: String,
        /// `VpnGateway NAME`, each.
        gateways: String,
    },
    /// What a real operator keeps would be mixed with what is simulated.
    #[error(
        "the data folder {path} is a real operator's: give --simulate one of its own, like --data ./simulated-data"
    )]
    RealData {
        /// The folder.
        path: String,
    },
    /// What a simulation left would be taken for real.
    #[error(
        "the data folder {path} was made by --simulate, and its traffic and revocations are not real: delete it, or give \
         another --data"
    )]
    SimulatedData {
        /// The folder.
        path: String,
    },
    /// The data folder cannot be marked.
    #[error("the data folder {path} cannot be written: {error}")]
    Mark {
        /// The folder.
        path: String,
        /// What the operating system said.
        error: std::io::Error,
    },
}

/// Refuses `--simulate` beside settings that name something real.
///
/// # Errors
/// Names the setting.
pub fn refuse_beside(settings: &Settings) -> Result<(), ConfigError> {
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let real = [
        ("DOMAIN (--domain)", given(&settings.hysteria.domain)),
        (
            "HYSTERIA_STATS_URLS (--hysteria-stats-urls)",
            given(&settings.hysteria.stats_urls),
        ),
        (
            "BLITZ_API_URL (--blitz-api-url)",
            given(&settings.hysteria.panel.blitz_api_url),
        ),
        (
            "HYSTERIA_AUTH_TLS_CERT_FILE (--auth-tls-cert)",
            settings.listen.auth_tls_cert.is_some(),
        ),
        (
            "DESIRED=kubernetes (--desired)",
            settings.state.desired == DesiredLocation::Kubernetes,
        ),
    ];
    match real.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((setting, _)) => Err(ConfigError::Value {
            name: "--simulate",
            message: format!("is for trying out, and {setting} is for real nodes: unset it, or leave --simulate away"),
        }),
    }
}

/// Keeps the data of simulations apart from real data: each finds only its own, or none.
///
/// # Errors
/// The folder is the other one's.
pub fn keep_data_apart(data_dir: &Path, simulated: bool) -> Result<(), SimulationError> {
    let path = || data_dir.display().to_string();
    let mark = data_dir.join(config::SIMULATED_FILE);
    match (simulated, mark.exists()) {
        (false, true) => Err(SimulationError::SimulatedData { path: path() }),
        (true, false) if !is_new(data_dir) => Err(SimulationError::RealData { path: path() }),
        (true, false) => std::fs::write(mark, MARK).map_err(|error| SimulationError::Mark { path: path(), error }),
        (false, false) | (true, true) => Ok(()),
    }
}

/// Whether nothing but the lock of this process is in the folder.
fn is_new(data_dir: &Path) -> bool {
    let entries = std::fs::read_dir(data_dir).into_iter().flatten();
    entries.flatten().all(|entry| entry.file_name() == OWNER_FILE)
}

/// A simulated node that does not run yet.
pub struct Simulated {
    statistics: TcpListener,
}

impl Simulated {
    /// Makes the node the one that the operator is configured for.
    ///
    /// # Errors
    /// A real gateway is declared, or there is no free port.
    pub fn prepare(config: &mut Config) -> Result<Self, RunError> {
        let folder = config.state.desired.to_string();
        let declared = nodes::declared(&config.state).map_err(|error| RunError::Nodes(error.message))?;
        if !declared.is_empty() {
            return Err(real_gateway(&folder, declared.iter().map(|gateway| gateway.name.as_str())).into());
        }
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let statistics = listen(any_port, "--simulate")?;
        let address = statistics.local_addr().map_err(|error| RunError::Listen {
            address: any_port,
            setting: "--simulate",
            error,
        })?;
        config.hysteria = HysteriaDefaults::simulated(format!("http://{address}"));
        tracing::warn!(
            statistics = %address,
            "SIMULATED: the one node and its devices are inside this process, and nobody can really connect"
        );
        Ok(Self { statistics })
    }

    /// Starts the node and its devices, which log in at `auth`.
    pub fn start(self, config: &Config, core: &Arc<Core>, auth: SocketAddr, tasks: &mut Tasks) {
        let secret = |secret: &Option<config::secrets::Secret>| {
            let value = secret.as_ref().map(|secret| secret.value.clone());
            value.unwrap_or_default()
        };
        let node = SharedNode::default();
        let routes = router(node.clone(), secret(&config.secrets.hysteria_stats_secret));
        // Counted apart: only the devices' node is asked here.
        let connections = Connections::new(Listener::Api, MOST_CONNECTIONS, Arc::default());
        let statistics = serve(self.statistics, routes, None, connections, tasks.core_token());
        tasks.core("the simulated node", log_failure(statistics));
        let token = secret(&config.secrets.hysteria_auth_token);
        let world = World {
            node,
            auth_url: auth_url(&config::local_url(auth, false), &token).into(),
            people: {
                let core = Arc::clone(core);
                Arc::new(move || people(&core))
            },
            credentials: {
                let core = Arc::clone(core);
                Arc::new(move |id| credential(&core, id))
            },
        };
        let devices = devices::run(world, tasks.core_token());
        tasks.core("the simulated devices", log_failure(devices));
        let real = until_a_gateway_is_declared(config.state.clone(), Arc::clone(core), tasks.core_token());
        tasks.core("the simulation", real);
    }
}

/// Why the simulation ended, if it ended because somebody declared a real gateway.
pub fn overtaken(config: &Config, core: &Core) -> Result<(), SimulationError> {
    let declared = declared(&config.state, core);
    if declared.is_empty() {
        return Ok(());
    }
    let names = declared.iter().map(|gateway| gateway.name.as_str());
    Err(real_gateway(&config.state.desired.to_string(), names))
}

/// Gateways that the operator knows of and that files declare: what it remembers of a file that is gone is on its way out.
fn declared(state: &State, core: &Core) -> Vec<NamedGateway> {
    if core.declared_gateways.state().is_empty() {
        return Vec::new();
    }
    nodes::declared(state).unwrap_or_default()
}

fn real_gateway<'a>(folder: &str, names: impl Iterator<Item = &'a str>) -> SimulationError {
    let names: Vec<_> = names.map(|name| format!("VpnGateway {name}")).collect();
    SimulationError::RealGateway {
        folder: folder.to_owned(),
        gateways: names.join(", "),
    }
}

/// Ends, and with it the operator, when somebody declares a real gateway: it must never be run together with simulated proofs.
async fn until_a_gateway_is_declared(state: State, core: Arc<Core>, end: CancellationToken) {
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if !declared(&state, &core).is_empty() {
            tracing::error!("a real gateway is declared: the simulation ends");
            return;
        }
    }
}

fn people(core: &Core) -> Vec<Person> {
    let mut people: Vec<Person> = core
        .users
        .state()
        .iter()
        .map(|user| Person {
            id: user.spec.corporate_id.to_string(),
            max_devices: user.spec.max_devices,
        })
        .collect();
    people.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    people
}

/// What the app of a person has, once it was given a link.
fn credential(core: &Core, id: &str) -> Option<SecretString> {
    let user = core.user(&CorporateId::parse(id).ok()?.object_name())?;
    let secret = core.issuer.connection_secret(&user)?;
    Some(format!("{}:{}", secret.username, secret.password.expose_secret()).into())
}
