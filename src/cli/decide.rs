//! What is said to a person about what the guard holds back.

use serde_json::Value;

use super::{json::field, output::note};

/// More people than this are not named in a remark: `guard show` lists them.
const NAMED: usize = 10;

/// Says how to decide about the people of these rows, if there are any.
pub(super) fn remark<'a>(rows: impl Iterator<Item = &'a Value>) {
    let mut ids: Vec<&str> = rows
        .filter_map(|row| field(row, "corporate_id").and_then(Value::as_str))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let whom = match ids.len() {
        0 => return,
        1..=NAMED => ids.join(" "),
        more => {
            note(&format!(
                "\n{more} people are held back: vpn-operator guard show lists them."
            ));
            "ID…".to_owned()
        }
    };
    note(&format!(
        "\nHeld back by the guard until somebody decides:\n  vpn-operator guard confirm {whom}    they lose access\n  vpn-operator guard cancel {whom}     they keep it"
    ));
}
