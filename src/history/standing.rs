//! What the audit says of itself: what was found broken, what a person took note of, and where its end was published.
//!
//! These are rows of the chain, so that none of them is forgotten.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    entry::{AuditEntry, OPERATOR, Stamped, of_operator},
    finding::Finding,
};

// The schema has an index on these.
const BROKEN: &str = "audit.broken";
const ACKNOWLEDGED: &str = "audit.acknowledged";
const PUBLISHED: &str = "audit.published";

/// What stands in the chain about the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// What was found broken and nobody took note of yet.
    pub open: Vec<Finding>,
    /// Marks of what a person took note of.
    pub acknowledged: HashSet<String>,
    /// Where heads were published.
    pub places: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct Found {
    findings: Vec<Finding>,
}

#[derive(Serialize, Deserialize)]
struct Acknowledged {
    marks: Vec<String>,
}

/// Reads it.
pub(super) fn read(conn: &Connection) -> rusqlite::Result<Standing> {
    let mut statement = conn.prepare_cached(
        "SELECT source, action, state_after FROM audit \
         WHERE action IN ('audit.broken', 'audit.acknowledged', 'audit.published') ORDER BY seq",
    )?;
    let mut standing = Standing::default();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (source, action): (String, String) = (row.get(0)?, row.get(1)?);
        let after: Option<String> = row.get(2)?;
        let after = after.unwrap_or_default();
        match action.as_str() {
            BROKEN if source == OPERATOR => {
                if let Ok(found) = serde_json::from_str::<Found>(&after) {
                    standing.open.extend(found.findings);
                }
            }
            ACKNOWLEDGED => {
                if let Ok(said) = serde_json::from_str::<Acknowledged>(&after) {
                    standing.acknowledged.extend(said.marks);
                }
            }
            PUBLISHED if source == OPERATOR => {
                standing.places.insert(after);
            }
            _ => {}
        }
    }
    standing
        .open
        .retain(|finding| !standing.acknowledged.contains(&finding.mark));
    Ok(standing)
}

/// The row about what was found broken.
pub(super) fn broken(findings: &[Finding], at: Timestamp) -> Stamped {
    let mut entry = of_operator(BROKEN);
    entry.after = Some(json!({ "findings": findings }).to_string());
    entry.reason = findings.first().map(|first| match findings.len() {
        1 => first.what.clone(),
        count => format!("{} (and {} more)", first.what, count - 1),
    });
    Stamped { at, entry }
}

/// The row about what somebody took note of.
pub(super) fn acknowledged(findings: &[Finding], who: AuditEntry) -> AuditEntry {
    let marks: Vec<&str> = findings.iter().map(|finding| finding.mark.as_str()).collect();
    AuditEntry {
        action: ACKNOWLEDGED.to_owned(),
        before: Some(json!({ "findings": findings }).to_string()),
        after: Some(json!({ "marks": marks }).to_string()),
        ..who
    }
}

/// The row about a place where the head is published from now on.
pub(super) fn published(place: &str, at: Timestamp) -> Stamped {
    let mut entry = of_operator(PUBLISHED);
    entry.after = Some(place.to_owned());
    entry.reason = Some("the end of the audit is published there from now on".to_owned());
    Stamped { at, entry }
}
