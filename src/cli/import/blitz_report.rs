//! What was done of a panel's accounts, or would be: a line for each, and counts.

use serde_json::{Value, json};

use super::{
    super::{
        exit::CommandError,
        output::{Form, Output, printable},
    },
    results::{Results, WIDTH},
};
use crate::{
    import::blitz::{Account, Fate, Plan},
    model::quantity::Bytes,
};

pub(super) struct Report {
    pub plan: Plan,
    pub results: Results,
}

impl Report {
    pub(super) fn new(plan: Plan, dry_run: bool) -> Self {
        Self {
            plan,
            results: Results::new(dry_run),
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
        self.results.end(self.skipped().count(), ["account", "accounts"])
    }

    fn skipped(&self) -> impl Iterator<Item = (&str, &str)> {
        self.plan.accounts.iter().filter_map(|account| match &account.fate {
            Fate::Skipped(why) => Some((account.name.as_str(), why.as_str())),
            Fate::Person(_) | Fate::Left => None,
        })
    }

    fn left(&self) -> Vec<&str> {
        let left = self
            .plan
            .accounts
            .iter()
            .filter(|account| matches!(account.fate, Fate::Left));
        left.map(|account| account.name.as_str()).collect()
    }

    fn json(&self) -> Value {
        let person = |account: &Account| match &account.fate {
            Fate::Person(person) => Some(json!({
                "account": account.name,
                "corporate_id": person.id,
                "valid_until": person.terms.valid_until,
                "limit": person.terms.limit,
                "used": account.used,
                "held": !person.holds.is_empty(),
            })),
            Fate::Left | Fate::Skipped(_) => None,
        };
        let skipped = |(account, why)| json!({ "account": account, "message": why });
        let mut all = json!({
            "accounts": self.plan.accounts.iter().filter_map(person).collect::<Vec<_>>(),
            "skipped": self.skipped().map(skipped).collect::<Vec<_>>(),
            "left": self.left(),
            "remarks": self.plan.notes,
        });
        self.results.write_json(&mut all, &[]);
        all
    }

    fn table(&self, output: &mut Output) -> Result<(), CommandError> {
        for (account, why) in self.skipped() {
            output.line(&printable(&format!("{account}: skipped: {why}")))?;
        }
        for line in &self.plan.notes {
            output.line(&printable(line))?;
        }
        self.results.lines(output)?;
        let left = self.left();
        if !left.is_empty() {
            let left = left.join(", ");
            output.wrapped(WIDTH, &format!("Left at the panel as they are: {left}"))?;
        }
        output.line("")?;
        let rows = self.plan.accounts.iter().filter_map(|account| match &account.fate {
            Fate::Person(person) => {
                let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                Some([
                    account.name.clone(),
                    person.id.to_string(),
                    or_dash(person.terms.valid_until.map(|until| until.to_string())),
                    or_dash(person.terms.limit.map(|limit| Bytes::exact(limit).to_string())),
                    Bytes::coarse(account.used).to_string(),
                    if person.holds.is_empty() { "" } else { "held" }.to_owned(),
                ])
            }
            Fate::Left | Fate::Skipped(_) => None,
        });
        output.table(["account", "ID", "until", "limit", "used", ""], rows)?;
        output.line("")?;
        self.results.table(&[], output)?;
        if self.results.dry_run {
            output.line("")?;
            output.line("Nothing was changed.")?;
        }
        Ok(())
    }
}
