//! Cells that spreadsheets would take for formulas.

/// What a formula begins with; and the mark itself, so that it can be read back.
const TAKEN: [char; 5] = ['=', '+', '-', '@', '\''];

/// The cell of a text: with `'` before it where a spreadsheet would take it for a formula and run it.
pub(super) fn guarded(text: &str) -> String {
    if text.starts_with(TAKEN) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// The text of a cell; `None` where nothing stands.
pub(super) fn text(cell: &str) -> Option<String> {
    let cell = cell.trim();
    let text = cell
        .strip_prefix('\'')
        .filter(|rest| rest.starts_with(TAKEN))
        .unwrap_or(cell);
    (!text.is_empty()).then(|| text.to_owned())
}
