//! The forms of an export. Pure.

use super::{
    super::{audit_args::ExportForm, exit::CommandError},
    syslog,
};
use crate::{history::AuditRow, telemetry::printable_json};

const HEADER: [&str; 12] = [
    "seq",
    "at",
    "actor",
    "source",
    "action",
    "corporateId",
    "before",
    "after",
    "reason",
    "requestId",
    "address",
    "event",
];

/// The header of a form that has one.
pub(super) fn header(form: ExportForm) -> Result<String, CommandError> {
    match form {
        ExportForm::Csv => csv([HEADER.map(str::to_owned)]),
        ExportForm::Jsonl | ExportForm::Syslog => Ok(String::new()),
    }
}

/// The rows in a form; `framed` as they go over a connection.
pub(super) fn rows(form: ExportForm, rows: &[AuditRow], host: &str, framed: bool) -> Result<String, CommandError> {
    match form {
        ExportForm::Jsonl => {
            let mut text = String::new();
            for row in rows {
                let line = serde_json::to_string(row).map_err(|error| unwritable(&error))?;
                text.push_str(&printable_json(&line));
                text.push('\n');
            }
            Ok(text)
        }
        ExportForm::Csv => csv(rows.iter().map(cells)),
        ExportForm::Syslog => {
            let message = |row| syslog::message(row, host);
            Ok(rows
                .iter()
                .map(|row| {
                    if framed {
                        syslog::framed(&message(row))
                    } else {
                        message(row) + "\n"
                    }
                })
                .collect())
        }
    }
}

fn cells(row: &AuditRow) -> [String; 12] {
    let entry = &row.entry;
    let text = |text: &Option<String>| safe(text.as_deref().unwrap_or_default());
    [
        row.seq.to_string(),
        row.at.to_string(),
        safe(&entry.actor),
        safe(&entry.source),
        safe(&entry.action),
        text(&entry.corporate_id),
        text(&entry.before),
        text(&entry.after),
        text(&entry.reason),
        text(&entry.request_id),
        text(&entry.address),
        text(&entry.event),
    ]
}

/// A cell that a spreadsheet takes for a formula gets an apostrophe in front, which it shows to nobody.
fn safe(text: &str) -> String {
    let begins = |c: char| {
        matches!(
            c,
            '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠'
        )
    };
    if text.starts_with(begins) || text.trim_start().starts_with(begins) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn csv(records: impl IntoIterator<Item = [String; 12]>) -> Result<String, CommandError> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    for record in records {
        writer.write_record(&record).map_err(|error| unwritable(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| unwritable(&error))?;
    String::from_utf8(bytes).map_err(|error| unwritable(&error))
}

fn unwritable(error: &impl std::fmt::Display) -> CommandError {
    CommandError::failed(format!("a row cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::history::AuditEntry;

    fn row(actor: &str, reason: &str) -> AuditRow {
        AuditRow {
            seq: 1,
            at: "2026-03-15T12:00:00Z".parse().unwrap(),
            entry: AuditEntry {
                actor: actor.into(),
                source: "api".into(),
                action: "grant".into(),
                reason: Some(reason.into()),
                ..AuditEntry::default()
            },
        }
    }

    #[test]
    fn no_cell_of_a_table_is_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", "\r\n=1"] {
            let text = rows(ExportForm::Csv, &[row(formula, formula)], "h", false).unwrap();
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(text.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            assert_eq!(
                (&record[2], &record[8]),
                (&*format!("'{formula}"), &*format!("'{formula}"))
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(actor in "[a-zA-Z\",;\n ü]{0,20}", reason in "\\PC{0,40}") {
            let row = row(&actor, &reason);
            let text = rows(ExportForm::Csv, std::slice::from_ref(&row), "h", false).unwrap();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            prop_assert_eq!(record.len(), HEADER.len());
            prop_assert_eq!(&record[8], safe(&reason));
            let text = rows(ExportForm::Jsonl, std::slice::from_ref(&row), "h", false).unwrap();
            prop_assert_eq!(text.lines().count(), 1);
            prop_assert_eq!(serde_json::from_str::<AuditRow>(&text).unwrap(), row);
        }
    }
}
