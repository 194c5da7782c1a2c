//! `id`: corporate IDs, through the API.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    ask::Ask,
    client::read,
    denial,
    exit::{CommandError, Exit},
    human::{Moments, known},
    id_args::IdCommand,
    output::{Form, Output, note, printable},
    person,
    user::{client, print},
};
use crate::{
    api::{
        ids::{
            ActivateIdBody, ActivatedIdBody, IdBody, IdDetailBody, IdsBody, NewIdBody, RevokeIdBody, RevokedIdBody,
            ValidityBody, WhichIdBody,
        },
        problem::{BadLineBody, ProblemBody},
    },
    model::corporate_id::CorporateId,
};

pub(super) async fn run(command: IdCommand, output: &mut Output) -> Result<(), CommandError> {
    match command {
        IdCommand::Issue {
            owner,
            email,
            department,
            reason,
            key,
            ask,
        } => {
            let body = NewIdBody {
                owner,
                email,
                department,
                reason,
            };
            let answer = client(&ask)?.post_once(&["id", "issue"], &body, key.as_deref()).await?;
            match ask.output.output {
                Form::Json => output.json(&answer.body),
                // Alone on its line, so that a script can take it.
                Form::Table => output.line(&answer.read::<IdBody>()?.id),
            }
        }
        IdCommand::Validate { id, ask } => validate(&ask, &id, output).await,
        IdCommand::Activate {
            id,
            reinstate,
            reason,
            ask,
        } => {
            let body = ActivateIdBody {
                id: id.to_string(),
                reinstate,
                reason,
            };
            let answer = client(&ask)?.post(&["id", "activate"], &body).await?;
            print(&ask, &answer, output)?;
            let remaining = answer.read::<ActivatedIdBody>()?.remaining.unwrap_or_default();
            if remaining.is_empty() {
                return Ok(());
            }
            let names: Vec<String> = remaining.iter().map(|name| printable(name)).collect();
            let message = format!(
                "{id} is given back, and stays denied by what others placed: {}",
                names.join(", ")
            );
            Err(CommandError::new(Exit::Refused, message)
                .hint("only the source that placed a hold lifts it: hold release NAME --source SOURCE"))
        }
        IdCommand::Revoke { id, reason, wait, ask } => revoke(&ask, &id, reason, wait, output).await,
        IdCommand::Archive { id, reason, ask } => {
            let id = id.to_string();
            let answer = client(&ask)?
                .post(&["id", "archive"], &WhichIdBody { id, reason })
                .await?;
            print(&ask, &answer, output)
        }
        IdCommand::Show { id, ask } => show(&ask, &id, output).await,
        IdCommand::Search {
            query,
            id,
            status,
            limit,
            after,
            ask,
        } => {
            let filters = [("q", query), ("id", id), ("status", status), ("after", after)];
            let mut pairs: Vec<(&str, String)> = filters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            pairs.push(("limit", limit.to_string()));
            search(&ask, &pairs, output).await
        }
        IdCommand::Import {
            file,
            dry_run,
            reason,
            ask,
        } => import(&ask, &file, dry_run, reason, output).await,
        IdCommand::Export { to, ask } => export(&ask, to.as_deref()).await,
    }
}

async fn validate(ask: &Ask, id: &CorporateId, output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?.get(&["id", "validate"], &[("id", id.to_string())]).await?;
    print(ask, &answer, output)?;
    let ValidityBody { valid, status, .. } = answer.read()?;
    if valid {
        return Ok(());
    }
    let exit = if status == "unknown" {
        Exit::NotFound
    } else {
        Exit::Refused
    };
    Err(CommandError::new(exit, format!("{id} is {status}")))
}

async fn revoke(
    ask: &Ask,
    id: &CorporateId,
    reason: Option<String>,
    timeout: Duration,
    output: &mut Output,
) -> Result<(), CommandError> {
    let client = client(ask)?;
    let body = RevokeIdBody {
        id: id.to_string(),
        reason: reason.into(),
    };
    let begun = Instant::now();
    let answer = client.post(&["id", "revoke"], &body).await?;
    if ask.output.output == Form::Table {
        let IdBody { id, status, .. } = answer.read::<RevokedIdBody>()?.id;
        output.line(&format!("{id} is {status}"))?;
    }
    denial::follow::<RevokedIdBody>(&client, id, answer, (begun, timeout), ask, output).await
}

async fn show(ask: &Ask, id: &CorporateId, output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?.get(&["id", "show"], &[("id", id.to_string())]).await?;
    if ask.output.output == Form::Json {
        return output.json(&answer.body);
    }
    let moments = Moments::here();
    let found: IdDetailBody = answer.read()?;
    let texts = [
        ("id", Some(found.id.id)),
        ("status", Some(found.id.status)),
        ("owner", found.id.owner),
        ("email", found.id.email),
        ("department", found.id.department),
        ("access", found.access),
        ("why", found.access_reason),
        ("telegram", found.telegram_id.map(|account| account.to_string())),
    ];
    let texts = texts.into_iter().filter_map(|(label, text)| Some((label, text?)));
    let mut facts: Vec<(&str, String)> = texts.collect();
    facts.push(("issued", moments.full(found.id.issued_at)));
    facts.push(("changed", moments.full(found.id.updated_at)));
    let holds = found.holds.iter();
    facts.extend(holds.map(|hold| ("hold", person::described(hold, &moments))));
    output.facts(person::WIDTH, facts)?;
    let rows = found.history.into_iter().map(|change| {
        [
            moments.full(change.at),
            change.action,
            known(change.after),
            change.actor,
            change.source,
            known(change.reason),
        ]
    });
    output.line("")?;
    output.table(["WHEN", "WHAT", "STATUS", "WHO", "SOURCE", "WHY"], rows)
}

async fn search(ask: &Ask, pairs: &[(&str, String)], output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?.get(&["id", "search"], pairs).await?;
    if ask.output.output == Form::Json {
        return output.json(&answer.body);
    }
    let IdsBody { ids, next } = answer.read()?;
    if ids.is_empty() {
        note("No ID matches.");
        return Ok(());
    }
    let row = |id: IdBody| [id.id, id.status, known(id.owner), known(id.email), known(id.department)];
    output.table(
        ["ID", "STATUS", "OWNER", "EMAIL", "DEPARTMENT"],
        ids.into_iter().map(row),
    )?;
    if let Some(next) = next {
        note(&format!("More: --after {next}"));
    }
    Ok(())
}

async fn import(
    ask: &Ask,
    file: &Path,
    dry_run: bool,
    reason: Option<String>,
    output: &mut Output,
) -> Result<(), CommandError> {
    let content = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    let name = file.display();
    let bytes = content.map_err(|error| {
        let exit = if error.kind() == io::ErrorKind::NotFound {
            Exit::NotFound
        } else {
            Exit::Invalid
        };
        CommandError::new(exit, format!("{name} cannot be read: {error}"))
    })?;
    let mut query: Vec<(&str, String)> = vec![("dry_run", dry_run.to_string())];
    query.extend(reason.map(|reason| ("reason", reason)));
    let client = client(ask)?;
    let (status, answer) = client.send_csv(&["id", "import"], &query, bytes).await?;
    // Another refusal is told by what it means.
    if let Ok(ProblemBody { lines, more_lines, .. }) = read(&answer) {
        for BadLineBody { line, message } in lines.iter().flatten() {
            note(&format!("{name}:{line}: {}", printable(message)));
        }
        if let Some(more) = more_lines {
            note(&format!("and {more} lines more"));
        }
    }
    let answer = client.meaning((status, answer))?;
    print(ask, &answer, output)
}

async fn export(ask: &Ask, to: Option<&Path>) -> Result<(), CommandError> {
    let client = client(ask)?;
    let path = ["id", "export.csv"];
    let Some(to) = to else {
        let mut stdout = io::stdout();
        client.download(&path, &mut stdout).await?;
        return stdout
            .flush()
            .map_err(|error| CommandError::failed(format!("stdout cannot be written: {error}")));
    };
    let wrong = |error: io::Error| CommandError::failed(format!("{}: {error}", to.display()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(wrong)?;
    let done = client.download(&path, &mut file).await;
    if done.is_err() {
        // Half a registry must not be taken for one.
        let _ = fs::remove_file(to);
    }
    done?;
    file.sync_all().map_err(wrong)
}
