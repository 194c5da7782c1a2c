//! `health`: whether the operator of this machine is ready, for health checks of containers and scripts.

use reqwest::StatusCode;

use super::{
    args::Health,
    client::probe,
    exit::{CommandError, Exit},
    output::{Output, printable},
};
use crate::{
    api::{client::innermost, health::CheckResultBody, problem::ProblemBody},
    config,
};

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
                innermost(error)
            };
            unavailable(format!("cannot reach the operator at {base}: {why}"))
                .hint("is `vpn-operator run` running there? --listen (LISTEN_ADDR) says where")
        })?;
    let status = answer.status();
    if status == StatusCode::OK {
        return output.line("ready");
    }
    let why = answer.json::<ProblemBody>().await.map_or_else(
        |_| format!("{base}/readyz answered {status}: is something else listening there?"),
        |problem| said(&problem),
    );
    Err(unavailable(why))
}

/// One line that fits the few that a container engine keeps of a health check.
fn said(problem: &ProblemBody) -> String {
    let checks = problem.checks.iter().flatten();
    let failed = checks.filter(|check| matches!(check.result, CheckResultBody::Failed));
    let failed: Vec<_> = failed.map(|check| check.name.as_str()).collect();
    let mut said = format!("not ready: {}", problem.detail);
    if !failed.is_empty() {
        said = format!("{said} (failed: {})", failed.join(", "));
    }
    printable(&said)
}
