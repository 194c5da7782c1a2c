//! What was done, or would be: counts, and a line for everything that is to be known.

use serde_json::{Value, json};

use super::super::{
    exit::{CommandError, Exit},
    output::{Form, Output, printable},
};
use crate::import::legacy::{Plan, Remark, Table, Times};

/// Widest line of a list.
const WIDTH: u16 = 100;

/// How many were made, and how many were there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub made: u64,
    pub there: u64,
}

impl Count {
    pub(super) fn add(&mut self, made: bool) {
        if made {
            self.made += 1;
        } else {
            self.there += 1;
        }
    }
}

/// Counts of one table: name, rows, taken over, skipped, left out, and why.
struct Source {
    table: Table,
    read: usize,
    taken: usize,
    skipped: usize,
    too_old: usize,
    unclear: usize,
    unwanted: usize,
}

pub(super) struct Report {
    pub dry_run: bool,
    pub people: Count,
    pub holds: Count,
    /// None when history is not taken over.
    pub past: Option<Count>,
    /// None when issued IDs are not taken over.
    pub registry: Option<Count>,
    sources: Vec<Source>,
    absent: Vec<String>,
    zone: String,
    remarks: Vec<Remark>,
    /// People of whom nothing was made by what stands in the target.
    refused: Vec<String>,
    /// What else there is to know of the target.
    notes: Vec<String>,
    links: Vec<String>,
}

impl Report {
    pub(super) fn new(plan: &Plan, absent: Vec<String>, times: &Times, dry_run: bool) -> Self {
        let source = |table: Table| {
            let tally = plan.tallies.get(&table).copied().unwrap_or_default();
            let taken = plan.taken(table);
            Source {
                table,
                read: tally.read,
                taken,
                skipped: tally
                    .read
                    .saturating_sub(taken + tally.too_old + tally.unclear + tally.unwanted),
                too_old: tally.too_old,
                unclear: tally.unclear,
                unwanted: tally.unwanted,
            }
        };
        let zone = times
            .zone
            .iana_name()
            .map_or_else(|| times.zone.to_offset(times.now).to_string(), str::to_owned);
        Self {
            dry_run,
            people: Count::default(),
            holds: Count::default(),
            past: None,
            registry: None,
            sources: Table::ALL.into_iter().map(source).collect(),
            absent,
            zone,
            remarks: plan.remarks.clone(),
            refused: Vec::new(),
            notes: Vec::new(),
            links: Vec::new(),
        }
    }

    /// Somebody of whom nothing could be made.
    pub(super) fn refuse(&mut self, message: String) {
        self.refused.push(message);
    }

    /// Something to be known.
    pub(super) fn note(&mut self, message: String) {
        self.notes.push(message);
    }

    /// Somebody whose subscription link of before stops working.
    pub(super) fn link(&mut self, id: &str) {
        self.links.push(id.to_owned());
    }

    pub(super) fn print(&self, form: Form, output: &mut Output) -> Result<(), CommandError> {
        match form {
            Form::Json => output.json(&self.json()),
            Form::Table => self.table(output),
        }
    }

    /// How the command ends, once everything is said.
    pub(super) fn end(&self) -> Result<(), CommandError> {
        let skipped = self.remarks.iter().filter(|remark| remark.skipped).count() + self.refused.len();
        match skipped {
            0 => Ok(()),
            1 => Err(CommandError::new(
                Exit::Failed,
                "nothing was made of 1 row: it is named above",
            )),
            rows => Err(CommandError::new(
                Exit::Failed,
                format!("nothing was made of {rows} rows: they are named above"),
            )),
        }
    }

    fn results(&self) -> [(&'static str, &'static str, Option<Count>); 4] {
        [
            ("people", "people", Some(self.people)),
            ("holds", "holds", Some(self.holds)),
            ("history", "audit rows and traffic", self.past),
            ("registry", "registry lines", self.registry),
        ]
    }

    fn json(&self) -> Value {
        let source = |it: &Source| {
            json!({
                "table": it.table.name(), "rows": it.read, "taken": it.taken, "skipped": it.skipped,
                "too_old": it.too_old, "unclear": it.unclear, "not_kept": it.unwanted,
            })
        };
        let result = |count: Option<Count>| count.map(|count| json!({ "made": count.made, "there": count.there }));
        let remark = |it: &Remark| json!({ "table": it.table.name(), "row": it.row, "skipped": it.skipped, "message": it.message });
        let mut all = json!({
            "dry_run": self.dry_run,
            "zone": self.zone,
            "tables": self.sources.iter().map(source).collect::<Vec<_>>(),
            "absent": self.absent,
            "remarks": self.remarks.iter().map(remark).collect::<Vec<_>>(),
            "refused": self.refused,
            "notes": self.notes,
            "links_that_stop": self.links,
        });
        for (key, _, count) in self.results() {
            all[key] = json!(result(count));
        }
        all
    }

    fn table(&self, output: &mut Output) -> Result<(), CommandError> {
        for remark in &self.remarks {
            output.line(&printable(&remark.to_string()))?;
        }
        for line in &self.refused {
            output.line(&printable(&format!("skipped: {line}")))?;
        }
        for line in &self.notes {
            output.line(&printable(line))?;
        }
        if !self.absent.is_empty() {
            let absent = self.absent.join(", ");
            output.wrapped(
                WIDTH,
                &format!("Not in this database, which is of an older version: {absent}"),
            )?;
        }
        let number = |number: usize| number.to_string();
        let rows = self.sources.iter().map(|it| {
            [
                it.table.name().to_owned(),
                number(it.read),
                number(it.taken),
                number(it.skipped),
                number(it.too_old),
                number(it.unclear),
                number(it.unwanted),
            ]
        });
        output.line("")?;
        output.table(
            ["read", "rows", "taken", "skipped", "too old", "unclear", "not kept"],
            rows,
        )?;
        output.line("")?;
        let made = if self.dry_run { "would make" } else { "made" };
        let rows = self.results().map(|(_, what, count)| match count {
            Some(count) => [what.to_owned(), count.made.to_string(), count.there.to_string()],
            None => [what.to_owned(), "-".to_owned(), "-".to_owned()],
        });
        output.table(["result", made, "there already"], rows)?;
        output.line("")?;
        output.wrapped(WIDTH, &format!("Times were read in the zone {}.", self.zone))?;
        if !self.links.is_empty() {
            let count = self.links.len();
            output.wrapped(
                WIDTH,
                &format!(
                    "Passwords stay, and so do client configurations whose server keeps its address. Subscription \
                     links do not: the old ones of these people stop working ({count}), `vpn-operator user show ID --config` \
                     has the new ones:"
                ),
            )?;
            output.wrapped(WIDTH, &format!("  {}", self.links.join(" ")))?;
        }
        if self.dry_run {
            output.line("Nothing was changed.")?;
        }
        Ok(())
    }
}
