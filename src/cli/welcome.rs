//! What a person is told after the first start.

use super::output::Output;
use crate::config::{self, Config, DesiredLocation};

/// What to try next. Names files that hold secrets, never a secret.
#[must_use]
pub fn first_steps(config: &Config, example_id: &str) -> String {
    let api = config::local_url(config.listen.api, config.api_tls.is_some());
    let secret = match &config.secrets.corporate {
        Some(secret) => match &secret.file {
            Some(path) => format!("$(cat {})", quoted(&path.display().to_string())),
            None => "$CORPORATE_SECRET".to_owned(),
        },
        None => format!(
            "$(cat {})",
            quoted(
                &config
                    .state
                    .data_dir
                    .join(config::CORPORATE_SECRET_FILE)
                    .display()
                    .to_string()
            )
        ),
    };
    let edit = match &config.state.desired {
        DesiredLocation::Folder(path) => {
            format!(
                "write `active: false` under `spec:` of {example_id} in {}, or",
                path.display()
            )
        }
        DesiredLocation::Kubernetes => format!("set `spec.active: false` of {example_id} with kubectl, or"),
    };
    let data = format!("--data {}", quoted(&config.state.data_dir.display().to_string()));
    let desired = format!("--desired {}", quoted(&config.state.desired.to_string()));
    let listen = format!("--listen {}", config.listen.api);
    let auth_listen = format!("--auth-listen {}", config.listen.auth);
    format!(
        "\
vpn-operator is running. What to try next:

  Get a configuration:
    curl -sS -H \"X-Corporate-Secret: {secret}\" {api}/user/{example_id}/config

  Let somebody in:
    curl -sS -H \"X-Corporate-Secret: {secret}\" -H 'Content-Type: application/json' \\
      -d '{{\"corporate_id\": \"{example_id}\"}}' {api}/access/grant

  Take access away: {edit}
    vpn-operator user deactivate {example_id} {data} {listen}

  Configure a Hysteria node:
    vpn-operator gateway render node-1 --acme DOMAIN --acme-email EMAIL \\
      {desired} {data} {auth_listen}

  Find out what is wrong:
    vpn-operator doctor {desired} {data} {listen} {auth_listen}
"
    )
}

/// Says it on stdout. That nobody reads there does not disturb the operator.
pub fn say(text: &str) {
    let _ = Output::stdout().text(text);
}

/// A path as one word of a shell.
fn quoted(path: &str) -> String {
    if !path.is_empty()
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@:".contains(&byte))
    {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_that_is_suggested_can_be_typed_and_no_secret_is_shown() {
        let typed = [
            "vpn-operator",
            "run",
            "--data",
            "/srv/my data",
            "--listen",
            "0.0.0.0:9000",
        ];
        let crate::cli::args::Command::Run(run) = Cli::try_parse_from(typed).unwrap().command else {
            panic!("not a run");
        };
        let environment = |name: &str| (name == "CORPORATE_SECRET").then(|| "hunter2".into());
        let config = Config::load(run.settings, &environment).unwrap();
        let text = first_steps(&config, "AB123456").replace("\\\n", " ");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(
            text.contains("$CORPORATE_SECRET") && text.contains("http://127.0.0.1:9000/user/AB123456/config"),
            "{text}"
        );
        let commands: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("vpn-operator "))
            .collect();
        for command in commands.iter().filter(|line| !line.contains("is running")) {
            let words = command.replace("'/srv/my data'", "/srv/data");
            Cli::try_parse_from(words.split_whitespace()).unwrap();
        }
        assert_eq!(commands.len(), 4, "{text}");
    }

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted("./data/corporate-secret"), "./data/corporate-secret");
        assert_eq!(quoted("/srv/my data"), "'/srv/my data'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
