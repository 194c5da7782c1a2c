//! Usage by difference, by what the panel has counted for each account. Pure.
//!
//! The panel adds up what its server moved, and begins at nothing again when somebody resets an account or puts an older backup
//! back: a counter that is lower than before counts as a whole then. The first list shows what was moved in an account's whole life:
//! what a former service beside the panel counted of that is known already, and the rest was moved nobody knows when.

use std::collections::HashMap;

use super::client::Entry;
use crate::gateway::{Counters, UsageDelta};

/// The counters of a panel's accounts when they were last accounted for.
#[derive(Debug)]
pub(super) struct PanelMeter {
    kept: HashMap<String, (u64, u64)>,
}

impl PanelMeter {
    /// Goes on from the counters that were kept of this panel, and for accounts without any from those that were imported.
    pub(super) fn new(baseline: Counters, imported: Counters) -> Self {
        let mut kept = imported.ids;
        kept.extend(baseline.ids);
        Self { kept }
    }

    /// Takes what a list shows of one account. `None` when nothing moved, and the counter is known.
    pub(super) fn read(&mut self, account: &str, entry: &Entry) -> Option<UsageDelta> {
        let known = self.kept.get(account).copied();
        if known == Some(entry.moved) {
            return None;
        }
        let kept = known.unwrap_or_default();
        let since = |now: u64, kept: u64| now.checked_sub(kept).unwrap_or(now);
        let delta = UsageDelta {
            account: account.to_owned(),
            upload: since(entry.moved.0, kept.0),
            download: since(entry.moved.1, kept.1),
            earlier: known.is_none(),
        };
        self.kept.insert(account.to_owned(), entry.moved);
        Some(delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(ids: &[(&str, (u64, u64))]) -> Counters {
        Counters {
            ids: ids.iter().map(|(id, moved)| ((*id).to_owned(), *moved)).collect(),
        }
    }

    fn entry(moved: (u64, u64)) -> Entry {
        Entry {
            password: String::new().into(),
            limit: None,
            days: None,
            created: None,
            blocked: false,
            unlimited: false,
            note: String::new(),
            moved,
            online: 0,
        }
    }

    fn read(meter: &mut PanelMeter, account: &str, moved: (u64, u64)) -> Option<(u64, u64)> {
        meter
            .read(account, &entry(moved))
            .map(|delta| (delta.upload, delta.download))
    }

    #[test]
    fn an_account_goes_on_from_what_was_counted_of_it_and_begins_anew_with_its_counter() {
        let imported = counters(&[("anna", (1, 2)), ("bob", (100, 200)), ("chris", (100, 200))]);
        let mut meter = PanelMeter::new(counters(&[("anna", (10, 20))]), imported);
        assert_eq!(read(&mut meter, "anna", (11, 22)), Some((1, 2)), "of this panel");
        assert_eq!(read(&mut meter, "bob", (100, 200)), None, "nothing since the import");
        assert_eq!(read(&mut meter, "bob", (101, 200)), Some((1, 0)));
        assert_eq!(
            read(&mut meter, "chris", (0, 0)),
            Some((0, 0)),
            "another account of that name"
        );
        assert_eq!(read(&mut meter, "chris", (150, 250)), Some((150, 250)));
        assert_eq!(read(&mut meter, "dora", (7, 8)), Some((7, 8)));
    }

    #[test]
    fn what_was_moved_before_anybody_counted_is_of_no_month() {
        let mut meter = PanelMeter::new(Counters::default(), Counters::default());
        let earlier = |meter: &mut PanelMeter, account: &str, moved| {
            let delta = meter.read(account, &entry(moved));
            delta.map(|delta| (delta.upload, delta.download, delta.earlier))
        };
        assert_eq!(earlier(&mut meter, "old", (70, 80)), Some((70, 80, true)));
        assert_eq!(earlier(&mut meter, "old", (71, 80)), Some((1, 0, false)));
        assert_eq!(
            earlier(&mut meter, "new", (0, 0)),
            Some((0, 0, true)),
            "its counter is noted"
        );
        assert_eq!(earlier(&mut meter, "new", (5, 0)), Some((5, 0, false)));
    }
}
