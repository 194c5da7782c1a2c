//! Takes every event of the source, and lets the roster decide before anything is queued.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior};

use futures::{Stream, StreamExt as _, stream};
use jiff::Timestamp;
use kube::{
    Resource, ResourceExt,
    runtime::{reflector::store::Writer, watcher},
};
use tokio_util::sync::CancellationToken;

use super::{
    access_cause::keep_last_writer,
    core::Core,
    gateway_convergence,
    listing::{Followed, Listing},
    plan::{LET_GO, PAUSE, RECONCILE_NOW},
    status_write_cache::StatusWriteCache,
};
use crate::{
    desired::{Event, Watches},
    model::{FINALIZER, ORDERED_BY, OWN, RELEASED, gateway::VpnGateway, hold::VpnHold, hr::HR_MARKS, user::VpnUser},
    roster::Input,
};

/// Events taken in one batch. The guard judges a batch as a whole; the bound keeps a first load from being one lump.
const BATCH: usize = 4096;

/// How often deadlines are compared with the wall clock, beside the timer that counts down to the next one: that would miss
/// a clock that is set, or a machine that slept.
pub const TICK: Duration = Duration::from_secs(1);

/// How long a disappearance waits for the next one, and at the most. Files of one commit, and objects of one prune, leave one
/// by one, on a busy machine with pauses between them.
const QUIET: Duration = Duration::from_millis(200);
const LONGEST_QUIET: Duration = Duration::from_secs(1);

/// The writing ends of the stores.
pub struct Writers {
    /// Users.
    pub users: Writer<VpnUser>,
    /// Holds.
    pub holds: Writer<VpnHold>,
    /// Gateways.
    pub gateways: Writer<VpnGateway>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "one value at a time; a box each would cost more"
)]
pub(super) enum SourceEvent {
    User(Event<VpnUser>),
    Hold(Event<VpnHold>),
    Gateway(Event<VpnGateway>),
}

/// Kind and name of an object.
type Subject = (&'static str, String);

fn subject(input: &Input) -> Option<Subject> {
    match input {
        Input::User(user) => Some(("user", user.name_any())),
        Input::UserGone(name) => Some(("user", name.clone())),
        Input::Hold(hold) => Some(("hold", hold.name_any())),
        Input::HoldGone { name, .. } => Some(("hold", name.clone())),
        Input::Password { .. } | Input::Usage { .. } => None,
    }
}

/// Disappearances that wait for their companions, so that the guard sees a mass loss as one. What is said of an object
/// later takes the place of its disappearance: told in the wrong order, a hold that was found again would be lost.
#[derive(Default)]
pub(super) struct Vanishing {
    inputs: HashMap<Subject, Input>,
    since: Option<Instant>,
    latest: Option<Instant>,
}

impl Vanishing {
    /// Keeps a disappearance back if it is one that `waits`, and hands on everything else.
    pub(super) fn sort(&mut self, input: Input, waits: bool, inputs: &mut Vec<Input>) {
        let vanished = match &input {
            Input::User(user) => user.metadata.deletion_timestamp.is_some(),
            Input::Hold(hold) => hold.metadata.deletion_timestamp.is_some(),
            Input::HoldGone { released, .. } => !released,
            _ => false,
        };
        if waits && vanished {
            self.push(input);
        } else {
            self.supersede(&input);
            inputs.push(input);
        }
    }

    fn push(&mut self, input: Input) {
        let now = Instant::now();
        self.since.get_or_insert(now);
        self.latest = Some(now);
        self.inputs.extend(subject(&input).map(|subject| (subject, input)));
    }

    fn supersede(&mut self, input: &Input) {
        if !self.inputs.is_empty()
            && let Some(subject) = subject(input)
        {
            self.inputs.remove(&subject);
        }
    }

    /// When to judge what has come together.
    pub(super) fn due(&self) -> Option<Instant> {
        Some((self.latest? + QUIET).min(self.since? + LONGEST_QUIET))
    }

    pub(super) fn take(&mut self) -> Vec<Input> {
        std::mem::take(self).inputs.into_values().collect()
    }
}

/// How long to wait for a deadline at `now`, at the most until the next tick looks anyway. Never nothing at all: a timer may end
/// early by what the clocks differ.
fn wait_for(deadline: Option<Timestamp>, now: Timestamp, tick: Duration) -> Option<Duration> {
    let wait = Duration::try_from(deadline?.duration_since(now)).unwrap_or_default();
    (wait <= tick).then(|| wait.max(Duration::from_millis(1)))
}

/// Takes events until `cancel`, or until the source ends. Never waits for anything but events, deadlines and `tick`.
pub async fn run(watches: Watches, mut writers: Writers, ctx: Arc<Core>, tick: Duration, cancel: CancellationToken) {
    let mut events = Box::pin(merged(watches).ready_chunks(BATCH).take_until(cancel.cancelled_owned()));
    let pause = tick;
    let mut tick = tokio::time::interval(tick);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Seen::default();
    let mut vanishing = Vanishing::default();
    let mut loaded = false;
    loop {
        let due = vanishing.due();
        let deadline = wait_for(ctx.roster.next_deadline().filter(|_| loaded), ctx.clock.now(), pause);
        let batch = tokio::select! {
            batch = events.next() => batch,
            () = tokio::time::sleep(deadline.unwrap_or_default()), if deadline.is_some() => {
                ctx.dispatch(ctx.roster.tick());
                continue;
            }
            () = async { tokio::time::sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {
                ctx.dispatch(ctx.roster.apply(vanishing.take()));
                continue;
            }
            _ = tick.tick() => {
                ctx.dispatch(ctx.roster.tick());
                continue;
            }
        };
        let Some(batch) = batch else { return };
        let mut inputs = Vec::with_capacity(batch.len());
        for event in batch {
            seen.take(event, &mut writers, &ctx, |input| {
                vanishing.sort(input, loaded, &mut inputs);
            });
        }
        ctx.dispatch(ctx.roster.apply(inputs));
        // Everybody is asked for when the load is over.
        for name in seen.touched_users.drain(..).filter(|_| loaded) {
            ctx.queue.push(&name, &ctx.namespace);
        }
        for name in seen.touched_holds.drain(..) {
            ctx.hold_work.touched(name);
        }
        if !loaded && seen.users.done && seen.holds.done && seen.gateways.done {
            loaded = true;
            // The gateways exist before the first verdicts, so that sessions to be ended have somewhere to go.
            gateway_convergence::converge(&ctx).await;
            ctx.imported.first_round().await;
            if let Some(outputs) = ctx.cluster_outputs() {
                outputs.secrets.wait_synced().await;
            }
            let users = ctx.users.state();
            let inputs = ctx.usage.at_least(users.iter().map(|user| &**user));
            ctx.dispatch(ctx.roster.apply(inputs));
            ctx.dispatch(ctx.roster.judge_load());
            ctx.access_record.loaded(&ctx.roster);
            for hold in ctx.holds.state() {
                ctx.hold_work.touched(hold.name_any());
            }
            gateway_convergence::look(&ctx).await;
            ctx.roster.open();
            // What changed since the gateways were looked at was not acted on before the load.
            ctx.gateways.changed();
            for user in ctx.users.state() {
                ctx.queue.push(&user.name_any(), &ctx.namespace);
            }
        }
    }
}

#[derive(Default)]
struct Seen {
    users: Listing,
    holds: Listing,
    gateways: Listing,
    /// Users to be looked at although no decision may speak of them. The store shows each of them.
    touched_users: Vec<String>,
    /// Holds that have to be reported when they are judged. The store shows each of them.
    touched_holds: Vec<String>,
}

impl Seen {
    /// Brings the stores up to date with one event, and says what it means.
    fn take(&mut self, event: SourceEvent, writers: &mut Writers, ctx: &Core, mut say: impl FnMut(Input)) {
        match event {
            SourceEvent::User(event) => {
                let event = match watcher::Event::try_from(event) {
                    Ok(event) => event.modify(slim),
                    Err(object) => {
                        return self
                            .users
                            .unreadable(object, &ctx.namespace, &ctx.users, &mut writers.users);
                    }
                };
                let Followed { gone, changed } = self.users.follow(&event, &ctx.users);
                let looked_at = match &event {
                    watcher::Event::Apply(user) => {
                        let before = ctx.user(&user.name_any());
                        before.is_some_and(|before| asks(&before, user, &ctx.status_writes))
                    }
                    // Decisions about what is listed are there before the store shows it.
                    _ => true,
                };
                if looked_at {
                    self.touched_users.extend(changed);
                }
                for name in &gone {
                    if let Some(user) = ctx.user(name) {
                        forget(&user, ctx);
                    }
                }
                writers.users.apply_watcher_event(&event);
                for name in gone {
                    say(Input::UserGone(name));
                }
                if !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_)) {
                    ctx.gateways.user_changed();
                }
                match event {
                    watcher::Event::Apply(user) | watcher::Event::InitApply(user) => {
                        ctx.imported.touched(&user);
                        say(Input::User(Arc::new(user)));
                    }
                    watcher::Event::Delete(user) => {
                        forget(&user, ctx);
                        say(Input::UserGone(user.name_any()));
                    }
                    watcher::Event::InitDone => ctx.imported.listed(),
                    watcher::Event::Init => {}
                }
            }
            SourceEvent::Hold(event) => {
                let event = match watcher::Event::try_from(event) {
                    Ok(event) => event.modify(slim),
                    Err(object) => {
                        return self
                            .holds
                            .unreadable(object, &ctx.namespace, &ctx.holds, &mut writers.holds);
                    }
                };
                let Followed { gone, changed } = self.holds.follow(&event, &ctx.holds);
                self.touched_holds.extend(changed);
                writers.holds.apply_watcher_event(&event);
                for name in gone {
                    say(Input::HoldGone { name, released: false });
                }
                match event {
                    watcher::Event::Apply(hold) | watcher::Event::InitApply(hold) => {
                        say(Input::Hold(Arc::new(hold)));
                    }
                    watcher::Event::Delete(hold) => say(Input::HoldGone {
                        name: hold.name_any(),
                        released: left_in_order(&hold),
                    }),
                    watcher::Event::Init | watcher::Event::InitDone => {}
                }
            }
            SourceEvent::Gateway(event) => {
                let (declared, writer) = (&ctx.declared_gateways, &mut writers.gateways);
                let event = match watcher::Event::try_from(event) {
                    Ok(event) => event.modify(slim),
                    Err(object) => return self.gateways.unreadable(object, &ctx.namespace, declared, writer),
                };
                self.gateways.follow(&event, declared);
                writer.apply_watcher_event(&event);
                ctx.gateways.changed();
            }
        }
    }
}

/// What was kept about a user who is gone goes too.
fn forget(user: &VpnUser, ctx: &Core) {
    ctx.backoff.forget(&user.name_any());
    ctx.status_writes.forget(&user.name_any());
    if let Some(outputs) = ctx.cluster_outputs() {
        outputs.secrets.forget(user);
    }
}

/// Whether the operator has to look at a user although nothing about access changed: an annotation asks for something,
/// somebody took the finalizer off, or somebody else wrote the status.
fn asks(before: &VpnUser, now: &VpnUser, status_writes: &StatusWriteCache) -> bool {
    let has_finalizer = |user: &VpnUser| user.finalizers().iter().any(|it| it == FINALIZER);
    before.metadata.uid == now.metadata.uid
        && (before.annotations() != now.annotations()
            || (has_finalizer(before) && !has_finalizer(now))
            || (before.status != now.status && !status_writes.is_own(now)))
}

/// A hold leaves when its finalizer is released: on purpose, or after its loss was confirmed. One that was deleted before it
/// had a finalizer is lost.
pub(super) fn left_in_order(hold: &VpnHold) -> bool {
    hold.metadata.deletion_timestamp.is_some() || hold.finalizers().iter().any(|it| it == FINALIZER)
}

pub(super) fn merged(watches: Watches) -> impl Stream<Item = SourceEvent> {
    stream::select(
        watches.holds.map(SourceEvent::Hold),
        stream::select(
            watches.gateways.map(SourceEvent::Gateway),
            watches.users.map(SourceEvent::User),
        ),
    )
}

/// Drops what nobody here reads and every object would carry: managed fields, which are larger than the object (who wrote the
/// spec last stays), and annotations that do not concern the operator.
fn slim<K: Resource>(object: &mut K) {
    let meta = object.meta_mut();
    keep_last_writer(meta);
    let own = [RELEASED, LET_GO, PAUSE, RECONCILE_NOW, OWN, ORDERED_BY];
    let asked = |name: &str| own.contains(&name) || HR_MARKS.contains(&name);
    meta.annotations = meta.annotations.take().and_then(|mut annotations| {
        annotations.retain(|name, _| asked(name));
        (!annotations.is_empty()).then_some(annotations)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hr::HR_EVENT_AT;

    #[test]
    fn of_the_annotations_only_those_are_kept_that_somebody_here_reads() {
        let spec = serde_json::from_value(serde_json::json!({ "corporateId": "AB123456", "source": "api" })).unwrap();
        let mut hold = VpnHold::new("api-deactivated-ab123456", spec);
        let annotations = [
            (ORDERED_BY, "anna"),
            (RELEASED, "true"),
            (HR_EVENT_AT, "2026-05-01T10:00:00Z"),
            ("team.example/note", "long"),
        ];
        hold.metadata.annotations = Some(
            annotations
                .map(|(name, text)| (name.to_owned(), text.to_owned()))
                .into(),
        );
        slim(&mut hold);
        let kept: Vec<&String> = hold.annotations().keys().collect();
        assert_eq!(kept, [HR_EVENT_AT, ORDERED_BY, RELEASED]);
    }

    #[test]
    fn a_deadline_is_waited_for_to_the_millisecond_and_a_far_one_is_left_to_the_tick() {
        let now = Timestamp::from_millisecond(1_767_225_600_250).unwrap();
        let after = |millis: i64| Timestamp::from_millisecond(now.as_millisecond() + millis).ok();
        assert_eq!(wait_for(None, now, TICK), None);
        assert_eq!(wait_for(after(137), now, TICK), Some(Duration::from_millis(137)));
        assert_eq!(wait_for(after(1001), now, TICK), None);
        for past in [0, -5, -86_400_000] {
            assert_eq!(
                wait_for(after(past), now, TICK),
                Some(Duration::from_millis(1)),
                "the clock was set"
            );
        }
    }
}
