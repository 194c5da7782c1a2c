//! `id`: corporate IDs, through the API.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    ask::Ask,
    denial,
    exit::{CommandError, Exit},
    human::Moments,
    id_args::IdCommand,
    json::{cell, field, list, text},
    output::{Form, Output, note, printable},
    person,
    user::{client, print},
};
use crate::model::corporate_id::CorporateId;

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
            let body = with(
                json!({ "owner": owner }),
                [("email", email), ("department", department), ("reason", reason)],
            );
            let answer = client(&ask)?.post_once(&["id", "issue"], &body, key.as_deref()).await?;
            match ask.output.output {
                Form::Json => output.json(&answer.body),
                // Alone on its line, so that a script can take it.
                Form::Table => output.line(&cell(&answer.body, "id")),
            }
        }
        IdCommand::Validate { id, ask } => validate(&ask, &id, output).await,
        IdCommand::Activate {
            id,
            reinstate,
            reason,
            ask,
        } => {
            let body = with(json!({ "id": id, "reinstate": reinstate }), [("reason", reason)]);
            let answer = client(&ask)?.post(&["id", "activate"], &body).await?;
            print(&ask, &answer, output)?;
            let remaining = list(&answer.body, "remaining");
            if remaining.is_empty() {
                return Ok(());
            }
            let names: Vec<String> = remaining.iter().map(|name| printable(&text(name))).collect();
            let message = format!(
                "{id} is given back, and stays denied by what others placed: {}",
                names.join(", ")
            );
            Err(CommandError::new(Exit::Refused, message)
                .hint("only the source that placed a hold lifts it: hold release NAME --source SOURCE"))
        }
        IdCommand::Revoke { id, reason, wait, ask } => revoke(&ask, &id, reason, wait, output).await,
        IdCommand::Archive { id, reason, ask } => {
            let body = with(json!({ "id": id }), [("reason", reason)]);
            let answer = client(&ask)?.post(&["id", "archive"], &body).await?;
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

/// A body with those texts that were given.
fn with<const COUNT: usize>(mut body: Value, texts: [(&str, Option<String>); COUNT]) -> Value {
    if let Value::Object(fields) = &mut body {
        let given = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), json!(text?))));
        fields.extend(given);
    }
    body
}

async fn validate(ask: &Ask, id: &CorporateId, output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?.get(&["id", "validate"], &[("id", id.to_string())]).await?;
    print(ask, &answer, output)?;
    if field(&answer.body, "valid") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let status = cell(&answer.body, "status");
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
    let body = with(json!({ "id": id }), [("reason", reason)]);
    let begun = Instant::now();
    let answer = client.post(&["id", "revoke"], &body).await?.body;
    if ask.output.output == Form::Table {
        output.line(&format!("{} is {}", cell(&answer, "id"), cell(&answer, "status")))?;
    }
    denial::follow(&client, id, answer, (begun, timeout), ask, output).await
}

async fn show(ask: &Ask, id: &CorporateId, output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?.get(&["id", "show"], &[("id", id.to_string())]).await?.body;
    if ask.output.output == Form::Json {
        return output.json(&answer);
    }
    let moments = Moments::here();
    let mut facts: Vec<(&str, String)> = Vec::new();
    let texts = [
        ("id", "id"),
        ("status", "status"),
        ("owner", "owner"),
        ("email", "email"),
        ("department", "department"),
        ("access", "access"),
        ("why", "access_reason"),
        ("telegram", "telegram_id"),
    ];
    for (label, name) in texts {
        if field(&answer, name).is_some() {
            facts.push((label, cell(&answer, name)));
        }
    }
    facts.push(("issued", moments.full(&answer, "issued_at")));
    facts.push(("changed", moments.full(&answer, "updated_at")));
    let holds = list(&answer, "holds").iter();
    facts.extend(holds.map(|hold| ("hold", person::described(hold, &moments))));
    output.facts(person::WIDTH, facts)?;
    let row = |change: &Value| {
        [
            moments.full(change, "at"),
            cell(change, "action"),
            cell(change, "after"),
            cell(change, "actor"),
            cell(change, "source"),
            cell(change, "reason"),
        ]
    };
    output.line("")?;
    output.table(
        ["WHEN", "WHAT", "STATUS", "WHO", "SOURCE", "WHY"],
        list(&answer, "history").iter().map(row),
    )
}

async fn search(ask: &Ask, pairs: &[(&str, String)], output: &mut Output) -> Result<(), CommandError> {
    let answer = client(ask)?.get(&["id", "search"], pairs).await?.body;
    if ask.output.output == Form::Json {
        return output.json(&answer);
    }
    let ids = list(&answer, "ids");
    if ids.is_empty() {
        note("No ID matches.");
        return Ok(());
    }
    let row = |id: &Value| ["id", "status", "owner", "email", "department"].map(|name| cell(id, name));
    output.table(["ID", "STATUS", "OWNER", "EMAIL", "DEPARTMENT"], ids.iter().map(row))?;
    if let Some(next) = field(&answer, "next") {
        note(&format!("More: --after {}", text(next)));
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
    let read = if file == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    let name = file.display();
    let bytes = read.map_err(|error| {
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
    for line in list(&answer, "lines") {
        note(&format!(
            "{name}:{}: {}",
            cell(line, "line"),
            printable(&cell(line, "message"))
        ));
    }
    if let Some(more) = field(&answer, "more_lines") {
        note(&format!("and {} lines more", text(more)));
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
