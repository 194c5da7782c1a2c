//! What is to be made of all rows. Pure.

use std::collections::{HashMap, HashSet};

use super::{
    accounts::{self, FormerUser},
    events::{self, Scrub},
    read::Tables,
    registry,
    row::{Remark, Row},
    table::{Table, Tally},
    times::Times,
    traffic,
};
use crate::history::Past;

/// What is to be made.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Everybody who is to be declared. No two have the same ID or account.
    pub people: Vec<FormerUser>,
    /// What is to be written into history.
    pub past: Vec<Past>,
    /// Lines for a registry of corporate IDs.
    pub registry: Vec<String>,
    /// What there is to say, in the order of tables and rows.
    pub remarks: Vec<Remark>,
    /// How many rows there are of each table.
    pub tallies: HashMap<Table, Tally>,
}

impl Plan {
    /// How many rows of a table are taken over.
    #[must_use]
    pub fn taken(&self, table: Table) -> usize {
        let skipped = |remark: &&Remark| remark.table == table && remark.skipped;
        let skipped = self.remarks.iter().filter(skipped).count();
        let tally = self.tallies.get(&table).copied().unwrap_or_default();
        tally
            .read
            .saturating_sub(skipped + tally.too_old + tally.unclear + tally.unwanted)
    }
}

/// Says what is to be made of everything that was read.
#[must_use]
pub fn map(tables: &Tables, times: &Times) -> Plan {
    let mut remarks = Vec::new();
    let mut tallies: HashMap<Table, Tally> = HashMap::new();
    for table in Table::ALL {
        tallies.entry(table).or_default().read = tables.rows(table).len();
    }
    if let Some(tally) = tallies.get_mut(&Table::MonitorEvents) {
        tally.unwanted = tally.read;
    }
    let people = accounts::people(tables, times, &mut remarks);
    let scrub = Scrub::new(accounts::passwords(tables));
    let mut past = events::events(tables, times, &scrub, &mut tallies, &mut remarks);
    past.extend(traffic::traffic(tables, &people, times, &mut tallies, &mut remarks));
    let registry = registry::lines(tables, &people, times, &scrub, &mut remarks);
    remarks.extend(unheard(tables, &people));
    remarks.sort_by_key(|remark| (remark.table, remark.row));
    Plan {
        people,
        past,
        registry,
        remarks,
        tallies,
    }
}

/// Events that said that somebody left who is active all the same: the former service forgot those that it did not know how to act on,
/// and those that were to take effect later.
fn unheard(tables: &Tables, people: &[FormerUser]) -> Vec<Remark> {
    let active: HashSet<&str> = people
        .iter()
        .filter(|user| user.person.holds.is_empty())
        .map(|user| user.person.id.key())
        .collect();
    let unheard = |row: &&Row| {
        let kind = row.told("event_type").unwrap_or_default();
        let id = row.told("corporate_id").map(|id| id.to_ascii_lowercase());
        kind == "user_deactivated" && id.is_some_and(|id| active.contains(id.as_str()))
    };
    let rows = tables.rows(Table::WebhookEvents).iter().filter(unheard);
    let say = "user_deactivated, and the person is active in users: they keep access, so look whether they left";
    rows.map(|row| Remark::note(Table::WebhookEvents, row, say)).collect()
}

#[cfg(test)]
#[path = "map_tests.rs"]
mod tests;
