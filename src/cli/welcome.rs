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
    format!(
        "\
vpn-operator is running. What to try next:

  Get a configuration:
    curl -sS -H \"X-Corporate-Secret: {secret}\" {api}/user/{example_id}/config

  Let somebody in:
    curl -sS -H \"X-Corporate-Secret: {secret}\" -H 'Content-Type: application/json' \\
      -d '{{\"corporate_id\": \"{example_id}\"}}' {api}/access/grant

  Take access away: {edit}
    vpn-operator user deactivate {example_id} --data {data}

  Configure a Hysteria node:
    vpn-operator gateway render node-1 --acme DOMAIN --acme-email EMAIL --data {data}

  Find out what is wrong:
    vpn-operator doctor --data {data}
",
        data = quoted(&config.state.data_dir.display().to_string()),
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
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted("./data/corporate-secret"), "./data/corporate-secret");
        assert_eq!(quoted("/srv/my data"), "'/srv/my data'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
