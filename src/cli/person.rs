//! `user show` for people: whether somebody has access and why comes first, then what a person at the phone asks next.

use jiff::Timestamp;

use super::{
    exit::CommandError,
    human::{Moments, after, known, size},
    output::{Output, Tone},
};
use crate::api::{
    access::FullConfigBody,
    holds::HoldBody,
    proof::ProofBody,
    users::{UsageBody, UserBody, UserDetailBody},
};

/// Widest line, in columns: what a terminal beside another window shows.
pub(super) const WIDTH: u16 = 100;

/// Prints a person's page.
pub(super) fn show(
    person: &UserDetailBody,
    config: Option<&FullConfigBody>,
    moments: &Moments,
    output: &mut Output,
) -> Result<(), CommandError> {
    verdict(person, moments, output)?;
    output.line("")?;
    output.facts(WIDTH, facts(person, moments))?;
    if let Some(revocation) = &person.revocation {
        heading("Revocation", output)?;
        output.facts(WIDTH, proof(revocation, moments))?;
    }
    holds(person, moments, output)?;
    conditions(person, moments, output)?;
    revocations(person, moments, output)?;
    history(person, moments, output)?;
    traffic(person, output)?;
    config.map_or(Ok(()), |config| links(config, output))
}

fn heading(name: &str, output: &mut Output) -> Result<(), CommandError> {
    let name = output.paint(Tone::Strong, name);
    output.line(&format!("\n{name}"))
}

/// Who it is, whether there is access, and why.
fn verdict(person: &UserDetailBody, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    let UserBody {
        corporate_id,
        owner,
        role,
        email,
        access,
        reason,
        live_holds,
        ..
    } = &person.user;
    let who: Vec<&str> = [Some(corporate_id), owner.as_ref(), role.as_ref(), email.as_ref()]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    output.wrapped(WIDTH, &who.join(", "))?;
    let tone = if access == "Granted" { Tone::Good } else { Tone::Bad };
    let access = output.paint(tone, access);
    output.line(&format!("{access}: {reason}"))?;
    for hold in person.holds.iter().filter(|hold| live_holds.contains(&hold.name)) {
        output.wrapped(WIDTH, &format!("  {}", described(hold, moments)))?;
    }
    let message = person.conditions.iter().find(|it| it.type_ == "Granted");
    if live_holds.is_empty()
        && let Some(condition) = message
    {
        output.wrapped(WIDTH, &format!("  {}", condition.message))?;
    }
    if !person.user.declared {
        output.line("  Nobody with this ID is declared: the holds keep a later hire out.")?;
    }
    if let Some(since) = person.user.held_back_since {
        let since = moments.full(since);
        output.wrapped(
            WIDTH,
            &format!("  The guard holds a denial back since {since}. Decide with one of:"),
        )?;
        for command in person.user.decide.iter().flat_map(|it| [&it.confirm, &it.cancel]) {
            output.line(&format!("    {command}"))?;
        }
    }
    Ok(())
}

/// A hold by its name, with its source, who ordered it, when, and why.
pub(super) fn described(hold: &HoldBody, moments: &Moments) -> String {
    let HoldBody { name, source, .. } = hold;
    let part = |before: &str, what: Option<String>| what.map_or_else(String::new, |what| format!("{before}{what}"));
    let by = part(", ordered by ", hold.ordered_by.clone());
    let since = part(", since ", hold.since.map(|since| moments.full(since)));
    let reason = part(": ", hold.reason.clone());
    format!("{name} of {source}{by}{since}{reason}")
}

fn facts(person: &UserDetailBody, moments: &Moments) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let devices = person
        .max_devices
        .map_or_else(String::new, |max| format!(" of {max} devices"));
    let online = person.user.sessions.map_or_else(
        || "- (not known yet: a node has not been heard since the operator started)".to_owned(),
        |sessions| format!("{sessions} online{devices}"),
    );
    facts.push(("sessions", online));
    let gateways: Vec<String> = person
        .gateways
        .iter()
        .map(|gateway| format!("{} ({})", gateway.name, gateway.account))
        .collect();
    let on = if gateways.is_empty() {
        String::new()
    } else {
        format!(" on {}", gateways.join(", "))
    };
    facts.push(("account", format!("{}{on}", person.user.username)));
    facts.extend(person.usage.as_ref().map(|usage| ("traffic", usage_words(usage))));
    if !person.user.active {
        facts.push(("active", "no (spec.active)".to_owned()));
    }
    for (label, at) in [
        ("valid from", person.valid_from),
        ("valid until", person.valid_until),
        ("next change", person.next_change),
    ] {
        facts.extend(at.map(|at| (label, moments.full(at))));
    }
    facts
}

fn usage_words(usage: &UsageBody) -> String {
    let limit = usage.limit.map_or_else(String::new, |limit| {
        let period = match usage.period.as_deref() {
            Some("Month") => " this month",
            _ => " in all",
        };
        format!(" of {}{period}", size(limit))
    });
    format!(
        "{} used{limit}; up {}, down {} so far",
        size(usage.used),
        size(usage.upload),
        size(usage.download)
    )
}

/// The times of a revocation: when, and how long after the denial.
pub(super) fn proof(proof: &ProofBody, moments: &Moments) -> Vec<(&'static str, String)> {
    let later = |at: Option<Timestamp>| {
        after(proof.denied_at, at).map_or_else(|| moments.full(at), |span| format!("{span} later"))
    };
    let mut rows = vec![
        ("denied", moments.full(proof.denied_at)),
        ("contained", later(proof.contained_at)),
        ("sessions zero", later(proof.sessions_zero_at)),
    ];
    let mut nodes = |label, nodes: &[String], after: &str| {
        if !nodes.is_empty() {
            rows.push((label, format!("{}{after}", nodes.join(", "))));
        }
    };
    let for_zero = ", for sessions zero: a cut session is shown until it times out";
    let contained = proof.contained_at.map_or("", |_| for_zero);
    nodes("waiting for", &proof.waiting_for, contained);
    nodes("unprovable", &proof.unprovable, "");
    nodes("left out", &proof.left_out, "");
    rows
}

fn holds(person: &UserDetailBody, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    if person.holds.is_empty() {
        return Ok(());
    }
    heading("Holds", output)?;
    let row = |hold: &HoldBody| {
        [
            hold.name.clone(),
            in_force(hold, moments),
            known(hold.ordered_by.as_ref()),
            moments.full(hold.since),
            moments.ago(hold.until),
            known(hold.reason.as_ref()),
        ]
    };
    output.table_within(
        WIDTH,
        ["NAME", "IN FORCE", "BY WHOM", "SINCE", "ENDS", "REASON"],
        person.holds.iter().map(row),
    )
}

/// Whether a hold denies, and if not, why not.
pub(super) fn in_force(hold: &HoldBody, moments: &Moments) -> String {
    if hold.rejected {
        return "no, cancelled".to_owned();
    }
    match hold.phase.as_str() {
        "Live" if hold.in_force => "yes".to_owned(),
        "Live" => "not yet taken in".to_owned(),
        "HeldBack" => "no, held back".to_owned(),
        "Pending" => format!("no, begins {}", moments.ago(hold.from)),
        "Expired" => format!("no, ended {}", moments.ago(hold.until)),
        other => other.to_owned(),
    }
}

fn conditions(person: &UserDetailBody, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    if person.conditions.is_empty() {
        return Ok(());
    }
    heading("Conditions", output)?;
    let rows = person.conditions.iter().map(|condition| {
        [
            condition.type_.clone(),
            condition.status.clone(),
            condition.reason.clone(),
            moments.ago(condition.last_transition_time),
            condition.message.clone(),
        ]
    });
    output.table_within(WIDTH, ["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"], rows)
}

/// Revocations before the one that is shown in full.
fn revocations(person: &UserDetailBody, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    // A status keeps milliseconds, the history more.
    let present = person.revocation.as_ref().and_then(|proof| proof.denied_at);
    let present = present.map(Timestamp::as_millisecond);
    let mut before = person
        .revocations
        .iter()
        .flatten()
        .filter(|row| Some(row.denied_at.as_millisecond()) != present)
        .peekable();
    if before.peek().is_none() {
        return Ok(());
    }
    heading("Earlier revocations", output)?;
    let rows = before.map(|revocation| {
        let later = |at| known(after(Some(revocation.denied_at), at));
        [
            moments.full(revocation.denied_at),
            later(revocation.contained_at),
            later(revocation.sessions_zero_at),
            revocation.reason.clone(),
        ]
    });
    output.table_within(WIDTH, ["DENIED", "CONTAINED AFTER", "ZERO AFTER", "WHY"], rows)
}

fn history(person: &UserDetailBody, moments: &Moments, output: &mut Output) -> Result<(), CommandError> {
    let history = person.history.as_deref().unwrap_or_default();
    if history.is_empty() {
        return Ok(());
    }
    heading("History", output)?;
    let rows = history.iter().map(|entry| {
        [
            moments.full(entry.at),
            format!("{} ({})", entry.actor, entry.source),
            entry.action.clone(),
            known(entry.reason.as_ref()),
        ]
    });
    output.table_within(WIDTH, ["WHEN", "WHO", "WHAT", "WHY"], rows)
}

fn traffic(person: &UserDetailBody, output: &mut Output) -> Result<(), CommandError> {
    let days = person.traffic_by_day.as_deref().unwrap_or_default();
    if days.is_empty() {
        return Ok(());
    }
    heading("Traffic by day (UTC)", output)?;
    let rows = days.iter().map(|day| {
        let date = day.start.strftime("%Y-%m-%d").to_string();
        [date, size(day.upload), size(day.download)]
    });
    output.table(["DAY", "UP", "DOWN"], rows)
}

/// Prints the links of a configuration.
pub(super) fn links(config: &FullConfigBody, output: &mut Output) -> Result<(), CommandError> {
    heading("Links (secrets)", output)?;
    output.line(&format!("subscription  {}", config.config.subscription_url))?;
    for link in &config.links {
        output.line(&format!("{}  {}", link.name, link.url))?;
    }
    if config.links.is_empty() {
        output.line(&format!("link  {}", config.config.hy2_url))?;
    }
    Ok(())
}
