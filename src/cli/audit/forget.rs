//! `audit forget`: through the API of the running operator, or in the data folder of one that does not run.

use std::{
    io::{BufRead as _, IsTerminal as _},
    path::Path,
    sync::Arc,
};

use super::super::{
    audit_args::ForgetArgs,
    exit::{CommandError, Exit},
    output::{Form, Output, note},
    rooms,
    run::own_data_folder,
    user::client,
};
use crate::{
    access::Memory,
    api::forget::{ForgetBody, ForgottenBody},
    clock::SystemClock,
    config::{HISTORY_FILE, Secrets, secrets::process_environment},
    desired::folder::scrub_record,
    handover::{HANDOVER_FILE, Handovers},
    history::{AuditEntry, History},
    inbox::{INBOX_FILE, Inbox},
    linking::{LINKING_FILE, Linking, limits::Limits},
    model::corporate_id::CorporateId,
    registry::{REGISTRY_FILE, Registry},
};

pub(super) async fn run(args: &ForgetArgs, output: &mut Output) -> Result<(), CommandError> {
    if args.reason.trim().is_empty() {
        return Err(CommandError::invalid("--reason: say why the person is forgotten"));
    }
    if !args.yes {
        confirm(&args.id)?;
    }
    let done: ForgottenBody = if args.offline {
        let done = offline(args).await?;
        if args.ask.output.output == Form::Json {
            return output.json(&done);
        }
        done
    } else {
        let body = ForgetBody {
            corporate_id: args.id.to_string(),
            reason: args.reason.clone(),
        };
        let answer = client(&args.ask)?.post(&["audit", "forget"], &body).await?;
        if args.ask.output.output == Form::Json {
            return output.json(&answer.body);
        }
        answer.read()?
    };
    output.line(&format!(
        "{} is forgotten: {} audit rows and {} HR events were emptied.",
        done.corporate_id, done.rows, done.events
    ))?;
    remarks(&done);
    Ok(())
}

/// What it does not reach.
fn remarks(done: &ForgottenBody) {
    if done.waiting > 0 {
        note(&format!(
            "{} HR events about them are still to be carried out or decided about (vpn-operator events list): they are forgotten when that \
             is done.",
            done.waiting
        ));
    }
    if !done.declared.is_empty() {
        note(&format!(
            "Still declared: {}. What is written there stays until it is removed there.",
            done.declared.join(", ")
        ));
    }
    match &done.backups {
        Some(backups) => note(&format!(
            "Backups in {} that were taken before still have it; the last of them is rotated out at {}.",
            backups.folder, backups.until
        )),
        None => note("Copies that others made, backups among them, still have it."),
    }
}

/// Asks at the terminal; elsewhere `--yes` has to say so.
fn confirm(id: &CorporateId) -> Result<(), CommandError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CommandError::invalid("this cannot be undone").hint("give --yes to say that it is meant"));
    }
    note(&format!(
        "Everything personal that is kept about {id} is removed. This cannot be undone. Type the ID to go on:"
    ));
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    match read {
        Ok(_) if line.trim().eq_ignore_ascii_case(id.as_str()) => Ok(()),
        _ => Err(CommandError::invalid("nothing was changed: that is not the ID")),
    }
}

/// In a data folder that no operator runs on.
async fn offline(args: &ForgetArgs) -> Result<ForgottenBody, CommandError> {
    let ask = &args.ask.client;
    let (data, id): (&Path, &CorporateId) = (&ask.data_dir, &args.id);
    if !data.join(HISTORY_FILE).exists() {
        let message = format!("there is no history in {}", data.display());
        return Err(CommandError::new(Exit::NotFound, message).hint("name the operator's data folder with --data"));
    }
    let _owner = own_data_folder(data).map_err(|error| {
        CommandError::failed(error.to_string()).hint("leave --offline out to ask the operator that runs there")
    })?;
    let secrets = Secrets::load(&process_environment)?;
    let key = rooms::known_key(data, &secrets)?;
    let clock = || Arc::new(SystemClock) as _;
    let failed = |error: &dyn std::fmt::Display| CommandError::failed(error.to_string());
    let history = History::open(&data.join(HISTORY_FILE), key.audit_keys(), clock()).map_err(|error| failed(&error))?;
    let registry = Registry::open_or_retry(&data.join(REGISTRY_FILE), clock()).map_err(|error| failed(&error))?;
    let inbox = Inbox::open_or_retry(&data.join(INBOX_FILE), clock()).map_err(|error| failed(&error))?;
    let (links, codes) = (data.join(LINKING_FILE), key.link_code_key());
    let linking = Linking::open_or_retry(&links, codes, Limits::default(), clock()).map_err(|error| failed(&error))?;
    let (links, codes) = (data.join(HANDOVER_FILE), key.handover_key());
    let handovers = Handovers::open_or_retry(&links, codes, clock()).map_err(|error| failed(&error))?;
    let memory = Memory {
        journal: &history,
        registry: &registry,
        inbox: Some(&inbox),
        linking: Some(&linking),
        handovers: &handovers,
        data_dir: Some(data),
    };
    let order = AuditEntry {
        actor: ask.actor.clone().unwrap_or_else(rooms::user_name),
        source: "cli".to_owned(),
        reason: Some(args.reason.clone()),
        ..AuditEntry::default()
    };
    let done = memory.order(order, id).await.map_err(|error| failed(&error))?;
    scrub_record(data, clock()).await.map_err(|error| failed(&error))?;
    memory.close(&done).await.map_err(|error| failed(&error))?;
    Ok(done.into())
}
