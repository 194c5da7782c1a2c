//! What became of people, or would: counts, and a line for everything that is to be known of the target.

use serde_json::{Value, json};

use super::super::{
    exit::CommandError,
    output::{Output, printable},
};
use crate::import::Person;

/// Widest line of a list.
pub(super) const WIDTH: u16 = 100;

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

    fn json(self) -> Value {
        json!({ "made": self.made, "there": self.there })
    }
}

/// Counts of something: its key for programs, what it is called, and how many, if it is done at all.
pub(super) type Counted = (&'static str, &'static str, Option<Count>);

/// What became of people and holds in the target, or would.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// Nothing is changed.
    pub dry_run: bool,
    pub people: Count,
    pub holds: Count,
    /// People of whom nothing was made by what stands in the target.
    refused: Vec<String>,
    /// What else there is to know of the target.
    notes: Vec<String>,
}

impl Results {
    pub(super) fn new(dry_run: bool) -> Self {
        Self {
            dry_run,
            ..Self::default()
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

    /// Somebody is declared already. `elsewhere`: where, begun with a space, if it was not an import that declared them.
    pub(super) fn declared(&mut self, person: &Person, elsewhere: Option<&str>) {
        self.people.add(false);
        if let Some(place) = elsewhere {
            let out = if person.holds.is_empty() {
                ""
            } else {
                ", and no hold is placed, although they were out"
            };
            self.note(format!(
                "{}: declared{place} already: that stays as it is{out}",
                person.id
            ));
        }
    }

    /// Somebody would be made, with their holds.
    pub(super) fn would_make(&mut self, person: &Person) {
        self.people.add(true);
        self.holds.made += person.holds.len() as u64;
    }

    /// How the command ends, once everything is said. `skipped`: of how many nothing was made whatever stands in the target; `words`:
    /// what they are, one and several.
    pub(super) fn end(&self, skipped: usize, words: [&str; 2]) -> Result<(), CommandError> {
        let [one, several] = words;
        match skipped + self.refused.len() {
            0 => Ok(()),
            1 => Err(CommandError::failed(format!(
                "nothing was made of 1 {one}: it is named above"
            ))),
            count => Err(CommandError::failed(format!(
                "nothing was made of {count} {several}: they are named above"
            ))),
        }
    }

    /// Puts what is known into a report, with the counts of people and holds, and others.
    pub(super) fn write_json(&self, report: &mut Value, others: &[Counted]) {
        report["dry_run"] = json!(self.dry_run);
        report["refused"] = json!(self.refused);
        report["notes"] = json!(self.notes);
        for (key, _, count) in self.counts(others) {
            report[key] = json!(count.map(Count::json));
        }
    }

    /// The lines that are to be known.
    pub(super) fn lines(&self, output: &mut Output) -> Result<(), CommandError> {
        for line in &self.refused {
            output.line(&printable(&format!("skipped: {line}")))?;
        }
        self.notes.iter().try_for_each(|line| output.line(&printable(line)))
    }

    /// A table of counts: those of people and holds, and others.
    pub(super) fn table(&self, others: &[Counted], output: &mut Output) -> Result<(), CommandError> {
        let made = if self.dry_run { "would make" } else { "made" };
        let rows = self.counts(others).map(|(_, what, count)| match count {
            Some(count) => [what.to_owned(), count.made.to_string(), count.there.to_string()],
            None => [what.to_owned(), "-".to_owned(), "-".to_owned()],
        });
        output.table(["result", made, "there already"], rows)
    }

    fn counts(&self, others: &[Counted]) -> impl Iterator<Item = Counted> {
        let own = [
            ("people", "people", Some(self.people)),
            ("holds", "holds", Some(self.holds)),
        ];
        own.into_iter().chain(others.iter().copied())
    }
}
