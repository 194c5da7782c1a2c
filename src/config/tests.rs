use std::{collections::HashMap, ffi::OsString, path::Path, time::Duration};

use clap::Parser;
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};

use super::{secrets::Secret, *};
use crate::model::{guard::Budget, secret_source::SecretSource};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    settings: Settings,
}

/// Settings from flags alone. Relies on the environment of the test run having none of the variables.
fn settings(flags: &[&str]) -> Settings {
    Command::try_parse_from(std::iter::once(&"vpn-operator").chain(flags))
        .unwrap()
        .settings
}

fn environment(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> + use<> {
    let vars: HashMap<String, OsString> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), OsString::from(*value)))
        .collect();
    move |name| vars.get(name).cloned()
}

fn load(flags: &[&str], pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(settings(flags), &environment(pairs))
}

fn value(secret: &SecretString) -> &str {
    secret.expose_secret()
}

#[test]
fn the_defaults_are_those_of_one_machine() {
    let config = load(&[], &[]).unwrap();
    assert_eq!(config.state.desired, DesiredLocation::Folder("./vpn".into()));
    assert_eq!(config.state.data_dir, PathBuf::from("./data"));
    assert_eq!(config.listen.api.to_string(), "127.0.0.1:8080");
    assert_eq!(config.listen.auth.to_string(), "127.0.0.1:8081");
    assert_eq!(config.public_url.to_string(), "http://127.0.0.1:8080");
    assert_eq!(config.times.last_known_max_age, Duration::from_secs(86_400));
    assert_eq!(config.times.hysteria_poll_interval, Duration::from_secs(5));
    assert!(config.trusted_proxies.is_empty());
    assert_eq!(config.failed_attempts, 10);
    assert!(config.secrets.corporate.is_none());
}

#[test]
fn a_secret_given_twice_names_both_variables() {
    let error = load(&[], &[("MASTER_KEY", "hunter2"), ("MASTER_KEY_FILE", "/x")])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("MASTER_KEY ") && error.contains("MASTER_KEY_FILE"),
        "{error}"
    );
    assert!(!error.contains("hunter2"));
}

#[test]
fn an_empty_secret_is_an_error_wherever_it_is() {
    let error = load(&[], &[("CORPORATE_SECRET", "")]).unwrap_err().to_string();
    assert!(error.starts_with("CORPORATE_SECRET is empty"), "{error}");

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "\n").unwrap();
    let path = file.path().to_str().unwrap();
    let error = load(&[], &[("CORPORATE_SECRET_FILE", path)]).unwrap_err().to_string();
    assert!(
        error.contains("CORPORATE_SECRET_FILE") && error.contains(path),
        "{error}"
    );
}

#[test]
fn a_missing_secret_file_is_named() {
    let error = load(&[], &[("HYSTERIA_AUTH_TOKEN_FILE", "/nowhere/token")])
        .unwrap_err()
        .to_string();
    assert!(error.contains("HYSTERIA_AUTH_TOKEN_FILE (/nowhere/token)"), "{error}");
}

#[test]
fn line_ends_behind_a_secret_are_not_part_of_it_wherever_it_is_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (content, expected) in [
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        ("s3cret", "s3cret"),
        (" a b \n", " a b "),
        ("s3cret\r\n\r\n", "s3cret"),
        ("\u{feff}s3cret\r\n", "s3cret"),
    ] {
        std::fs::write(file.path(), content).unwrap();
        let env = environment(&[("CORPORATE_SECRET_FILE", file.path().to_str().unwrap())]);
        let secret = Secret::load("CORPORATE_SECRET", &env).unwrap().unwrap();
        assert_eq!(value(&secret.value), expected, "{content:?}");
        // As `--env-file` leaves it, and a Secret that is given as a variable.
        let env = environment(&[("CORPORATE_SECRET", content)]);
        let secret = Secret::load("CORPORATE_SECRET", &env).unwrap().unwrap();
        assert_eq!(value(&secret.value), expected, "{content:?}");
        // What was made on a first run and edited since, as the operator and its command line read it.
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("corporate-secret");
        std::fs::write(&kept, content).unwrap();
        std::fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let (operators, _) =
            crate::credentials::load_or_create_secret(folder.path(), "corporate-secret", None).unwrap();
        let callers = secrets::read_kept(&kept).unwrap().unwrap();
        assert_eq!(
            (value(&operators), value(&callers)),
            (expected, expected),
            "{content:?}"
        );
    }
}

#[test]
fn no_secret_shows_in_debug() {
    let pairs: Vec<(&str, &str)> = secrets::SECRET_VARIABLES
        .iter()
        .map(|name| {
            (
                *name,
                match *name {
                    "WEBHOOK_SECRETS" => "hub:hunter2",
                    "TELEGRAM_BOT_TOKEN" => "123456:hunter2",
                    "API_CLIENTS" => "portal:helpdesk:hunter2-hunter2-hunter2-hunter2",
                    _ => "hunter2",
                },
            )
        })
        .collect();
    let config = load(&[], &pairs).unwrap();
    assert_eq!(
        value(&config.secrets.hysteria_obfs_password.as_ref().unwrap().value),
        "hunter2"
    );
    let shown = format!("{config:?} {:?}", config.default_gateway());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_certificate_without_its_key_names_both_settings() {
    let error = load(&["--tls-cert", "a.pem"], &[]).unwrap_err().to_string();
    assert!(
        error.contains("TLS_CERT_FILE") && error.contains("TLS_KEY_FILE"),
        "{error}"
    );
    let error = load(&["--auth-tls-key", "a.pem"], &[]).unwrap_err().to_string();
    assert!(error.contains("HYSTERIA_AUTH_TLS_CERT_FILE"), "{error}");
    let config = load(&["--tls-cert", "a.pem", "--tls-key", "b.pem"], &[]).unwrap();
    assert_eq!(
        config.api_tls,
        Some(TlsFiles {
            cert: "a.pem".into(),
            key: "b.pem".into()
        })
    );
    assert_eq!(config.public_url.to_string(), "https://127.0.0.1:8080");
}

#[test]
fn the_environment_defines_one_node_an_entry() {
    let config = load(
        &[
            "--domain",
            "vpn.example.com",
            "--hysteria-port",
            "443,20000-50000",
            "--hysteria-stats-urls",
            "http://a:9999/, http://b:9999",
        ],
        &[
            ("HYSTERIA_STATS_SECRET", "s"),
            ("HYSTERIA_OBFS_PASSWORD", "o"),
            ("HYSTERIA_AUTH_TOKEN", "t"),
        ],
    )
    .unwrap();
    let gateway = config.default_gateway();
    let nodes = gateway.spec.hysteria.clone().unwrap().nodes;
    let shown: Vec<_> = nodes
        .iter()
        .map(|node| (node.name.as_str(), node.stats_url.as_deref().unwrap()))
        .collect();
    assert_eq!(shown, [("node-1", "http://a:9999"), ("node-2", "http://b:9999")]);
    let env = |name: &str| {
        Some(SecretSource {
            env: Some(name.to_owned()),
            ..SecretSource::default()
        })
    };
    for node in &nodes {
        assert_eq!(
            (node.address.as_str(), node.ports.as_str()),
            ("vpn.example.com", "443,20000-50000")
        );
        assert_eq!(node.stats_secret, env("HYSTERIA_STATS_SECRET"));
        assert_eq!(node.auth_token, env("HYSTERIA_AUTH_TOKEN"));
        assert_eq!(Some(node.obfs.clone().unwrap().password), env("HYSTERIA_OBFS_PASSWORD"));
    }
    for (name, expected) in [
        ("HYSTERIA_STATS_SECRET", "s"),
        ("HYSTERIA_AUTH_TOKEN", "t"),
        ("HYSTERIA_OBFS_PASSWORD", "o"),
    ] {
        assert_eq!(value(gateway.secret(&env(name).unwrap()).unwrap()), expected);
    }
    assert!(gateway.secret(&env("MASTER_KEY").unwrap()).is_none());
    assert_eq!(value(&gateway.stats_secret.unwrap()), "s");
    assert_eq!(value(&gateway.obfs_password.unwrap()), "o");
}

#[test]
fn without_statistics_there_is_one_node_on_this_machine() {
    let nodes = load(&[], &[]).unwrap().default_gateway().spec.hysteria.unwrap().nodes;
    assert_eq!(nodes.len(), 1);
    let node = nodes.first().unwrap();
    assert_eq!(
        (node.name.as_str(), node.address.as_str(), node.ports.as_str()),
        ("node-1", "127.0.0.1", "443")
    );
    assert_eq!(
        (&node.stats_url, &node.stats_secret, &node.obfs, &node.pin_sha256),
        (&None, &None, &None, &None)
    );
}

#[test]
fn secrets_that_were_not_given_are_those_that_a_run_has_made() {
    let data = tempfile::tempdir().unwrap();
    for name in [CORPORATE_SECRET_FILE, STATS_SECRET_FILE] {
        std::fs::write(data.path().join(name), "kept\n").unwrap();
    }
    let flags = ["--hysteria-stats-urls", "http://a:9999"];
    let mut config = load(&flags, &[("CORPORATE_SECRET", "given")]).unwrap();
    config.secrets.complete_from(data.path()).unwrap();
    assert_eq!(value(&config.secrets.corporate.as_ref().unwrap().value), "given");
    assert!(config.secrets.hysteria_auth_token.is_none());
    let gateway = config.default_gateway();
    let node = gateway.spec.hysteria.clone().unwrap().nodes.remove(0);
    let source = node.stats_secret.unwrap();
    assert_eq!(source.file.as_deref(), data.path().join(STATS_SECRET_FILE).to_str());
    assert_eq!(value(gateway.secret(&source).unwrap()), "kept");
}

#[test]
fn a_first_run_makes_private_secrets_and_a_second_one_keeps_them() {
    let data = tempfile::tempdir().unwrap();
    let flags = ["--data", data.path().to_str().unwrap()];
    let mut first = load(&flags, &[("HYSTERIA_STATS_SECRET", "given")]).unwrap();
    let made = first.complete_secrets().unwrap();
    assert_eq!(
        made,
        [
            data.path().join(CORPORATE_SECRET_FILE),
            data.path().join(AUTH_TOKEN_FILE)
        ]
    );
    for path in &made {
        assert_eq!(open_to_others(path).unwrap(), 0, "{}", path.display());
    }
    assert_eq!(value(&first.secrets.hysteria_stats_secret.unwrap().value), "given");

    let mut second = load(&flags, &[]).unwrap();
    assert_eq!(
        second.complete_secrets().unwrap(),
        [data.path().join(STATS_SECRET_FILE)]
    );
    let (first, second) = (first.secrets.corporate.unwrap(), second.secrets.corporate.unwrap());
    assert_eq!(value(&first.value), value(&second.value));
    assert_ne!(value(&first.value), value(&load_token(data.path())));
}

fn load_token(data: &Path) -> SecretString {
    secrets::read_kept(&data.join(AUTH_TOKEN_FILE)).unwrap().unwrap()
}

#[test]
fn looking_makes_no_secrets() {
    let data = tempfile::tempdir().unwrap();
    let mut secrets = Secrets::default();
    secrets.complete_from(data.path()).unwrap();
    assert!(secrets.corporate.is_none());
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
}

#[test]
fn wrong_values_name_their_setting_and_never_repeat_a_password() {
    let cases: [(&[&str], &str); 7] = [
        (
            &["--hysteria-stats-urls", "http://user:hunter2@a:9999"],
            "HYSTERIA_STATS_URLS",
        ),
        (&["--hysteria-stats-urls", "hunter2"], "HYSTERIA_STATS_URLS"),
        (
            &["--hysteria-stats-urls", "http://a:1,http://a:1/"],
            "HYSTERIA_STATS_URLS",
        ),
        (&["--public-url", "ftp://a"], "PUBLIC_URL"),
        (&["--public-url", "https://u:hunter2@a"], "PUBLIC_URL"),
        (&["--hysteria-pin-sha256", "abc"], "HYSTERIA_PIN_SHA256"),
        (&["--domain", "https://vpn.example.com"], "DOMAIN"),
    ];
    for (flags, name) in cases {
        let error = load(flags, &[]).unwrap_err().to_string();
        assert!(error.starts_with(name), "{flags:?}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn the_guard_is_set_for_every_budget_and_with_exceptions() {
    let flags = [
        "--guard-limit",
        "20,hr=50,usage=off",
        "--guard-share",
        "2%",
        "--guard-window",
        "90s",
    ];
    let guard = load(&flags, &[]).unwrap().guard;
    let allowed = Budget::ALL.map(|budget| guard.allowed(budget, 2000));
    assert_eq!(allowed, [Some(40), Some(50), Some(40), None, Some(40)]);
    assert_eq!(guard.window(), jiff::SignedDuration::from_secs(90));
    assert!(guard.warning().unwrap().contains("usage"));
    assert_eq!(load(&[], &[]).unwrap().guard, GuardLimits::default());
}

#[test]
fn a_wrong_limit_names_the_setting_and_the_part() {
    for (flag, text, part) in [
        ("--guard-limit", "10,hr=many", "hr: 'many'"),
        ("--guard-limit", "10,people=5", "'people' is no budget"),
        ("--guard-share", "120", "'120' is no share"),
        ("--guard-window", "0s", "between 1s and 24h"),
        ("--guard-window", "25h", "between 1s and 24h"),
    ] {
        let error = Command::try_parse_from(["vpn-operator", flag, text])
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(flag) && error.contains(part), "{error}");
    }
}

#[test]
fn empty_settings_of_a_template_count_as_absent() {
    let flags = [
        "--domain",
        "",
        "--hysteria-sni",
        "",
        "--hysteria-pin-sha256",
        "",
        "--public-url",
        "",
        "--tls-cert",
        "",
        "--tls-key",
        "",
        "--hysteria-stats-urls",
        "",
        "--trusted-proxies",
        "",
    ];
    let config = load(&flags, &[("CORPORATE_SECRET_FILE", "")]).unwrap();
    assert_eq!(config.hysteria, load(&[], &[]).unwrap().hysteria);
    assert_eq!(config.api_tls, None);
}

#[test]
fn a_pin_is_accepted_with_colons_and_capitals() {
    let pin = ["AB"; 32].join(":");
    let config = load(&["--hysteria-pin-sha256", &pin], &[]).unwrap();
    assert_eq!(config.hysteria.pin_sha256.unwrap(), "ab".repeat(32));
}

#[test]
fn a_listener_on_every_address_is_reached_on_this_machine() {
    assert_eq!(
        local_url("0.0.0.0:8080".parse().unwrap(), false),
        "http://127.0.0.1:8080"
    );
    assert_eq!(local_url("[::]:8080".parse().unwrap(), true), "https://[::1]:8080");
    assert_eq!(local_url("10.0.0.1:80".parse().unwrap(), false), "http://10.0.0.1:80");
}

#[test]
fn desired_state_lives_in_a_folder_or_a_cluster() {
    assert_eq!("kubernetes".parse(), Ok(DesiredLocation::Kubernetes));
    assert_eq!(
        "folder:/srv/a:b".parse(),
        Ok(DesiredLocation::Folder("/srv/a:b".into()))
    );
    for text in ["", "folder", "folder:", "./vpn", "kubernetes:x", "Folder:x"] {
        assert!(text.parse::<DesiredLocation>().is_err(), "{text}");
    }
}

#[test]
fn networks_may_be_lone_addresses() {
    let networks: ProxyNetworks = "10.0.0.0/8, 192.168.1.10,::1".parse().unwrap();
    let shown: Vec<_> = networks.0.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.0/8", "192.168.1.10/32", "::1/128"]);
    assert!("10.0.0.0/40".parse::<ProxyNetworks>().is_err());
}

proptest! {
    #[test]
    fn ports_are_ports_and_ranges_that_rise(parts in proptest::collection::vec((any::<u16>(), any::<Option<u16>>()), 1..4)) {
        let text = parts.iter().map(|(from, to)| match to {
            None => from.to_string(),
            Some(to) => format!("{from}-{to}"),
        }).collect::<Vec<_>>().join(",");
        let good = parts.iter().all(|(from, to)| *from > 0 && to.is_none_or(|to| *from <= to));
        prop_assert_eq!(text.parse::<Ports>().is_ok(), good);
    }

    #[test]
    fn no_text_breaks_the_parsers(text in ".{0,40}") {
        let _ = text.parse::<Ports>();
        let _ = text.parse::<ProxyNetworks>();
        let _ = text.parse::<DesiredLocation>();
        let _ = values::stats_urls(&text);
        let _ = values::duration(&text);
    }
}

#[test]
fn a_panel_may_have_statistics_and_a_guard_with_the_secrets_of_nodes() {
    let secrets = [
        ("BLITZ_API_TOKEN", "token-of-the-api"),
        ("HYSTERIA_AUTH_TOKEN", "path-secret"),
        ("HYSTERIA_STATS_SECRET", "stats-secret"),
    ];
    let panel = ["--blitz-api-url", "https://panel.example.com/root"];
    let guarded = ["--blitz-auth-upstream", "http://127.0.0.1:28262/auth"];
    let stats = ["--blitz-stats-url", "http://127.0.0.1:25413/"];
    let gateway = load(&[panel, guarded, stats].concat(), &secrets)
        .unwrap()
        .default_gateway();
    let blitz = gateway.spec.blitz.clone().unwrap();
    assert_eq!(blitz.stats_url.as_deref(), Some("http://127.0.0.1:25413"));
    let guard = blitz.auth_guard.as_ref().unwrap();
    assert_eq!(guard.upstream, "http://127.0.0.1:28262/auth");
    let read: Vec<_> = blitz
        .secrets()
        .map(|it| gateway.secret(it).unwrap().expose_secret())
        .collect();
    assert_eq!(read, ["token-of-the-api", "stats-secret", "path-secret"]);
    let alone = load(&panel, &secrets).unwrap().default_gateway().spec.blitz.unwrap();
    assert_eq!((alone.auth_guard, alone.stats_secret), (None, None));
    for (flags, name) in [(guarded, "BLITZ_AUTH_UPSTREAM"), (stats, "BLITZ_STATS_URL")] {
        let error = load(&flags, &secrets).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("BLITZ_API_URL"), "{error}");
    }
    let error = load(
        &[panel, ["--blitz-auth-upstream", "http://u:hunter2@h/auth"]].concat(),
        &secrets,
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("HYSTERIA_AUTH_TOKEN") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn a_client_with_the_shared_secret_as_its_token_is_refused() {
    let token = "0123456789abcdef01234567";
    let clients = format!("portal:helpdesk:{token}");
    assert_eq!(load(&[], &[("API_CLIENTS", &clients)]).unwrap().api_clients.len(), 1);
    for name in ["CORPORATE_SECRET", "CORPORATE_SECRET_PREVIOUS"] {
        let error = load(&[], &[("API_CLIENTS", &clients), (name, token)])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("API_CLIENTS: the token of client 'portal' is the shared secret"),
            "{error}"
        );
        assert!(!error.contains(token));
    }
}
