//! What a person is told after the first start.

use std::path::Path;

use crate::config::{self, Config, DesiredLocation};

/// What to try next. Names files that hold secrets, never a secret.
#[must_use]
pub fn first_steps(config: &Config, example_id: &str) -> String {
    let api = config::local_url(config.listen.api, config.api_tls.is_some());
    let secret = corporate_secret(config);
    let Place {
        edit,
        data,
        desired,
        listen,
        auth_listen,
    } = Place::of(config, example_id);
    format!(
        "\
vpn-operator is running. What to try next:

  Get a configuration:
    curl -sS -H \"X-Corporate-Secret: {secret}\" {api}/user/{example_id}/config

  Let somebody in:
    curl -sS -H \"X-Corporate-Secret: {secret}\" -H 'Content-Type: application/json' \\
      -d '{{\"corporate_id\": \"{example_id}\"}}' {api}/access/grant

  Take access away: {edit}, or
    vpn-operator user deactivate {example_id}{data}{listen}

  Configure a Hysteria node:
    vpn-operator gateway render node-1 --acme DOMAIN --acme-email EMAIL \\
     {desired}{data}{auth_listen}

  Find out what is wrong:
    vpn-operator doctor{desired}{data}{listen}{auth_listen}
"
    )
}

/// What to try next with a simulated node. Names files that hold secrets, never a secret.
#[must_use]
pub fn tour(config: &Config, example_id: &str) -> String {
    let Place {
        edit,
        data,
        desired,
        listen,
        auth_listen,
    } = Place::of(config, example_id);
    format!(
        "\
vpn-operator is running with a SIMULATED node and simulated devices: nobody can really connect.
What to try next, in a second terminal:

  Who is connected:
    vpn-operator user list{data}{listen}

  What a person is given. Open the subscription_url in a browser:
    vpn-operator user grant {example_id}{data}{listen}

  Put somebody out, with proof, and look what becomes of the others' sessions:
    vpn-operator user deactivate {example_id} --reason 'laptop stolen'{data}{listen}
    vpn-operator user list{data}{listen}

  Who is out, and why; and the way back:
    vpn-operator hold list{data}{listen}
    vpn-operator user activate {example_id}{data}{listen}

  The same by editing: {edit}

  Find out what is wrong:
    vpn-operator doctor{desired}{data}{listen}{auth_listen}
"
    )
}

/// Where this operator is, as flags of the commands that find it: nothing where it is where they look anyway.
struct Place {
    edit: String,
    data: String,
    desired: String,
    listen: String,
    auth_listen: String,
}

impl Place {
    fn of(config: &Config, example_id: &str) -> Self {
        let flag = |name: &str, value: String, default: &str| {
            if value == default {
                return String::new();
            }
            format!(" {name} {}", quoted(&value))
        };
        let edit = match &config.state.desired {
            DesiredLocation::Folder(path) => {
                format!(
                    "write `active: false` under `spec:` of {example_id} in {}",
                    path.display()
                )
            }
            DesiredLocation::Kubernetes => format!("set `spec.active: false` of {example_id} with kubectl"),
        };
        Self {
            edit,
            data: flag("--data", config.state.data_dir.display().to_string(), "./data"),
            desired: flag("--desired", config.state.desired.to_string(), "folder:./vpn"),
            listen: flag("--listen", config.listen.api.to_string(), "127.0.0.1:8080"),
            auth_listen: flag("--auth-listen", config.listen.auth.to_string(), "127.0.0.1:8081"),
        }
    }
}

/// The secret of callers, as a shell finds it.
fn corporate_secret(config: &Config) -> String {
    let in_file = |path: &Path| format!("$(cat {})", quoted(&path.display().to_string()));
    match &config.secrets.corporate {
        Some(secret) => match &secret.file {
            Some(path) => in_file(path),
            None => "$CORPORATE_SECRET".to_owned(),
        },
        None => in_file(&config.state.data_dir.join(config::CORPORATE_SECRET_FILE)),
    }
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
        assert!(
            text.contains("$CORPORATE_SECRET") && text.contains("http://127.0.0.1:9000/user/AB123456/config"),
            "{text}"
        );
        for (text, count) in [(text, 3), (tour(&config, "AB123456"), 7)] {
            assert!(!text.contains("hunter2"), "{text}");
            let commands: Vec<_> = text
                .lines()
                .map(str::trim)
                .filter(|line| line.starts_with("vpn-operator ") && !line.contains("is running"))
                .collect();
            for command in &commands {
                let words = command
                    .replace("'/srv/my data'", "/srv/data")
                    .replace("'laptop stolen'", "stolen");
                Cli::try_parse_from(words.split_whitespace()).unwrap();
                assert!(words.contains("--data /srv/data"), "{words}");
            }
            assert_eq!(commands.len(), count, "{text}");
        }
    }

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted("./data/corporate-secret"), "./data/corporate-secret");
        assert_eq!(quoted("/srv/my data"), "'/srv/my data'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
