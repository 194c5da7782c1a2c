//! What is said to a person about what the guard holds back.

use super::output::note;

/// More people than this are not named in a remark: `guard show` lists them.
const NAMED: usize = 10;

/// Says how to decide about the people with these IDs, if there are any.
pub(super) fn remark<'a>(ids: impl Iterator<Item = &'a str>) {
    let mut ids: Vec<&str> = ids.collect();
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
