//! The Compose file: it is one, its services are confined, and what one of them names the others have.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use regex::{Captures, Regex};
use serde_yaml::Value;

use super::{compose_settings, read, settings};

/// Runs as root, for the reason that stands beside it in the file.
const ROOT: [&str; 1] = ["blitz"];

/// What is set in `.env` after the first step.
const DOMAIN: &str = "vpn.example.com";

/// The file as Compose reads it: merge keys applied, then variables replaced within texts.
fn compose() -> Value {
    let mut compose: Value = serde_yaml::from_str(&read("docker-compose.yml")).unwrap();
    // A fragment that merges another one brings its merge key along.
    for _ in 0..3 {
        compose.apply_merge().unwrap();
    }
    interpolate(&mut compose);
    compose
}

/// Variables in the forms that the file uses.
fn variables() -> Regex {
    Regex::new(r"\$\$|\$\{([A-Z0-9_]+)(?::-([^}]*)|:\?[^}]*)?\}").unwrap()
}

fn interpolate(value: &mut Value) {
    match value {
        Value::String(text) => {
            let replace = |found: &Captures<'_>| match found.get(1).map(|name| name.as_str()) {
                None => "$".to_owned(),
                Some("DOMAIN") => DOMAIN.to_owned(),
                Some(_) => found.get(2).map_or("", |default| default.as_str()).to_owned(),
            };
            *text = variables().replace_all(text, replace).into_owned();
        }
        Value::Sequence(list) => list.iter_mut().for_each(interpolate),
        Value::Mapping(map) => map.values_mut().for_each(interpolate),
        _ => {}
    }
}

fn services(compose: &Value) -> BTreeMap<String, Value> {
    let services = compose["services"].as_mapping().unwrap();
    let services: BTreeMap<_, _> = services
        .iter()
        .map(|(name, service)| (name.as_str().unwrap().to_owned(), service.clone()))
        .collect();
    assert!(services.len() >= 5, "{:?}", services.keys());
    services
}

fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Mapping(map) => map.keys().map(|key| key.as_str().unwrap().to_owned()).collect(),
        Value::Sequence(list) => list.iter().map(|item| item.as_str().unwrap().to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// Source and target of each mount, and whether it can be written.
fn mounts(service: &Value) -> Vec<(String, String, bool)> {
    let Some(volumes) = service["volumes"].as_sequence() else {
        return Vec::new();
    };
    let mount = |volume: &Value| {
        if let Some(short) = volume.as_str() {
            let parts: Vec<_> = short.split(':').collect();
            return (parts[0].to_owned(), parts[1].to_owned(), parts.get(2) != Some(&"ro"));
        }
        let text = |name: &str| volume[name].as_str().unwrap().to_owned();
        (
            text("source"),
            text("target"),
            volume["read_only"].as_bool() != Some(true),
        )
    };
    volumes.iter().map(mount).collect()
}

/// The service that ends by itself, before others begin.
fn ends_by_itself(service: &Value) -> bool {
    service["restart"].as_str() == Some("no")
}

#[test]
fn it_is_valid_by_the_schema_of_the_compose_specification() {
    let schema = serde_json::from_str(&read("tests/it/packaging/testdata/compose-spec.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let file = serde_json::to_value(compose()).unwrap();
    let faults: Vec<_> = validator
        .iter_errors(&file)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    // The schema does refuse.
    let mut wrong = file;
    wrong["services"]["operator"]["restrat"] = "always".into();
    assert!(!validator.is_valid(&wrong));
}

#[test]
fn every_service_is_confined_limited_and_looked_after() {
    let compose = compose();
    let services = services(&compose);
    for (name, service) in &services {
        assert_eq!(
            service["read_only"].as_bool(),
            Some(true),
            "{name}: its root can be written"
        );
        assert_eq!(keys(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(keys(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        let options = &service["logging"]["options"];
        for option in ["max-size", "max-file"] {
            assert!(options[option].is_string(), "{name}: logs grow without {option}");
        }
        let limits = &service["deploy"]["resources"]["limits"];
        // More than one core is refused by the engine on a machine that has one.
        let cpus: f64 = limits["cpus"].as_str().unwrap().parse().unwrap();
        assert!(cpus > 0.0 && cpus <= 1.0, "{name}: {cpus}");
        assert!(
            limits["memory"].is_string() && limits["pids"].is_u64(),
            "{name}: {limits:?}"
        );
        match service["user"].as_str() {
            Some(user) => assert!(!user.starts_with("0:") && !user.starts_with("root"), "{name}: {user}"),
            None => assert!(ROOT.contains(&name.as_str()), "{name} runs as root"),
        }
        if ends_by_itself(service) {
            continue;
        }
        assert_eq!(service["restart"].as_str(), Some("unless-stopped"), "{name}");
        assert!(
            service["healthcheck"]["test"].is_sequence(),
            "{name} has no health check"
        );
        assert!(service["stop_grace_period"].is_string(), "{name}");
    }
    for name in ROOT {
        assert!(services[name]["user"].is_null(), "{name} is listed as root and is none");
    }
}

#[test]
fn without_a_profile_there_are_the_operator_and_a_node() {
    let compose = compose();
    let services = services(&compose);
    let default = services.iter().filter(|(_, service)| service["profiles"].is_null());
    let default: Vec<_> = default.map(|(name, _)| name.as_str()).collect();
    assert_eq!(default, ["hysteria", "node-config", "operator"]);
    for (name, service) in &services {
        let of_profile = |name: &str| services[name]["profiles"].clone();
        for dependency in keys(&service["depends_on"]) {
            let depends = of_profile(&dependency);
            assert!(
                depends.is_null() || depends == of_profile(name),
                "{name} needs {dependency}, which another profile has"
            );
        }
    }
}

#[test]
fn services_start_after_what_they_need_works() {
    let compose = compose();
    let services = services(&compose);
    for (name, service) in &services {
        let Some(dependencies) = service["depends_on"].as_mapping() else {
            continue;
        };
        for (dependency, how) in dependencies {
            let needed = &services[dependency.as_str().unwrap()];
            let wanted = if ends_by_itself(needed) {
                "service_completed_successfully"
            } else {
                "service_healthy"
            };
            assert_eq!(how["condition"].as_str(), Some(wanted), "{name}: {dependency:?}");
        }
    }
    // The secrets are made by the operator, the configuration is written with them, and the node reads that.
    assert_eq!(keys(&services["node-config"]["depends_on"]), ["operator"]);
    assert_eq!(keys(&services["hysteria"]["depends_on"]), ["node-config"]);
    assert_eq!(keys(&services["blitz"]["depends_on"]), ["blitz-mongo"]);
}

#[test]
fn it_sets_and_reads_only_what_is_explained() {
    let compose = compose();
    let known = settings();
    for (name, service) in services(&compose) {
        if service["entrypoint"].is_null() && service["image"] == compose["services"]["operator"]["image"] {
            for variable in keys(&service["environment"])
                .iter()
                .filter(|name| *name != "KUBECONFIG")
            {
                assert!(known.contains(variable), "{name}: {variable} is not in .env.example");
            }
        }
    }
    let text = read("docker-compose.yml");
    let used: BTreeSet<String> = variables()
        .captures_iter(&text)
        .filter_map(|found| Some(found.get(1)?.as_str().to_owned()))
        .collect();
    for variable in &used {
        assert!(known.contains(variable), "{variable} is not in .env.example");
    }
    let unused: Vec<_> = compose_settings().difference(&used).cloned().collect();
    assert!(unused.is_empty(), "{unused:?} are explained and not read");
}

#[test]
fn names_of_earlier_installations_keep_working() {
    let compose = compose();
    let services = services(&compose);
    let aliases = keys(&services["operator"]["networks"]["private"]["aliases"]);
    assert_eq!(aliases, ["automation-service"]);
    for name in ["DOMAIN", "HYSTERIA2_PORT", "CORPORATE_SECRET"] {
        assert!(settings().contains(name), "{name}");
        let overridden = services["operator"]["environment"].get(name);
        let of_env = overridden.is_none() || read("docker-compose.yml").contains(&format!("{name}: ${{{name}"));
        assert!(of_env, "{name} of .env does not reach the operator");
    }
    let old = mounts(&services["legacy"])
        .into_iter()
        .find(|(source, ..)| source == "./automation_data");
    assert_eq!(old.map(|(_, _, writable)| writable), Some(false));
    for service in services.values().filter(|service| service["profiles"].is_null()) {
        assert!(mounts(service).iter().all(|(source, ..)| source != "./automation_data"));
    }
}

#[test]
fn the_auth_listener_is_published_nowhere_and_the_api_on_this_machine_alone() {
    let compose = compose();
    for (name, service) in services(&compose) {
        let Some(auth) = service["environment"]["HYSTERIA_AUTH_LISTEN"].as_str() else {
            continue;
        };
        let port = auth.rsplit(':').next().unwrap();
        for published in keys(&service["ports"]) {
            assert!(!published.ends_with(&format!(":{port}")), "{name}: {published}");
            assert!(published.starts_with("127.0.0.1:"), "{name}: {published}");
        }
    }
    assert_eq!(keys(&compose["services"]["operator"]["ports"]), ["127.0.0.1:8080:8080"]);
}

#[test]
fn a_service_that_publishes_ports_is_on_a_network_that_is_not_internal() {
    let compose = compose();
    for (name, service) in services(&compose) {
        if service["ports"].is_null() {
            continue;
        }
        let open = keys(&service["networks"])
            .into_iter()
            .any(|network| compose["networks"][network.as_str()]["internal"].as_bool() != Some(true));
        assert!(open, "{name}: the engine publishes nothing from an internal network");
    }
    assert_eq!(compose["networks"]["private"]["internal"].as_bool(), Some(true));
}

#[test]
fn everything_that_is_mounted_and_joined_is_declared() {
    let compose = compose();
    for (name, service) in services(&compose) {
        for network in keys(&service["networks"]) {
            assert!(compose["networks"].get(network.as_str()).is_some(), "{name}: {network}");
        }
        for (source, target, _) in mounts(&service) {
            let declared = source.starts_with("./") || compose["volumes"].get(source.as_str()).is_some();
            assert!(declared && target.starts_with('/'), "{name}: {source}:{target}");
        }
    }
    // A folder that is missing is said, and not made as root.
    let text = read("docker-compose.yml");
    assert_eq!(
        text.matches("type: bind").count(),
        text.matches("create_host_path: false").count()
    );
}

#[test]
fn the_panel_finds_its_database_on_localhost_and_nobody_else_does() {
    let compose = compose();
    let services = services(&compose);
    assert_eq!(services["blitz"]["network_mode"].as_str(), Some("service:blitz-mongo"));
    assert!(services["blitz"]["ports"].is_null() && services["blitz"]["networks"].is_null());
    let command = keys(&services["blitz-mongo"]["command"]);
    assert_eq!(command[1..], ["--bind_ip", "127.0.0.1"]);
}

#[test]
fn a_bot_of_its_own_has_its_two_tokens_and_nothing_else() {
    let services = services(&compose());
    let bot = &services["bot"];
    let files = bot["env_file"].as_sequence().unwrap();
    let files: Vec<_> = files.iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(files, ["bot.env"], ".env has the secrets of everything else");
    assert_eq!(mounts(bot), [("bot".to_owned(), "/data".to_owned(), true)]);
    assert!(bot["ports"].is_null());
    let url = url::Url::parse(bot["environment"]["API_URL"].as_str().unwrap()).unwrap();
    let listens = services["operator"]["environment"]["LISTEN_ADDR"].as_str().unwrap();
    assert!(listens.ends_with(&format!(":{}", url.port().unwrap())) && services.contains_key(url.host_str().unwrap()));
    for ignored in [".gitignore", ".dockerignore"] {
        assert!(read(ignored).lines().any(|line| line == "bot.env"), "{ignored}");
    }
}

/// The YAML of `docs/compose.md` that declares the node and the panel.
fn gateways_of_the_handbook() -> String {
    let page = read("docs/compose.md");
    let blocks = page
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let mut declared = blocks.filter(|block| block.contains("kind: VpnGateway"));
    let found = declared.next().unwrap().to_owned();
    assert!(declared.next().is_none());
    found
}

#[test]
fn the_operator_reaches_what_the_panel_has_on_loopback_and_nobody_else_does() {
    let compose = compose();
    let services = services(&compose);
    let forward = &services["blitz-forward"];
    // It stands in the panel's network, and listens at a name that is that network's on one network.
    assert_eq!(forward["network_mode"], services["blitz"]["network_mode"]);
    let command = keys(&forward["command"]);
    assert_eq!(command[0], "forward");
    let (host, ports) = (command[1].as_str(), &command[2..]);
    let mut of_host = Vec::new();
    for (name, service) in &services {
        for network in keys(&service["networks"]) {
            if keys(&service["networks"][network.as_str()]["aliases"]).contains(&host.to_owned()) {
                of_host.push((name.as_str(), network));
            }
        }
    }
    let [("blitz-mongo", network)] = &of_host[..] else {
        panic!("{host} is called: {of_host:?}");
    };
    assert!(services[host]["networks"].is_null(), "a service is called by its name");
    // On that network is the operator, and nothing is published from there.
    assert_eq!(compose["networks"][network.as_str()]["internal"].as_bool(), Some(true));
    let members = services
        .iter()
        .filter(|(_, service)| keys(&service["networks"]).contains(network));
    let members: Vec<_> = members.map(|(name, _)| name.as_str()).collect();
    assert_eq!(members, ["blitz-mongo", "operator"]);
    // It is as good as a secret, and has none.
    assert!(keys(&forward["env_file"]).is_empty() && forward["env_file"].is_sequence());

    // What the handbook declares leads there.
    let mut asked = BTreeSet::new();
    for document in serde_yaml::Deserializer::from_str(&gateways_of_the_handbook()) {
        let gateway: Value = serde::Deserialize::deserialize(document).unwrap();
        let blitz = &gateway["spec"]["blitz"];
        let urls = [&blitz["url"], &blitz["statsUrl"], &blitz["authGuard"]["upstream"]];
        for url in urls.into_iter().filter_map(Value::as_str) {
            let url = url::Url::parse(url).unwrap();
            assert_eq!(url.host_str(), Some(host));
            asked.insert(url.port().unwrap().to_string());
        }
    }
    assert_eq!(asked, ports.iter().cloned().collect());
}

#[test]
fn the_gateways_of_the_handbook_are_accepted_and_the_node_is_rendered_from_them() {
    let machine = Machine::new();
    for name in ["tls/tls.crt", "tls/tls.key"] {
        fs::write(machine.path(name), "").unwrap();
    }
    fs::write(machine.path("vpn/gateways.yaml"), gateways_of_the_handbook()).unwrap();
    let check = machine
        .command("operator", &machine.path("bin/vpn-operator"))
        .arg("check")
        .arg(machine.path("vpn"))
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    fs::write(machine.path("data/hysteria-auth-token"), "path-secret-of-a-node").unwrap();
    fs::set_permissions(
        machine.path("data/hysteria-auth-token"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let (good, said) = machine.configure_with(&[("HYSTERIA_STATS_SECRET", "statistics-secret")]);
    assert!(good, "{said}");
    assert_eq!(
        machine.configuration()["trafficStats"]["secret"].as_str(),
        Some("statistics-secret")
    );
}

/// An operator on a folder, until it is dropped.
struct Operator(std::process::Child);

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A place with the folders of the Compose file, and commands of its services run there as processes.
struct Machine {
    root: tempfile::TempDir,
    compose: Value,
    listen: String,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["vpn", "data", "tls", "node", "bin"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        fs::set_permissions(root.path().join("data"), fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_vpn-operator"), root.path().join("bin/vpn-operator")).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            root,
            compose: compose(),
            listen: free.local_addr().unwrap().to_string(),
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    /// A text of the file, with its paths in this place.
    fn here(&self, text: &str) -> String {
        let paths = Regex::new(r"(^|[\s:])/(vpn|data|tls|node)\b").unwrap();
        let root = self.root.path().display();
        paths.replace_all(text, format!("${{1}}{root}/${{2}}")).into_owned()
    }

    /// A command with the environment of a service.
    fn command(&self, service: &str, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        let environment = self.compose["services"][service]["environment"].as_mapping().unwrap();
        for (name, value) in environment {
            command.env(name.as_str().unwrap(), self.here(value.as_str().unwrap()));
        }
        command
    }

    fn operator(&self) -> Operator {
        let operator = self
            .command("operator", &self.path("bin/vpn-operator"))
            .args(["run", "--listen", &self.listen, "--auth-listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut operator = Operator(operator.unwrap());
        for _ in 0..200 {
            if self.is_healthy() {
                return operator;
            }
            assert!(operator.0.try_wait().unwrap().is_none(), "the operator ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the operator is not healthy");
    }

    /// What the health check of the file says.
    fn is_healthy(&self) -> bool {
        let check = keys(&self.compose["services"]["operator"]["healthcheck"]["test"]);
        assert_eq!(check[..2], ["CMD", "vpn-operator"]);
        let mut command = self.command("operator", &self.path("bin").join(&check[1]));
        command.args(&check[2..]).env("LISTEN_ADDR", &self.listen);
        command.output().unwrap().status.success()
    }

    /// What the service `node-config` says on stderr, and whether it succeeds.
    fn configure(&self, acme_email: &str) -> (bool, String) {
        self.configure_with(&[("ACME_EMAIL", acme_email)])
    }

    fn configure_with(&self, environment: &[(&str, &str)]) -> (bool, String) {
        let service = &self.compose["services"]["node-config"];
        let shell = keys(&service["entrypoint"]);
        let script = self.here(&keys(&service["command"])[0]);
        let mut command = self.command("node-config", Path::new(&shell[0]));
        command.args(&shell[1..]).arg(script).envs(environment.iter().copied());
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    }

    fn configuration(&self) -> Value {
        serde_yaml::from_str(&fs::read_to_string(self.path("node/hysteria.yaml")).unwrap()).unwrap()
    }
}

#[test]
fn the_node_is_given_a_configuration_that_fits_the_containers() {
    let machine = Machine::new();
    for name in ["tls/tls.crt", "tls/tls.key"] {
        fs::write(machine.path(name), "").unwrap();
    }
    let (good, said) = machine.configure("");
    assert!(!good && said.contains("no path secret"), "before the first run: {said}");

    let _operator = machine.operator();
    let (good, said) = machine.configure("");
    assert!(good, "{said}");
    let mode = fs::metadata(machine.path("node/hysteria.yaml"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let compose = &machine.compose;
    let (operator, hysteria) = (&compose["services"]["operator"], &compose["services"]["hysteria"]);
    let rendered = machine.configuration();
    // It asks the operator by a name that the other container has, on a network that both are on, at the port of its listener.
    let url = url::Url::parse(rendered["auth"]["http"]["url"].as_str().unwrap()).unwrap();
    assert_eq!(url.host_str(), Some("operator"));
    let auth = operator["environment"]["HYSTERIA_AUTH_LISTEN"].as_str().unwrap();
    assert_eq!(auth, format!("0.0.0.0:{}", url.port().unwrap()));
    let token = fs::read_to_string(machine.path("data/hysteria-auth-token")).unwrap();
    assert_eq!(url.path(), format!("/auth/{}", token.trim()));
    let common: BTreeSet<_> = keys(&operator["networks"]).into_iter().collect();
    assert!(
        keys(&hysteria["networks"])
            .iter()
            .any(|network| common.contains(network))
    );
    // And the operator asks its statistics.
    let stats = url::Url::parse(operator["environment"]["HYSTERIA_STATS_URLS"].as_str().unwrap()).unwrap();
    assert_eq!(stats.host_str(), Some("hysteria"));
    let listen = format!(":{}", stats.port().unwrap());
    assert_eq!(rendered["trafficStats"]["listen"].as_str(), Some(listen.as_str()));
    let check = keys(&hysteria["healthcheck"]["test"]).join(" ");
    let asked = format!(" 127.0.0.1 {} ", stats.port().unwrap());
    assert!(check.contains(&asked), "{check}");
    // Clients of the node are connected to nothing on the networks that it shares with others here, nor to its loopback.
    let rules = keys(&rendered["acl"]["inline"]);
    for network in keys(&hysteria["networks"]) {
        let subnet = compose["networks"][network.as_str()]["ipam"]["config"][0]["subnet"].as_str();
        let rule = format!("reject({})", subnet.unwrap());
        assert!(rules.contains(&rule), "{network}: {rule}: {rules:?}");
    }
    assert!(rules.contains(&"reject(127.0.0.0/8)".to_owned()), "{rules:?}");
    // What the configuration names is mounted under that name, and so is the configuration.
    let targets: BTreeMap<_, _> = mounts(hysteria)
        .into_iter()
        .map(|(source, target, _)| (target, source))
        .collect();
    let cert = machine.here("/tls/tls.crt");
    assert_eq!(rendered["tls"]["cert"].as_str(), Some(cert.as_str()));
    assert_eq!(targets["/tls"], "./tls");
    let written = mounts(&compose["services"]["node-config"])
        .into_iter()
        .find(|mount| mount.1 == "/node");
    assert_eq!(written.unwrap().0, targets["/node"]);
    assert_eq!(keys(&hysteria["command"]), ["server", "-c", "/node/hysteria.yaml"]);
    // The port that clients are told is published.
    let port = rendered["listen"].as_str().unwrap();
    assert!(keys(&hysteria["ports"]).contains(&format!("443{port}/udp")), "{port}");
}

#[test]
fn with_an_acme_address_the_node_gets_its_certificate_itself_and_without_both_it_says_what_to_do() {
    let machine = Machine::new();
    let _operator = machine.operator();
    let (good, said) = machine.configure("");
    assert!(
        !good && said.contains("set ACME_EMAIL in .env") && said.contains("chown"),
        "{said}"
    );
    assert!(!machine.path("node/hysteria.yaml").exists());
    let (good, said) = machine.configure("it@example.com");
    assert!(good, "{said}");
    let rendered = machine.configuration();
    assert_eq!(rendered["acme"]["domains"][0].as_str(), Some(DOMAIN));
    let ports = keys(&machine.compose["services"]["hysteria"]["ports"]);
    assert!(ports.contains(&"80:80/tcp".to_owned()), "the authority asks there");
    // What it is given is kept.
    let folder = machine.compose["services"]["hysteria"]["environment"]["HYSTERIA_ACME_DIR"]
        .as_str()
        .unwrap();
    assert!(folder.starts_with("/node/"), "{folder}");
}
