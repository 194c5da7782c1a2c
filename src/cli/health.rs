//! `health`: whether the operator of this machine is ready, for health checks of containers and scripts.

use reqwest::StatusCode;
use serde::Deserialize;

use super::{
    args::Health,
    client::{probe, root_cause},
    exit::{CommandError, Exit},
    output::{Output, printable},
};
use crate::config;

/// The answer of `/readyz?verbose`, as far as it is shown.
#[derive(Deserialize)]
struct Ready {
    detail: Option<String>,
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    name: String,
    result: String,
}

/// Asks `/readyz` and nothing else: no secret is read or sent.
pub(super) async fn run(args: &Health, output: &mut Output) -> Result<(), CommandError> {
    let cert = args.tls_cert.as_deref().filter(|path| !path.as_os_str().is_empty());
    let base = config::local_url(args.listen, cert.is_some());
    let unavailable = |message: String| CommandError::new(Exit::Unavailable, message);
    let answer = probe(cert, args.timeout)?
        .get(format!("{base}/readyz?verbose"))
        .send()
        .await
        .map_err(|error| {
            let why = if error.is_timeout() {
                format!("no answer within {:?}", args.timeout)
            } else {
                root_cause(&error)
            };
            unavailable(format!("cannot reach the operator at {base}: {why}"))
                .hint("is `vpn-operator run` running there? --listen (LISTEN_ADDR) says where")
        })?;
    let status = answer.status();
    if status == StatusCode::OK {
        return output.line("ready");
    }
    let why = answer.json::<Ready>().await.map_or_else(
        |_| format!("{base}/readyz answered {status}: is something else listening there?"),
        |ready| said(&ready),
    );
    Err(unavailable(why))
}

/// One line that fits the few that a container engine keeps of a health check.
fn said(ready: &Ready) -> String {
    let failed = ready.checks.iter().filter(|check| check.result == "failed");
    let failed: Vec<_> = failed.map(|check| check.name.as_str()).collect();
    let detail = ready.detail.as_deref().unwrap_or("no reason was given");
    let mut said = format!("not ready: {detail}");
    if !failed.is_empty() {
        said = format!("{said} (failed: {})", failed.join(", "));
    }
    printable(&said)
}
