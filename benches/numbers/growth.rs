//! What a denial costs the roster and the guard's store, after some earlier ones and after many.

use std::{ops::Range, path::Path, sync::Arc};

use jiff::SignedDuration;
use vpn_operator::{
    clock::{SharedClock, SystemClock},
    credentials::MasterKey,
    model::{access::Access, guard_limits::GuardLimits, user::VpnUser},
    roster::{Input, Roster},
    verdicts::{GUARD_FILE, VerdictStore},
};

use crate::{
    people, proc,
    report::{Report, median, note},
};

const PEOPLE: usize = 10_000;
const SAMPLES: usize = 200;
/// Enough that the store's write-ahead log has its size, since a file that grows costs more.
const FEW: usize = 1_000;
const MANY: usize = 9_000;
const ROUNDS: usize = 5;

pub fn measure(report: &mut Report) {
    note("growth: denials after 1,000 and after 9,000 earlier ones");
    let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| round()).collect();
    let ratio = median(rounds.iter().map(|(few, many)| many / few).collect());
    let shown = |of: fn(&(f64, f64)) -> f64| format!("{:.0} µs", median(rounds.iter().map(of).collect()));
    report.row(
        "CPU of a denial that the guard keeps, after 9,000 earlier ones, against after 1,000",
        &shown(|(_, many)| *many),
        &shown(|(few, _)| *few),
        &format!("{ratio:.2}"),
        "≤ 1.5",
        ratio <= 1.5,
    );
}

/// Microseconds of CPU a denial, after few and after many.
fn round() -> (f64, f64) {
    let folder = tempfile::Builder::new().prefix("vpn-numbers-").tempdir().unwrap();
    let guarded = Guarded::of(folder.path());
    guarded.deny_each(0..FEW);
    let few = guarded.timed(FEW..FEW + SAMPLES);
    guarded.deny(FEW + SAMPLES..MANY);
    (few, guarded.timed(MANY..MANY + SAMPLES))
}

/// People, and the guard with its store.
struct Guarded {
    roster: Roster,
    store: VerdictStore,
}

impl Guarded {
    /// Everybody has access, and the guard lets everything pass that is asked here.
    fn of(folder: &Path) -> Self {
        let clock: SharedClock = Arc::new(SystemClock);
        let (key, _) = MasterKey::load_or_rotate(&folder.join("key"), None, None).unwrap();
        let roster = Roster::new(key, Arc::new(|_: &VpnUser| None), clock.clone());
        let limit = PEOPLE.to_string().parse().unwrap();
        let share = "0".parse().unwrap();
        roster.set_limits(GuardLimits::new(limit, share, SignedDuration::from_hours(24)));
        roster.apply((0..PEOPLE).map(|number| user(number, true)).collect());
        roster.loaded();
        let (store, _) = VerdictStore::open(&folder.join(GUARD_FILE), clock, SignedDuration::from_hours(24));
        Self { roster, store }
    }

    /// Denies people by edits at once, and waits until the guard's verdicts are durable.
    fn deny(&self, numbers: Range<usize>) {
        let count = numbers.len();
        let done = self.roster.apply(numbers.map(|number| user(number, false)).collect());
        let denied = done.iter().filter(|it| it.revoke.is_some()).count();
        assert_eq!(denied, count, "the guard held somebody's denial back");
        let (seq, changes) = self.roster.take_guard_changes();
        self.store.write(seq, changes);
        let mut kept = self.store.kept();
        futures::executor::block_on(kept.wait_for(|kept| *kept >= seq)).unwrap();
    }

    /// Denies one after the other.
    fn deny_each(&self, numbers: Range<usize>) {
        for number in numbers {
            self.deny(number..number + 1);
        }
    }

    /// Microseconds of CPU for each of these denials.
    fn timed(&self, numbers: Range<usize>) -> f64 {
        let this = std::process::id();
        let before = proc::Cpu::of(this);
        self.deny_each(numbers);
        before.until(&proc::Cpu::of(this)).as_secs_f64() * 1e6 / SAMPLES as f64
    }
}

/// A person as a source gives it out.
fn user(number: usize, active: bool) -> Input {
    let mut user: VpnUser = serde_yaml::from_str(&people::document(number, active, "Person")).unwrap();
    user.metadata.uid = Some(format!("uid-{number}"));
    user.metadata.generation = Some(if active { 1 } else { 2 });
    let status = user.status.get_or_insert_default();
    status.access = Some(Access::Granted);
    status.observed_generation = 1;
    Input::User(Arc::new(user))
}
