//! The running operator: whether it answers, and its own list of checks.

use reqwest::StatusCode;
use secrecy::ExposeSecret;

use super::{
    Finding, Verdict,
    remote::{probe, why},
};
use crate::{
    access::Check,
    api::{
        health::{CheckBody, CheckResultBody, ReadyBody},
        problem::ProblemBody,
    },
    config::{self, Components, Config},
};

/// Details of one check that are shown; `/readyz?verbose` has all.
const SHOWN: usize = 5;

/// What became of the question.
pub(super) struct Operator {
    /// The API itself, and every check of the operator's own.
    pub(super) findings: Vec<Finding>,
    /// It told its checks: nobody else needs to look at the same things.
    pub(super) told_its_checks: bool,
}

impl From<CheckBody> for Finding {
    fn from(told: CheckBody) -> Self {
        let mut message: Vec<_> = told.details.iter().take(SHOWN).cloned().collect();
        if let more @ 1.. = told.details.len().saturating_sub(SHOWN) {
            message.push(format!("and {more} more: /readyz?verbose"));
        }
        if message.is_empty() {
            message.push(told.note.unwrap_or_else(|| "nothing is wrong".to_owned()));
        }
        Self {
            name: told.name,
            result: match told.result {
                CheckResultBody::Ok => Verdict::Ok,
                CheckResultBody::Warning => Verdict::Warning,
                CheckResultBody::Failed => Verdict::Failed,
            },
            message: message.join("\n"),
            advice: told.advice,
        }
    }
}

/// What this process finds by itself where no operator tells.
pub(super) fn found_here(checks: Vec<Check>) -> impl Iterator<Item = Finding> {
    checks.into_iter().map(|check| CheckBody::from(check).into())
}

/// Asks the operator whether it is ready, for its checks, and whether it knows the secret.
pub(super) async fn ask(config: &Config) -> Operator {
    const NAME: &str = "operator API";
    let base = config::local_url(config.listen.api, config.api_tls.is_some());
    let alone = |finding| Operator {
        findings: vec![finding],
        told_its_checks: false,
    };
    let client = match probe(config.api_tls.as_ref()) {
        Ok(client) => client,
        Err(error) => return alone(Finding::failed(NAME, error.message, "correct TLS_CERT_FILE")),
    };
    let answer = match client.get(format!("{base}/readyz?verbose")).send().await {
        Ok(answer) => answer,
        Err(error) => {
            return alone(Finding::failed(
                NAME,
                format!("cannot reach {base}: {}", why(error)),
                "start it: vpn-operator run; or correct --listen (LISTEN_ADDR)",
            ));
        }
    };
    let status = answer.status();
    let said = answer.bytes().await.unwrap_or_default();
    let read = if status.is_success() {
        serde_json::from_slice(&said).map(|ready: ReadyBody| (String::new(), ready.checks))
    } else {
        serde_json::from_slice(&said).map(|problem: ProblemBody| (problem.detail, problem.checks))
    };
    let Ok((detail, checks)) = read else {
        return alone(Finding::failed(
            NAME,
            format!("{base} answered {status}, and nothing that doctor understands"),
            "is something else listening there, or another version of vpn-operator?",
        ));
    };
    let api = if status.is_success() {
        accepts_the_secret(NAME, &base, &client, config).await
    } else {
        Finding::failed(
            NAME,
            format!("is not ready ({status}): {detail}"),
            "see what is said below, and the operator's log",
        )
    };
    let told_its_checks = checks.is_some();
    let checks = checks.into_iter().flatten().map(Finding::from);
    Operator {
        findings: std::iter::once(api).chain(checks).collect(),
        told_its_checks,
    }
}

async fn accepts_the_secret(name: &str, base: &str, client: &reqwest::Client, config: &Config) -> Finding {
    if config.cluster.components == Components::Auth {
        return Finding::ok(name, format!("{base} is ready; a replica has no other API"));
    }
    let Some(corporate) = &config.secrets.corporate else {
        return Finding::warning(
            name,
            "is ready; its secret is not known here",
            "name its data folder with --data",
        );
    };
    let asked = client
        .get(format!("{base}/users?limit=1"))
        .header("X-Corporate-Secret", corporate.value.expose_secret())
        .send()
        .await;
    match asked.map(|answer| answer.status()) {
        Ok(status) if status.is_success() => Finding::ok(name, format!("{base} is ready and accepts the secret")),
        Ok(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => Finding::failed(
            name,
            format!("{base} refuses the secret"),
            "use the same CORPORATE_SECRET(_FILE) or --data as the running operator",
        ),
        Ok(status) => Finding::failed(name, format!("{base} answered {status}"), "see the operator's log"),
        Err(error) => Finding::failed(
            name,
            format!("cannot reach {base}: {}", why(error)),
            "see the operator's log",
        ),
    }
}
