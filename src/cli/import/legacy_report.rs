//! What was done of the former service, or would be: counts, and a line for everything that is to be known.

use serde_json::{Value, json};

use super::{
    super::{
        exit::CommandError,
        output::{Form, Output, printable},
    },
    results::{Count, Counted, Results, WIDTH},
};
use crate::import::legacy::{Plan, Remark, Table, Times};

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
    pub results: Results,
    /// None when history is not taken over.
    pub past: Option<Count>,
    /// None when issued IDs are not taken over.
    pub registry: Option<Count>,
    sources: Vec<Source>,
    absent: Vec<String>,
    zone: String,
    remarks: Vec<Remark>,
    /// Whose subscription link of before stops working.
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
        let links = plan.people.iter().filter(|user| user.has_old_link);
        Self {
            results: Results::new(dry_run),
            past: None,
            registry: None,
            sources: Table::ALL.into_iter().map(source).collect(),
            absent,
            zone,
            remarks: plan.remarks.clone(),
            links: links.map(|user| user.person.id.to_string()).collect(),
        }
    }

    pub(super) fn print(&self, form: Form, output: &mut Output) -> Result<(), CommandError> {
        match form {
            Form::Json => output.json(&self.json()),
            Form::Table => self.table(output),
        }
    }

    /// How the command ends, once everything is said.
    pub(super) fn end(&self) -> Result<(), CommandError> {
        let skipped = self.remarks.iter().filter(|remark| remark.skipped).count();
        self.results.end(skipped, ["row", "rows"])
    }

    fn others(&self) -> [Counted; 2] {
        [
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
        let remark = |it: &Remark| json!({ "table": it.table.name(), "row": it.row, "skipped": it.skipped, "message": it.message });
        let mut all = json!({
            "zone": self.zone,
            "tables": self.sources.iter().map(source).collect::<Vec<_>>(),
            "absent": self.absent,
            "remarks": self.remarks.iter().map(remark).collect::<Vec<_>>(),
            "links_that_stop": self.links,
        });
        self.results.write_json(&mut all, &self.others());
        all
    }

    fn table(&self, output: &mut Output) -> Result<(), CommandError> {
        for remark in &self.remarks {
            output.line(&printable(&remark.to_string()))?;
        }
        self.results.lines(output)?;
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
        self.results.table(&self.others(), output)?;
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
        if self.results.dry_run {
            output.line("Nothing was changed.")?;
        }
        Ok(())
    }
}
