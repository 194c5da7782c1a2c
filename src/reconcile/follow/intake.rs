//! Takes every event of the source, gives the roster what it says, and keeps nothing but names.

use std::{collections::HashSet, sync::Arc};

use futures::StreamExt as _;
use kube::{Resource, ResourceExt};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Follower;
use crate::{
    desired::{Event, Watches},
    reconcile::intake::{SourceEvent, TICK, Vanishing, left_in_order, merged},
    roster::Input,
};

/// Events taken in one batch: objects are dropped as soon as the roster has taken their facts.
const BATCH: usize = 512;

/// Names of one kind, so that what vanished from a list is noticed.
struct Names {
    known: HashSet<Box<str>>,
    listed: Option<HashSet<Box<str>>>,
    done: bool,
    /// A list without any object is not believed when so many were known before.
    doubt: usize,
}

impl Names {
    fn new(doubt: usize) -> Self {
        Self {
            known: HashSet::new(),
            listed: None,
            done: false,
            doubt,
        }
    }

    /// Follows an event; at the end of a list, answers the names that are no longer there.
    fn follow<K: Resource<DynamicType = ()>>(&mut self, event: &Event<K>) -> Vec<Box<str>> {
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::InitApply(object) => {
                let name = object.name_any().into_boxed_str();
                // The roster knows it from now on, also when this list is broken off.
                self.known.insert(name.clone());
                self.listed.get_or_insert_default().insert(name);
            }
            Event::Apply(object) => {
                self.known.insert(object.name_any().into_boxed_str());
            }
            Event::Delete(object) => {
                self.known.remove(object.name_any().as_str());
            }
            // It is there. What was known of it stays.
            Event::Unreadable(name) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(name.as_str().into());
                }
            }
            Event::InitDone => {
                self.done = true;
                let listed = self.listed.take().unwrap_or_default();
                if listed.is_empty() && self.known.len() >= self.doubt {
                    tracing::error!(
                        kind = %K::kind(&()),
                        known = self.known.len(),
                        "a list that had objects has none: what was known stays in force until there are some again"
                    );
                    return Vec::new();
                }
                let before = std::mem::replace(&mut self.known, listed);
                return before.into_iter().filter(|name| !self.known.contains(name)).collect();
            }
        }
        Vec::new()
    }
}

struct Seen {
    users: Names,
    holds: Names,
    gateways: Names,
}

/// Takes events until `cancel`, or until the source ends.
pub async fn run(watches: Watches, ctx: Arc<Follower>, cancel: CancellationToken) {
    let mut events = Box::pin(merged(watches).ready_chunks(BATCH).take_until(cancel.cancelled_owned()));
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut vanishing = Vanishing::default();
    let mut loaded = false;
    let mut seen = Seen {
        users: Names::new(2),
        // The guard judges lost holds.
        holds: Names::new(usize::MAX),
        gateways: Names::new(1),
    };
    loop {
        let due = vanishing.due();
        let batch = tokio::select! {
            batch = events.next() => batch,
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                ctx.apply(vanishing.take());
                continue;
            }
            _ = tick.tick() => {
                drop(ctx.roster.tick());
                continue;
            }
        };
        let Some(batch) = batch else { return };
        let mut inputs = Vec::with_capacity(batch.len());
        for event in batch {
            take(&mut seen, event, &ctx, |input| {
                let waits = loaded && !is_decided(&input);
                vanishing.sort(input, waits, &mut inputs);
            });
        }
        ctx.apply(inputs);
        if !loaded && seen.users.done && seen.holds.done && seen.gateways.done {
            loaded = true;
            ctx.nodes.converge().await;
            ctx.imported.first_round().await;
            drop(ctx.roster.loaded());
            ctx.nodes.again();
            if ctx.is_ready() {
                tracing::info!(
                    users = seen.users.known.len(),
                    holds = seen.holds.known.len(),
                    "desired state is loaded"
                );
            }
        }
    }
}

/// Whether it speaks of a deletion that the controller has reported about: nobody has to judge it together with others.
fn is_decided(input: &Input) -> bool {
    let Input::User(user) = input else { return false };
    let observed = user.status.as_ref().map(|status| status.observed_generation);
    user.metadata.deletion_timestamp.is_some() && observed.is_some() && observed == user.metadata.generation
}

/// Says what one event means.
fn take(seen: &mut Seen, event: SourceEvent, ctx: &Follower, mut say: impl FnMut(Input)) {
    match event {
        SourceEvent::User(event) => {
            for name in seen.users.follow(&event) {
                ctx.forget(&name);
                say(Input::UserGone(name.into()));
            }
            match event {
                Event::Apply(user) | Event::InitApply(user) => {
                    let user = Arc::new(user);
                    ctx.nodes.reported(&user);
                    ctx.remember(&user);
                    say(Input::User(user));
                }
                Event::Delete(user) => {
                    ctx.forget(&user.name_any());
                    say(Input::UserGone(user.name_any()));
                }
                Event::InitDone => ctx.imported.listed(),
                Event::Init | Event::Unreadable(_) => {}
            }
        }
        SourceEvent::Hold(event) => {
            for name in seen.holds.follow(&event) {
                say(Input::HoldGone {
                    name: name.into(),
                    released: false,
                });
            }
            match event {
                Event::Apply(hold) | Event::InitApply(hold) => say(Input::Hold(Arc::new(hold))),
                Event::Delete(hold) => say(Input::HoldGone {
                    name: hold.name_any(),
                    released: left_in_order(&hold),
                }),
                Event::Init | Event::InitDone | Event::Unreadable(_) => {}
            }
        }
        SourceEvent::Gateway(event) => {
            for name in seen.gateways.follow(&event) {
                ctx.nodes.gone(&name);
            }
            match event {
                Event::Apply(gateway) | Event::InitApply(gateway) => ctx.nodes.declare(&gateway),
                Event::Delete(gateway) => ctx.nodes.gone(&gateway.name_any()),
                Event::Init | Event::InitDone | Event::Unreadable(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        corporate_id::CorporateId,
        hold::{VpnHold, VpnHoldSpec},
    };

    fn hold(name: &str) -> VpnHold {
        let spec = VpnHoldSpec {
            corporate_id: CorporateId::parse("AB123456").unwrap(),
            source: "hr".to_owned(),
            reason: None,
            from: None,
            until: None,
        };
        VpnHold::new(name, spec)
    }

    /// What is gone by a list of these names, behind each of which stands whether it can be read.
    fn lists(names: &mut Names, listed: &[(&str, bool)]) -> Vec<String> {
        names.follow::<VpnHold>(&Event::Init);
        for (name, readable) in listed {
            names.follow(&match readable {
                true => Event::InitApply(hold(name)),
                false => Event::Unreadable((*name).to_owned()),
            });
        }
        let gone = names.follow::<VpnHold>(&Event::InitDone);
        gone.into_iter().map(Into::into).collect()
    }

    #[test]
    fn what_is_left_out_of_a_list_is_gone_and_what_cannot_be_read_is_not() {
        let mut names = Names::new(usize::MAX);
        assert!(lists(&mut names, &[("a", true), ("b", true)]).is_empty());
        assert_eq!(lists(&mut names, &[("a", false)]), ["b"]);
        assert!(lists(&mut names, &[("a", false)]).is_empty(), "however often");
        names.follow::<VpnHold>(&Event::Unreadable("a".to_owned()));
        assert_eq!(lists(&mut names, &[]), ["a"]);
    }

    #[test]
    fn what_a_list_said_that_was_broken_off_is_gone_when_the_next_one_leaves_it_out() {
        let mut names = Names::new(usize::MAX);
        names.follow::<VpnHold>(&Event::Init);
        names.follow(&Event::InitApply(hold("a")));
        assert_eq!(lists(&mut names, &[("b", true)]), ["a"]);
    }

    #[test]
    fn a_list_of_what_cannot_be_read_is_no_empty_list() {
        let mut names = Names::new(1);
        lists(&mut names, &[("a", true), ("b", true)]);
        assert_eq!(lists(&mut names, &[("a", false)]), ["b"]);
    }
}
