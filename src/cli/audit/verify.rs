//! `audit verify`: the chain, the revocations, and what was published of them.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::{
    audit_args::Verify,
    exit::{CommandError, Exit},
    output::{Form, Output},
    rooms,
};
use crate::{
    config::{AUDIT_HEAD_FILE, HISTORY_FILE, Secrets, secrets::process_environment},
    history::{AuditHead, Finding, HeadFile, HeadPlace as _, HistoryError, Verified},
};

/// What was seen of an audit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Looked {
    /// The database.
    pub database: String,
    /// What the walk came to; its findings without those that are known.
    #[serde(flatten)]
    pub verified: Verified,
    /// What a person took note of before.
    pub acknowledged: Vec<Finding>,
    /// Where the end of the audit is published, and the row that stands there.
    pub head: Option<(String, i64)>,
    /// Why there is no key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_key: Option<String>,
}

/// Looks at the audit in a data folder, and at the published end of it. `None` if there is no database, and nothing that says that
/// there was one.
pub(in crate::cli) async fn look(
    data_dir: &Path,
    audit_head: &Path,
    secrets: &Secrets,
) -> Result<Option<Looked>, HistoryError> {
    let database = data_dir.join(HISTORY_FILE);
    let place = HeadFile::new(audit_head);
    // Before the database: what is published is in it.
    let text = place.read().await;
    if !database.exists() && !matches!(text, Ok(Some(_))) {
        return Ok(None);
    }
    let (history, no_key) = rooms::history_for_reading(data_dir, secrets);
    history.check().await?;
    let mut verified = history.verified().await?;
    let standing = history.standing().await?;
    let published = match &text {
        Ok(Some(text)) => history.compare_head(place.name(), text.clone()).await?,
        Ok(None) => history.missing_head(place.name()).await?,
        Err(_) => None,
    };
    let mut all = std::mem::take(&mut verified.findings);
    for more in standing.open.into_iter().chain(published) {
        if !all.iter().any(|finding| finding.mark == more.mark) {
            all.push(more);
        }
    }
    let (acknowledged, findings) = all.into_iter().partition(|it| standing.acknowledged.contains(&it.mark));
    verified.findings = findings;
    let head = text.ok().flatten().and_then(|text| AuditHead::parse(&text).ok());
    Ok(Some(Looked {
        database: database.display().to_string(),
        verified,
        acknowledged,
        head: head.map(|head| (place.name(), head.row)),
        no_key,
    }))
}

impl Looked {
    /// What was seen, a line each, the findings aside.
    pub(in crate::cli) fn lines(&self) -> Vec<String> {
        let Verified {
            first,
            last,
            rows,
            unsealed,
            unproven,
            revocations,
            spans,
            forgotten,
            missing_keys,
            hash,
            findings,
            ..
        } = &self.verified;
        let mut lines = vec![format!(
            "{}: audit rows {first} to {last} ({rows}), {}hash {hash}",
            self.database,
            if findings.is_empty() {
                "their chain unbroken, "
            } else {
                ""
            }
        )];
        if *unsealed > 0 {
            lines.push(format!(
                "{unsealed} of them are from before the key: the first sealed row seals them as they were found"
            ));
        }
        if *forgotten > 0 {
            lines.push(format!(
                "{forgotten} of them were emptied because a person was forgotten: a later row vouches for what is left of them"
            ));
        }
        lines.push(format!(
            "compared with the audit: {revocations} revocations, {spans} stretches of who had access when"
        ));
        match &self.head {
            Some((place, row)) => lines.push(format!("published in {place}: row {row}")),
            None => lines.push(
                "no published end of the audit was found: that its end was not cut off nobody can say".to_owned(),
            ),
        }
        if *unproven > 0 {
            let keys: Vec<&str> = missing_keys.iter().map(String::as_str).collect();
            lines.push(format!(
                "not proved: {unproven} rows at the end are sealed with {}, which is not given: they fit together, and whoever can write \
                 the file could have made them so",
                if keys.is_empty() { "no key".to_owned() } else { format!("key {}", keys.join(", ")) }
            ));
            lines.extend(self.no_key.clone());
        }
        for finding in &self.acknowledged {
            lines.push(format!("known, and taken note of: {}", finding.what));
        }
        lines
    }
}

pub(super) async fn run(args: Verify, output: &mut Output) -> Result<(), CommandError> {
    let secrets = Secrets::load(&process_environment)?;
    let given = args.audit_head.filter(|path| !path.as_os_str().is_empty());
    let audit_head: PathBuf = given.unwrap_or_else(|| args.data_dir.join(AUDIT_HEAD_FILE));
    let looked = look(&args.data_dir, &audit_head, &secrets)
        .await
        .map_err(|error| match error {
            HistoryError::Unavailable(_) => CommandError::new(Exit::Unavailable, error.to_string()),
            HistoryError::Newer { .. } | HistoryError::Damaged { .. } => CommandError::failed(error.to_string()),
        })?;
    let Some(looked) = looked else {
        let message = format!("there is no audit in {}", args.data_dir.display());
        return Err(CommandError::new(Exit::NotFound, message).hint("name the operator's data folder with --data"));
    };
    match args.output.output {
        Form::Json => output.json(&looked)?,
        Form::Table => {
            for line in looked.lines() {
                output.line(&line)?;
            }
            for finding in looked.verified.findings.iter().skip(1) {
                output.line(&finding.what)?;
            }
        }
    }
    match looked.verified.findings.first() {
        Some(first) => Err(CommandError::failed(first.what.clone()).hint(
            "docs/history.md says what each of these means, and what to do: compare with a backup, and find out who could write the file",
        )),
        None if looked.verified.unproven > 0 => Err(CommandError::new(
            Exit::Unproved,
            "everything fits as far as it can be checked without the key",
        )),
        None => Ok(()),
    }
}
