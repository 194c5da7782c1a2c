//! The accounts of a Blitz panel. The panel is asked for its list, and for nothing else.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path};

use jiff::Timestamp;

use super::{
    super::{
        exit::{CommandError, Exit},
        import_args::ImportBlitz,
        output::Output,
        wait,
    },
    blitz_report::Report,
    cluster::Namespace,
    folder::{DATA_DIR, Folder},
    owned,
};
use crate::{
    config::{ConfigError, DesiredLocation, Secrets, panel_url, secrets::process_environment},
    fence::Fence,
    gateway::blitz::client::{PanelClient, PanelEndpoint, PanelError},
    import::blitz::{Circumstances, LineFault, Matches, Plan, map},
    model::gateway::DEFAULT_GATEWAY,
};

/// First line of every document.
const HEADLINE: &str = "Imported from a Blitz panel by vpn-operator import.";
/// Most faults that are named.
const MAX_FAULTS: usize = 20;

pub(super) async fn run(args: ImportBlitz, output: &mut Output) -> Result<(), CommandError> {
    let matches = args.matches.as_deref().map(read).transpose()?.unwrap_or_default();
    let secrets = Secrets::load(&process_environment)?;
    let panel = PanelClient::new(&endpoint(&args, &secrets)?, Fence::always_open());
    let panel = panel.map_err(|error| refused(&error))?;
    let progress = wait::progress("asking the panel for its accounts");
    let listed = panel.list().await;
    progress.finish_and_clear();
    let listed: BTreeMap<_, _> = listed.map_err(|error| refused(&error))?.into_iter().collect();
    if let Some(path) = &args.matches {
        let unknown = matches.unknown(listed.keys());
        fail_on(path, &unknown)?;
    }
    let circumstances = Circumstances {
        now: Timestamp::now(),
        gateway: (args.gateway != DEFAULT_GATEWAY).then(|| args.gateway.clone()),
    };
    let mut report = Report::new(map(&listed, &matches, &circumstances), args.target.dry_run);
    match &args.target.to {
        DesiredLocation::Folder(path) => into_folder(path, &args, &secrets, &mut report).await?,
        DesiredLocation::Kubernetes => {
            let namespace = Namespace::connect(args.target.namespace.as_deref()).await?;
            let Report { plan, results } = &mut report;
            namespace.take(plan.people(), results).await?;
        }
    }
    report.print(args.target.output.output, output)?;
    report.end()
}

async fn into_folder(
    folder: &Path,
    args: &ImportBlitz,
    secrets: &Secrets,
    Report { plan, results }: &mut Report,
) -> Result<(), CommandError> {
    let data_dir = args.data_dir.clone().unwrap_or_else(|| DATA_DIR.into());
    let folder = Folder::look(folder, &data_dir, HEADLINE).await?;
    let new = folder.sort_out(Plan::people(plan), results);
    if args.target.dry_run {
        return Ok(());
    }
    // From here on no operator works with the folder.
    let _owned = owned::own(&data_dir)?;
    folder.write(new, secrets, results).await
}

/// Reads whose accounts are.
fn read(path: &Path) -> Result<Matches, CommandError> {
    let text = fs::read(path).map_err(|error| {
        let exit = match error.kind() {
            ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        CommandError::new(exit, format!("{}: {error}", path.display()))
    })?;
    let text = String::from_utf8(text).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .split(|byte| *byte == b'\n')
            .count();
        CommandError::invalid(format!(
            "{}:{line}: this is no UTF-8: save the file as CSV in UTF-8",
            path.display()
        ))
    })?;
    Matches::read(&text).or_else(|faults| fail_on(path, &faults).map(|()| Matches::default()))
}

fn fail_on(path: &Path, faults: &[LineFault]) -> Result<(), CommandError> {
    if faults.is_empty() {
        return Ok(());
    }
    let shown = faults.iter().take(MAX_FAULTS);
    let mut lines: Vec<String> = shown.map(|fault| format!("{}:{fault}", path.display())).collect();
    if faults.len() > MAX_FAULTS {
        lines.push(format!("and {} more", faults.len() - MAX_FAULTS));
    }
    Err(CommandError::invalid(lines.join("\n")).hint("Nothing was imported."))
}

fn endpoint(args: &ImportBlitz, secrets: &Secrets) -> Result<PanelEndpoint, CommandError> {
    let missing = |name, message: &str| ConfigError::Value {
        name,
        message: message.to_owned(),
    };
    let url = args.panel.blitz_api_url.as_deref().filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| {
        missing(
            "BLITZ_API_URL",
            "set it, or give --blitz-api-url, with the panel's root path",
        )
    })?;
    let wrong = |message: String| missing("BLITZ_API_URL", &message);
    let url = panel_url(url, "BLITZ_API_TOKEN").map_err(wrong)?;
    let url = url.parse().map_err(|_| wrong("it is no URL".to_owned()))?;
    let token = secrets.blitz_api_token.as_ref();
    let token = token.ok_or_else(|| {
        missing(
            "BLITZ_API_TOKEN",
            "the panel asks for it: set it, or BLITZ_API_TOKEN_FILE",
        )
    })?;
    let read = |path| fs::read_to_string(path).map_err(|error| CommandError::invalid(format!("--ca-bundle: {error}")));
    Ok(PanelEndpoint {
        url,
        token: token.value.clone(),
        ca_bundle: args.ca_bundle.as_ref().map(read).transpose()?,
    })
}

fn refused(error: &PanelError) -> CommandError {
    let exit = if error.is_retryable() {
        Exit::Unavailable
    } else {
        Exit::Invalid
    };
    CommandError::new(exit, error.to_string()).hint("Nothing was imported.")
}
