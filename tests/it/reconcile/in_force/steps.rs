//! What can happen, and how often.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    edits::Edit,
    faults::{Damage, Part},
    orders::{FEEDS, SOURCES, Span},
    stores::PEOPLE,
    world::{Mode, Pace, World},
};

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// Somebody orders that a person has no access, for a while or for good; the API sets `spec.active` as well if `flip`.
    Order {
        who: usize,
        source: &'static str,
        span: Span,
        flip: bool,
    },
    /// Several such orders, one after another.
    Orders {
        first: usize,
        count: usize,
    },
    /// The source of the n-th hold lifts it.
    Release(usize),
    /// All holds of the API on a person are lifted, and `spec.active` is set.
    Activate(usize),
    /// A feed says that these people are out.
    Feed {
        source: &'static str,
        first: usize,
        count: usize,
        span: Span,
    },
    /// These holds go without having been lifted, from the n-th on.
    LoseHolds {
        first: usize,
        count: usize,
    },
    /// One commit, or one `kubectl apply`.
    Edit {
        first: usize,
        count: usize,
        edit: Edit,
    },
    /// One commit, or one `kubectl delete`.
    Delete {
        first: usize,
        count: usize,
    },
    /// People who are not declared are declared again.
    Declare {
        first: usize,
        count: usize,
    },
    /// A node tells how much these people moved.
    Use {
        first: usize,
        count: usize,
        bytes: u64,
    },
    /// The operator of the guard decides about one person, or about all.
    Confirm(Option<usize>),
    Cancel(Option<usize>),
    /// The guard's store takes one write.
    Keep,
    /// The record, or traffic, is written.
    WriteRecord,
    WriteHistory,
    Report(usize),
    ReportAll,
    /// The leader, or a follower, hears of some users and holds.
    Hear {
        listener: usize,
        users: usize,
        holds: usize,
    },
    /// A listener lists users or holds anew.
    Relist {
        listener: usize,
        users: bool,
    },
    /// A follower starts anew.
    Replace(usize),
    Crash,
    Start,
    /// Nobody leads for a while, and the followers hear everything.
    Silence,
    /// The leader crashes, a store is damaged, and perhaps another leader starts.
    Damage {
        part: Part,
        damage: Damage,
        start: bool,
    },
    Pass(u64),
    SetBack(i64),
    Settle,
}

fn people() -> impl Strategy<Value = (usize, usize)> {
    (0..PEOPLE, prop_oneof![3 => 1..3usize, 2 => 3..9usize, 2 => 9..=PEOPLE])
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        5 => Just(Span::default()),
        2 => (1..200i64).prop_map(|until| Span { from: None, until: Some(until) }),
        1 => (1..60i64, option::of(1..200i64))
            .prop_map(|(from, length)| Span { from: Some(from), until: length.map(|length| from + length) }),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => any::<bool>().prop_map(Edit::Active),
        1 => option::of(-30..60i64).prop_map(Edit::From),
        2 => option::of(-30..120i64).prop_map(Edit::Until),
        3 => option::of(1..100u64).prop_map(Edit::Limit),
        2 => any::<bool>().prop_map(Edit::Narrow),
        1 => Just(Edit::Owner),
    ]
}

fn part(mode: Mode) -> impl Strategy<Value = Part> {
    select(match mode {
        Mode::Folder => vec![
            Part::Documents,
            Part::Files,
            Part::Record,
            Part::Record,
            Part::Guard,
            Part::Guard,
            Part::History,
        ],
        Mode::Cluster => vec![Part::Record, Part::Guard, Part::History, Part::Volume, Part::Volume],
    })
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![3 => (1..20usize).prop_map(Damage::PutBack), 1 => Just(Damage::Lost)]
}

/// What people and systems ask for.
fn request() -> impl Strategy<Value = Step> {
    let who = || 0..PEOPLE;
    prop_oneof![
        4 => (who(), select(SOURCES.to_vec()), span(), any::<bool>())
            .prop_map(|(who, source, span, flip)| Step::Order { who, source, span, flip }),
        2 => people().prop_map(|(first, count)| Step::Orders { first, count }),
        3 => (0..40usize).prop_map(Step::Release),
        1 => who().prop_map(Step::Activate),
        4 => (select(FEEDS.to_vec()), people(), span())
            .prop_map(|(source, (first, count), span)| Step::Feed { source, first, count, span }),
        1 => (0..40usize, 1..=PEOPLE).prop_map(|(first, count)| Step::LoseHolds { first, count }),
        5 => (people(), edit()).prop_map(|((first, count), edit)| Step::Edit { first, count, edit }),
        2 => people().prop_map(|(first, count)| Step::Delete { first, count }),
        2 => people().prop_map(|(first, count)| Step::Declare { first, count }),
        3 => (people(), 1..120u64).prop_map(|((first, count), bytes)| Step::Use { first, count, bytes }),
        1 => option::weighted(0.7, who()).prop_map(Step::Confirm),
        1 => option::weighted(0.7, who()).prop_map(Step::Cancel),
    ]
}

fn failure(mode: Mode) -> impl Strategy<Value = Step> {
    (part(mode), damage(), prop::bool::weighted(0.8)).prop_map(|(part, damage, start)| Step::Damage {
        part,
        damage,
        start,
    })
}

/// What the processes do, and what happens to them.
fn process(mode: Mode) -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Keep),
        2 => Just(Step::WriteRecord),
        1 => Just(Step::WriteHistory),
        3 => (0..PEOPLE).prop_map(Step::Report),
        3 => Just(Step::ReportAll),
        2 => Just(Step::Crash),
        2 => Just(Step::Start),
        3 => failure(mode),
        3 => prop_oneof![4 => 1..40u64, 1 => 300..900u64].prop_map(Step::Pass),
        1 => (1..90i64).prop_map(Step::SetBack),
        2 => Just(Step::Settle),
    ]
}

/// What is heard.
fn watch() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3usize, 0..10usize, 0..10usize)
            .prop_map(|(listener, users, holds)| Step::Hear { listener, users, holds }),
        1 => (0..3usize, any::<bool>()).prop_map(|(listener, users)| Step::Relist { listener, users }),
        1 => (0..2usize).prop_map(Step::Replace),
        1 => Just(Step::Silence),
    ]
}

/// Anything, one after another.
fn mixture(mode: Mode) -> impl Strategy<Value = Vec<Step>> {
    let watches = if mode == Mode::Cluster { 20 } else { 0 };
    vec(
        prop_oneof![28 => request(), 25 => process(mode), watches => watch()],
        1..50,
    )
}

/// Stores that fail again and again, mostly after everything came to rest.
fn failures(mode: Mode) -> impl Strategy<Value = Vec<Step>> {
    let rest = prop_oneof![3 => Just(Step::Settle), 1 => process(mode)];
    let round = (vec(request(), 0..4), rest, failure(mode));
    let round = round.prop_map(|(mut steps, rest, failure)| {
        steps.extend([rest, failure]);
        steps
    });
    vec(round, 1..8).prop_map(|rounds| rounds.concat())
}

/// A history, and what happens by itself in it.
pub fn history(mode: Mode) -> impl Strategy<Value = (Pace, Vec<Step>)> {
    let pace = any::<(bool, bool, bool)>().prop_map(|(hears, keeps, reports)| Pace { hears, keeps, reports });
    (
        pace,
        prop_oneof![2 => mixture(mode).boxed(), 1 => failures(mode).boxed()],
    )
}

impl World {
    /// Takes one step, and what follows from it by itself.
    pub fn take(&mut self, step: Step, pace: Pace) -> Result<(), String> {
        match step {
            Step::Order {
                who,
                source,
                span,
                flip,
            } => self.order(who, source, span, flip),
            Step::Orders { first, count } => {
                for who in around(first, count) {
                    self.order(who, SOURCES[0], Span::default(), false);
                    self.follow_up(pace);
                }
            }
            Step::Release(nth) => self.release_nth(nth),
            Step::Activate(who) => self.activate(who),
            Step::Feed {
                source,
                first,
                count,
                span,
            } => around(first, count).for_each(|who| self.feed(who, source, span)),
            Step::LoseHolds { first, count } => self.lose_holds(first, count),
            Step::Edit { first, count, edit } => self.edit(around(first, count), &edit),
            Step::Delete { first, count } => self.delete(around(first, count)),
            Step::Declare { first, count } => self.declare(around(first, count)),
            Step::Use { first, count, bytes } => self.use_up(around(first, count), bytes),
            Step::Confirm(who) => self.confirm(who),
            Step::Cancel(who) => self.cancel(who),
            Step::Keep => drop(self.keep_one()),
            Step::WriteRecord => self.write_record(),
            Step::WriteHistory => self.write_history(),
            Step::Report(who) => drop(self.report(who)),
            Step::ReportAll => drop(self.report_all()),
            Step::Hear { listener, users, holds } => self.hear(listener, users, holds),
            Step::Relist { listener, users } => self.relist(listener, users),
            Step::Replace(at) => {
                let follower = self.new_follower();
                if let Some(place) = self.followers.get_mut(at) {
                    *place = follower;
                }
            }
            Step::Crash => self.crash(),
            Step::Start => self.start(),
            Step::Silence => self.silence(),
            Step::Damage { part, damage, start } => self.damage(part, damage, start),
            Step::Pass(seconds) => self.pass(seconds),
            Step::SetBack(seconds) => self.set_back(seconds),
            Step::Settle => {
                self.settle()?;
                self.settled = true;
            }
        }
        self.follow_up(pace);
        Ok(())
    }

    /// What happens by itself.
    fn follow_up(&mut self, pace: Pace) {
        if pace.hears
            && let Some(leader) = &mut self.leader
        {
            leader.listener.hear(usize::MAX, usize::MAX);
        }
        self.notice();
        if pace.keeps {
            self.keep_all();
        }
        self.answer();
        if pace.reports {
            self.report_all();
            self.write_record();
            self.write_history();
        }
        self.notice();
        self.notice_kept_losses();
    }
}

/// People one after another, around the end.
fn around(first: usize, count: usize) -> impl Iterator<Item = usize> + Clone {
    (first..first + count).map(|who| who % PEOPLE)
}
