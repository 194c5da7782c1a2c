//! `user show` for people: whether somebody has access and why comes first, then what a person at the phone asks next.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    exit::CommandError,
    human::{Moments, after, size},
    json::{cell, field, list, text},
    output::{Output, Tone},
};

/// Widest line, in columns: what a terminal beside another window shows.
pub(super) const WIDTH: u16 = 100;

/// Prints a person's page.
pub(super) fn show(user: &Value, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    verdict(user, moments, output)?;
    output.line("")?;
    output.facts(WIDTH, facts(user, moments))?;
    if let Some(revocation) = field(user, "revocation") {
        heading("Revocation", output)?;
        output.facts(WIDTH, proof(revocation, moments))?;
    }
    holds(user, moments, output)?;
    conditions(user, moments, output)?;
    revocations(user, moments, output)?;
    history(user, moments, output)?;
    traffic(user, output)?;
    links(user, output)
}

fn heading(name: &str, output: &mut Output) -> Result<(), CommandError> {
    let name = output.paint(Tone::Strong, name);
    output.line(&format!("\n{name}"))
}

/// Who it is, whether there is access, and why.
fn verdict(user: &Value, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    let who: Vec<String> = ["corporate_id", "owner", "role", "email"]
        .iter()
        .filter_map(|name| Some(text(field(user, name)?)))
        .collect();
    output.wrapped(WIDTH, &who.join(", "))?;
    let access = cell(user, "access");
    let tone = if access == "Granted" { Tone::Good } else { Tone::Bad };
    let access = output.paint(tone, &access);
    output.line(&format!("{access}: {}", cell(user, "reason")))?;
    let live = list_of(user, "live_holds");
    for hold in list_of(user, "holds") {
        if live
            .iter()
            .any(|name| Some(name) == field(hold, "name").as_ref().copied())
        {
            output.wrapped(WIDTH, &format!("  {}", described(hold, moments)))?;
        }
    }
    let message = list_of(user, "conditions")
        .iter()
        .find(|it| cell(it, "type") == "Granted");
    if live.is_empty()
        && let Some(message) = message
    {
        output.wrapped(WIDTH, &format!("  {}", cell(message, "message")))?;
    }
    if field(user, "declared") == Some(&Value::Bool(false)) {
        output.line("  Nobody with this ID is declared: the holds keep a later hire out.")?;
    }
    if field(user, "held_back_since").is_some() {
        let since = moments.full(user, "held_back_since");
        output.wrapped(
            WIDTH,
            &format!("  The guard holds a denial back since {since}. Decide with one of:"),
        )?;
        for word in ["confirm", "cancel"] {
            let command = field(user, "decide").map_or_else(|| "-".to_owned(), |decide| cell(decide, word));
            output.line(&format!("    {command}"))?;
        }
    }
    Ok(())
}

/// A hold by its name, with its source, who ordered it, when, and why.
pub(super) fn described(hold: &Value, moments: &Moments) -> String {
    let [name, source] = ["name", "source"].map(|field| cell(hold, field));
    let by = field(hold, "ordered_by").map_or_else(String::new, |by| format!(", ordered by {}", text(by)));
    let since = field(hold, "since").map_or_else(String::new, |_| format!(", since {}", moments.full(hold, "since")));
    let reason = field(hold, "reason").map_or_else(String::new, |reason| format!(": {}", text(reason)));
    format!("{name} of {source}{by}{since}{reason}")
}

fn list_of<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    field(value, name).map_or(&[], |found| list(found, name))
}

fn facts(user: &Value, moments: &Moments) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let devices = field(user, "max_devices").map_or_else(String::new, |max| format!(" of {} devices", text(max)));
    let online = field(user, "sessions").map_or_else(
        || "- (not known yet: a node has not been heard since the operator started)".to_owned(),
        |sessions| format!("{} online{devices}", text(sessions)),
    );
    facts.push(("sessions", online));
    let gateways: Vec<String> = list_of(user, "gateways")
        .iter()
        .map(|gateway| format!("{} ({})", cell(gateway, "name"), cell(gateway, "account")))
        .collect();
    let on = if gateways.is_empty() {
        String::new()
    } else {
        format!(" on {}", gateways.join(", "))
    };
    facts.push(("account", format!("{}{on}", cell(user, "username"))));
    if let Some(usage) = field(user, "usage") {
        facts.push(("traffic", usage_words(usage)));
    }
    if field(user, "active") == Some(&Value::Bool(false)) {
        facts.push(("active", "no (spec.active)".to_owned()));
    }
    for (label, name) in [
        ("valid from", "valid_from"),
        ("valid until", "valid_until"),
        ("next change", "next_change"),
    ] {
        if field(user, name).is_some() {
            facts.push((label, moments.full(user, name)));
        }
    }
    facts
}

fn bytes(value: &Value, name: &str) -> Option<String> {
    field(value, name).map(|found| found.as_u64().map_or_else(|| text(found), size))
}

fn usage_words(usage: &Value) -> String {
    let shown = |name: &str| bytes(usage, name).unwrap_or_else(|| "-".to_owned());
    let limit = bytes(usage, "limit").map_or_else(String::new, |limit| {
        let period = match field(usage, "period").and_then(Value::as_str) {
            Some("Month") => " this month",
            _ => " in all",
        };
        format!(" of {limit}{period}")
    });
    format!(
        "{} used{limit}; up {}, down {} so far",
        shown("used"),
        shown("upload"),
        shown("download")
    )
}

/// The times of a revocation: when, and how long after the denial.
pub(super) fn proof(revocation: &Value, moments: &Moments) -> Vec<(&'static str, String)> {
    let later = |name: &str| {
        after(revocation, "denied_at", name)
            .map_or_else(|| moments.full(revocation, name), |span| format!("{span} later"))
    };
    let mut rows = vec![
        ("denied", moments.full(revocation, "denied_at")),
        ("contained", later("contained_at")),
        ("sessions zero", later("sessions_zero_at")),
    ];
    for (label, name) in [
        ("waiting for", "waiting_for"),
        ("unprovable", "unprovable"),
        ("left out", "left_out"),
    ] {
        let nodes = list_of(revocation, name);
        if nodes.is_empty() {
            continue;
        }
        let nodes = nodes.iter().map(text).collect::<Vec<_>>().join(", ");
        let contained = field(revocation, "contained_at").is_some();
        rows.push((
            label,
            if name == "waiting_for" && contained {
                format!("{nodes}, for sessions zero: a cut session is shown until it times out")
            } else {
                nodes
            },
        ));
    }
    rows
}

fn holds(user: &Value, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    let holds = list_of(user, "holds");
    if holds.is_empty() {
        return Ok(());
    }
    heading("Holds", output)?;
    let row = |hold: &Value| {
        [
            cell(hold, "name"),
            in_force(hold, moments),
            cell(hold, "ordered_by"),
            moments.full(hold, "since"),
            moments.ago(hold, "until"),
            cell(hold, "reason"),
        ]
    };
    output.table_within(
        WIDTH,
        ["NAME", "IN FORCE", "BY WHOM", "SINCE", "ENDS", "REASON"],
        holds.iter().map(row),
    )
}

/// Whether a hold denies, and if not, why not.
pub(super) fn in_force(hold: &Value, moments: &Moments) -> String {
    if field(hold, "rejected") == Some(&Value::Bool(true)) {
        return "no, cancelled".to_owned();
    }
    match cell(hold, "phase").as_str() {
        "Live" => match field(hold, "in_force") {
            Some(Value::Bool(false)) => "not yet taken in".to_owned(),
            _ => "yes".to_owned(),
        },
        "HeldBack" => "no, held back".to_owned(),
        "Pending" => format!("no, begins {}", moments.ago(hold, "from")),
        "Expired" => format!("no, ended {}", moments.ago(hold, "until")),
        other => other.to_owned(),
    }
}

fn conditions(user: &Value, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    let conditions = list_of(user, "conditions");
    if conditions.is_empty() {
        return Ok(());
    }
    heading("Conditions", output)?;
    let row = |condition: &Value| {
        [
            cell(condition, "type"),
            cell(condition, "status"),
            cell(condition, "reason"),
            moments.ago(condition, "last_transition_time"),
            cell(condition, "message"),
        ]
    };
    output.table_within(
        WIDTH,
        ["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"],
        conditions.iter().map(row),
    )
}

/// Revocations before the one that is shown in full.
fn revocations(user: &Value, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    // A status keeps milliseconds, the history more.
    let denied = |row: &Value| {
        let at: Timestamp = cell(row, "denied_at").parse().ok()?;
        Some(at.as_millisecond())
    };
    let present = field(user, "revocation").and_then(denied);
    let before: Vec<&Value> = list_of(user, "revocations")
        .iter()
        .filter(|row| present.is_none() || denied(row) != present)
        .collect();
    if before.is_empty() {
        return Ok(());
    }
    heading("Earlier revocations", output)?;
    let row = |revocation: &&Value| {
        let later = |name: &str| after(revocation, "denied_at", name).unwrap_or_else(|| cell(revocation, name));
        [
            moments.full(revocation, "denied_at"),
            later("contained_at"),
            later("sessions_zero_at"),
            cell(revocation, "reason"),
        ]
    };
    output.table_within(
        WIDTH,
        ["DENIED", "CONTAINED AFTER", "ZERO AFTER", "WHY"],
        before.iter().map(row),
    )
}

fn history(user: &Value, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    let history = list_of(user, "history");
    if history.is_empty() {
        return Ok(());
    }
    heading("History", output)?;
    let row = |entry: &Value| {
        [
            moments.full(entry, "at"),
            format!("{} ({})", cell(entry, "actor"), cell(entry, "source")),
            cell(entry, "action"),
            cell(entry, "reason"),
        ]
    };
    output.table_within(WIDTH, ["WHEN", "WHO", "WHAT", "WHY"], history.iter().map(row))
}

fn traffic(user: &Value, output: &mut Output) -> Result<(), CommandError> {
    let days = list_of(user, "traffic_by_day");
    if days.is_empty() {
        return Ok(());
    }
    heading("Traffic by day (UTC)", output)?;
    let row = |day: &Value| {
        let date: String = cell(day, "start").chars().take("2026-11-26".len()).collect();
        let shown = |name: &str| bytes(day, name).unwrap_or_else(|| "-".to_owned());
        [date, shown("upload"), shown("download")]
    };
    output.table(["DAY", "UP", "DOWN"], days.iter().map(row))
}

/// Prints the links in an answer's `config`, if it has one.
pub(super) fn links(user: &Value, output: &mut Output) -> Result<(), CommandError> {
    let Some(config) = field(user, "config") else {
        return Ok(());
    };
    heading("Links (secrets)", output)?;
    output.line(&format!("subscription  {}", cell(config, "subscription_url")))?;
    let links = list_of(config, "links");
    for link in links {
        output.line(&format!("{}  {}", cell(link, "name"), cell(link, "url")))?;
    }
    if links.is_empty() {
        output.line(&format!("link  {}", cell(config, "hy2_url")))?;
    }
    Ok(())
}
