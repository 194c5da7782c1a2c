//! Objects whose present generation nobody has reported about. There is none for long while everything works: what is overdue
//! is asked for again, and said to whoever is on call.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{Resource, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::core::Core;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(10);

/// How long a report may take before the object is asked for again, each time.
const AGAIN: Duration = Duration::from_secs(30);

/// How long a report may take before somebody has to know.
const OVERDUE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    User,
    Hold,
    Gateway,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::User => "VpnUser",
            Self::Hold => "VpnHold",
            Self::Gateway => "VpnGateway",
        }
    }
}

/// What identifies a change.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    uid: Option<String>,
    generation: Option<i64>,
}

impl Change {
    fn of<K: Resource>(object: &K) -> Self {
        Self {
            uid: object.meta().uid.clone(),
            generation: object.meta().generation,
        }
    }
}

struct Waiting {
    change: Change,
    since: Instant,
    asked: Instant,
}

type Subject = (Kind, String);

#[derive(Default)]
struct Watch(HashMap<Subject, Waiting>);

/// What one look found, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    again: Vec<Subject>,
    overdue: Vec<Subject>,
}

impl Watch {
    /// Takes in everything that is not reported about at this moment.
    fn look(&mut self, unobserved: Vec<(Subject, Change)>, now: Instant) -> Found {
        let mut found = Found::default();
        let mut before = std::mem::take(&mut self.0);
        for (subject, change) in unobserved {
            let known = before.remove(&subject).filter(|known| known.change == change);
            let mut waiting = known.unwrap_or(Waiting {
                change,
                since: now,
                asked: now,
            });
            if now.saturating_duration_since(waiting.since) >= OVERDUE {
                found.overdue.push(subject.clone());
            }
            if now.saturating_duration_since(waiting.asked) >= AGAIN {
                waiting.asked = now;
                found.again.push(subject.clone());
            }
            self.0.insert(subject, waiting);
        }
        found.overdue.sort_unstable();
        found.again.sort_unstable();
        found
    }
}

/// Looks until `cancel`.
pub async fn run(ctx: Arc<Core>, cancel: CancellationToken) {
    let mut watch = Watch::default();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let found = if ctx.roster.is_loaded() && ctx.fence.is_open() {
            watch.look(unobserved(&ctx), ctx.clock.monotonic())
        } else {
            // Another process reports, or nobody may yet.
            watch = Watch::default();
            Found::default()
        };
        for (kind, name) in found.again {
            tracing::warn!(
                kind = kind.as_str(),
                name,
                "nobody has reported about a change: it is looked at again"
            );
            match kind {
                Kind::User => ctx.queue.push(&name, &ctx.namespace),
                Kind::Hold => ctx.hold_work.touched(name),
                Kind::Gateway => ctx.gateways.changed(),
            }
        }
        ctx.metrics.unobserved(found.overdue.len());
        let line = |(kind, name): &Subject| {
            format!(
                "{} {name}: its status does not speak of its present spec yet",
                kind.as_str()
            )
        };
        ctx.unobserved.set(found.overdue.iter().map(line).collect());
    }
}

fn unobserved(ctx: &Core) -> Vec<(Subject, Change)> {
    let mut found = Vec::new();
    for user in ctx.users.state() {
        let observed = user.status.as_ref().map(|status| status.observed_generation);
        if user.metadata.generation.is_some() && observed != user.metadata.generation {
            found.push(((Kind::User, user.name_any()), Change::of(&*user)));
        }
    }
    for hold in ctx.holds.state() {
        if hold.status.as_ref().is_none_or(|status| status.phase.is_none()) {
            found.push(((Kind::Hold, hold.name_any()), Change::of(&*hold)));
        }
    }
    for gateway in ctx.declared_gateways.state() {
        let observed = gateway.status.as_ref().map(|status| status.observed_generation);
        if gateway.metadata.generation.is_some() && observed != gateway.metadata.generation {
            found.push(((Kind::Gateway, gateway.name_any()), Change::of(&*gateway)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64, begin: Instant) -> Instant {
        begin + Duration::from_secs(second)
    }

    fn one(name: &str, generation: i64) -> (Subject, Change) {
        let change = Change {
            uid: Some("u".to_owned()),
            generation: Some(generation),
        };
        (subject(name), change)
    }

    fn subject(name: &str) -> Subject {
        (Kind::User, name.to_owned())
    }

    #[test]
    fn what_is_not_reported_is_asked_for_again_and_said_after_a_minute() {
        let (mut watch, begin) = (Watch::default(), Instant::now());
        let mut look = |second, generation| watch.look(vec![one("a", generation)], at(second, begin));
        assert_eq!(look(0, 1), Found::default());
        assert_eq!(look(20, 1), Found::default());
        assert_eq!(look(30, 1).again, [subject("a")]);
        assert_eq!(look(59, 1), Found::default());
        let found = look(60, 1);
        assert_eq!((found.again, found.overdue), (vec![subject("a")], vec![subject("a")]));
        assert_eq!(look(70, 1).overdue, [subject("a")], "until it is reported");
        assert_eq!(look(80, 2), Found::default(), "a change has its own minute");
    }

    #[test]
    fn what_was_reported_meanwhile_is_forgotten() {
        let (mut watch, begin) = (Watch::default(), Instant::now());
        watch.look(vec![one("a", 1), one("b", 1)], at(0, begin));
        watch.look(vec![one("b", 1)], at(50, begin));
        let found = watch.look(vec![one("a", 1), one("b", 1)], at(100, begin));
        assert_eq!(found.overdue, [subject("b")]);
    }
}
