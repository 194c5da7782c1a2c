//! `doctor`: looks at everything an operator needs, changes nothing, and says what to do.
//!
//! What the running operator knows about itself is its own list of checks, asked of it: doctor adds what only a process
//! outside can see. Without a running operator it looks at desired state and the nodes by itself.

mod bot;
mod cluster;
mod local;
mod mail;
mod node_certificate;
mod operator;
mod remote;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    args::Doctor,
    exit::{CommandError, Exit},
    nodes::Gateways,
    output::{Form, Output, printable},
    surroundings, wait,
};
use crate::config::{Config, DesiredLocation, secrets::process_environment};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// It works, and should not stay so.
    Warning,
    Failed,
    /// There was nothing to look at.
    Skipped,
}

impl Verdict {
    const fn mark(self) -> char {
        match self {
            Self::Ok => '✓',
            Self::Warning => '!',
            Self::Failed => '✗',
            Self::Skipped => '-',
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What was looked at.
    name: String,
    result: Verdict,
    /// What was seen; of several things a line each.
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    fn new(name: impl Into<String>, result: Verdict, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            result,
            message: message.into(),
            advice: None,
        }
    }
    fn ok(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, message)
    }
    fn skipped(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(name, Verdict::Skipped, message)
    }
    fn warning(name: impl Into<String>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..Self::new(name, Verdict::Warning, message)
        }
    }
    fn failed(name: impl Into<String>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            advice: Some(advice.into()),
            ..Self::new(name, Verdict::Failed, message)
        }
    }
}

pub(super) async fn run(args: Doctor, output: &mut Output) -> Result<(), CommandError> {
    let mut config = Config::load(args.settings, &process_environment)?;
    config.secrets.complete_from(&config.state.data_dir)?;
    let mut gateways = Gateways::find(&config.state, &config.hysteria, &config.secrets)?;
    let progress = wait::progress("looking");
    let mut findings = vec![
        local::clock(&config.state.data_dir),
        local::data_folder(&config.state.data_dir),
        local::master_key(&config),
        local::audit_chain(&config).await,
        local::registry(&config.state.data_dir).await,
    ];
    findings.extend(local::simulation(&config.state.data_dir));
    if config.state.desired == DesiredLocation::Kubernetes {
        let seen = cluster::look(&config).await;
        findings.extend(seen.findings);
        // Without any the environment defines the one that there is.
        gateways = seen.gateways.filter(|found| !found.list.is_empty()).unwrap_or(gateways);
    }
    let operator = operator::ask(&config).await;
    findings.extend(operator.findings);
    if !operator.told_its_checks {
        findings.extend(operator::found_here(surroundings::look(&config)));
        findings.push(local::desired(&config.state.desired));
        findings.extend(remote::statistics(&gateways).await);
    }
    findings.extend(local::certificate(args.cert.as_deref(), &gateways));
    findings.extend(node_certificate::look(&gateways).await);
    let (listener, services, mail, bot) = tokio::join!(
        remote::auth_listener(&config, &gateways),
        remote::auth_services(&gateways),
        mail::server(config.mail.as_ref()),
        bot::look(&config)
    );
    findings.extend(listener.into_iter().chain(services).chain(mail).chain(bot));
    progress.finish_and_clear();

    let failed = findings
        .iter()
        .filter(|finding| finding.result == Verdict::Failed)
        .count();
    match args.output.output {
        Form::Json => output.json(&json!({ "ok": failed == 0, "checks": findings }))?,
        Form::Table => {
            for finding in &findings {
                let Finding {
                    name,
                    result,
                    message,
                    advice,
                } = finding;
                let mut lines = message.lines();
                let first = printable(lines.next().unwrap_or_default());
                output.line(&format!("{} {}: {first}", result.mark(), printable(name)))?;
                for line in lines {
                    output.line(&format!("    {}", printable(line)))?;
                }
                if let Some(advice) = advice {
                    output.line(&format!("    {}", printable(advice)))?;
                }
            }
        }
    }
    match failed {
        0 => Ok(()),
        1 => Err(CommandError::new(Exit::Failed, "1 check failed")),
        count => Err(CommandError::new(Exit::Failed, format!("{count} checks failed"))),
    }
}
