use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A clock that moves by hand, one millisecond or more at a time.
struct Time {
    start: Instant,
    millis: u64,
}

impl Time {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            millis: 0,
        }
    }
    fn tick(&mut self, millis: u64) -> Moment {
        self.millis += millis;
        self.now()
    }
    fn now(&self) -> Moment {
        Moment {
            at: self.start + Duration::from_millis(self.millis),
            utc: Timestamp::from_millisecond(1_767_225_600_000 + i64::try_from(self.millis).unwrap()).unwrap(),
        }
    }
}

fn node(name: &str) -> NodeName {
    NodeName::new("default", name)
}

fn account() -> Arc<str> {
    "corp_a".into()
}

fn revoke(below: u64, known: &[&str]) -> Revoke {
    Revoke {
        below: Epoch(below),
        denied_at: Timestamp::from_second(1_767_225_600).unwrap(),
        known: known.iter().map(|id| (*id).to_owned()).collect(),
        left_out: Vec::new(),
    }
}

fn with_nodes(names: &[&str], time: &Time) -> Revocations {
    let mut revocations = Revocations::default();
    for name in names {
        revocations.add_node(&node(name), true, time.now());
    }
    revocations
}

fn look(revocations: &mut Revocations, name: &str, online: &[(&str, u32)], time: &mut Time) -> HashSet<String> {
    look_believed(revocations, name, online, true, time)
}

fn look_believed(
    revocations: &mut Revocations,
    name: &str,
    online: &[(&str, u32)],
    believed: bool,
    time: &mut Time,
) -> HashSet<String> {
    let begun = time.tick(1).at;
    let now = time.tick(1);
    let last_yes = revocations
        .waiting(&node(name))
        .into_iter()
        .map(|(account, _)| (account, None));
    let look = Look {
        begun,
        answered: now.at,
        strangers: online
            .iter()
            .map(|(id, connections)| Stranger {
                id: (*id).to_owned(),
                connections: *connections,
                standing: Standing::Revoked,
            })
            .collect(),
        last_yes: last_yes.collect(),
        doubted: !believed,
        missed: HashSet::new(),
        unwaited: HashSet::new(),
    };
    revocations.looked(&node(name), &look, now)
}

fn kick(revocations: &mut Revocations, name: &str, time: &mut Time) -> Vec<String> {
    let mut ids = revocations.take_due(&node(name));
    ids.sort();
    let begun = time.tick(1).at;
    let now = time.tick(1);
    revocations.kicked(&node(name), &ids, begun, now);
    ids
}

fn waiting_for(revocations: &Revocations) -> Vec<String> {
    revocations.progress("corp_a").unwrap().waiting_for
}

#[test]
fn one_kick_names_every_known_session_on_every_node_and_both_have_to_answer() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x", "y"], &time);
    assert!(all.open(
        &account(),
        &revoke(5, &["corp_a.1.0", "corp_a.1.1"]),
        true,
        time.tick(1)
    ));
    assert_eq!(kick(&mut all, "x", &mut time), ["corp_a.1.0", "corp_a.1.1"]);
    look(&mut all, "x", &[], &mut time);
    let progress = all.progress("corp_a").unwrap();
    assert_eq!((progress.contained_at, progress.sessions_zero_at), (None, None));
    assert_eq!(progress.waiting_for, ["default/y"]);
    assert_eq!(kick(&mut all, "y", &mut time), ["corp_a.1.0", "corp_a.1.1"]);
    assert!(look(&mut all, "y", &[], &mut time).contains("corp_a"));
    let progress = all.progress("corp_a").unwrap();
    assert!(progress.contained_at.is_some() && progress.sessions_zero_at.is_some());
    assert!(progress.waiting_for.is_empty());
}

#[test]
fn the_same_cut_again_changes_nothing_also_when_it_is_done() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    let order = revoke(5, &["corp_a.1.0"]);
    assert!(all.open(&account(), &order, true, time.tick(1)));
    assert!(!all.open(&account(), &order, true, time.tick(1)));
    kick(&mut all, "x", &mut time);
    look(&mut all, "x", &[], &mut time);
    let done = all.progress("corp_a");
    assert!(!all.open(&account(), &order, true, time.tick(1)));
    all.retire(time.tick(20_000).at);
    assert!(!all.open(&account(), &order, true, time.tick(1)));
    assert_eq!(all.progress("corp_a"), done);
    assert!(!all.has_due(&node("x")) && !all.is_urgent(&node("x")));
}

#[test]
fn a_later_cut_replaces_an_open_one_and_loses_no_id() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), true, time.tick(1));
    look(&mut all, "x", &[("corp_a.2.7", 1)], &mut time);
    all.open(&account(), &revoke(9, &["corp_a.5.0"]), true, time.tick(1));
    assert_eq!(
        kick(&mut all, "x", &mut time),
        ["corp_a.1.0", "corp_a.2.7", "corp_a.5.0"]
    );
    assert_eq!(all.progress("corp_a").unwrap().below, Epoch(9));
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), true, time.tick(1));
    assert_eq!(
        all.progress("corp_a").unwrap().below,
        Epoch(9),
        "an older cut never replaces a newer one"
    );
}

#[test]
fn ids_of_others_and_of_the_present_epoch_are_never_kicked() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    let order = revoke(5, &["corp_a.1.0", "corp_b.1.0", "corp_a.5.0", "nonsense"]);
    all.open(&account(), &order, true, time.tick(1));
    assert_eq!(kick(&mut all, "x", &mut time), ["corp_a.1.0"]);
}

#[test]
fn a_look_begun_before_the_denial_proves_nothing() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    let (begun, answered) = (time.tick(1).at, time.tick(1).at);
    all.open(&account(), &revoke(5, &[]), true, time.tick(1));
    let early = Look {
        begun,
        answered,
        strangers: Vec::new(),
        last_yes: HashMap::from([(account(), None)]),
        doubted: false,
        missed: HashSet::new(),
        unwaited: HashSet::new(),
    };
    all.looked(&node("x"), &early, time.tick(1));
    assert_eq!(waiting_for(&all), ["default/x"]);
    look(&mut all, "x", &[], &mut time);
    assert!(waiting_for(&all).is_empty());
}

#[test]
fn zero_counts_only_from_a_look_later_than_the_last_yes() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    all.open(&account(), &revoke(5, &[]), true, time.tick(1));
    let begun = time.tick(1).at;
    let early = Look {
        begun,
        answered: time.tick(1).at,
        strangers: Vec::new(),
        last_yes: HashMap::from([(account(), Some(begun))]),
        doubted: false,
        missed: HashSet::new(),
        unwaited: HashSet::new(),
    };
    all.looked(&node("x"), &early, time.tick(1));
    let progress = all.progress("corp_a").unwrap();
    assert!(progress.contained_at.is_some() && progress.sessions_zero_at.is_none());
}

#[test]
fn a_session_that_comes_back_reopens_zero_and_not_containment() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), true, time.tick(1));
    kick(&mut all, "x", &mut time);
    look(&mut all, "x", &[], &mut time);
    time.tick(8_000);
    assert!(look(&mut all, "x", &[("corp_a.1.0", 1)], &mut time).contains("corp_a"));
    let progress = all.progress("corp_a").unwrap();
    assert!(progress.contained_at.is_some() && progress.sessions_zero_at.is_none());
    look(&mut all, "x", &[("corp_a.1.9", 1)], &mut time);
    assert_eq!(
        all.progress("corp_a").unwrap().contained_at,
        None,
        "this one was never kicked"
    );
    assert_eq!(kick(&mut all, "x", &mut time), ["corp_a.1.0", "corp_a.1.9"]);
    look(&mut all, "x", &[], &mut time);
    assert!(all.progress("corp_a").unwrap().sessions_zero_at.is_some());
}

#[test]
fn a_session_that_shows_up_long_after_is_kicked_and_reopens_everything() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    all.open(&account(), &revoke(5, &[]), true, time.tick(1));
    look(&mut all, "x", &[], &mut time);
    all.retire(time.tick(16_000).at);
    assert!(!all.is_urgent(&node("x")));
    look(&mut all, "x", &[("corp_a.1.0", 1)], &mut time);
    assert_eq!(waiting_for(&all), ["default/x"]);
    assert_eq!(kick(&mut all, "x", &mut time), ["corp_a.1.0"]);
}

#[test]
fn after_a_rotation_sessions_of_the_new_epoch_do_not_count() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), false, time.tick(1));
    kick(&mut all, "x", &mut time);
    look(&mut all, "x", &[("corp_a.5.0", 1)], &mut time);
    assert!(all.progress("corp_a").unwrap().sessions_zero_at.is_some());
}

#[test]
fn sessions_without_a_revocation_that_may_not_live_are_kicked_every_second() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    look(&mut all, "x", &[("corp_z.1.0", 1), ("somebody", 1)], &mut time);
    assert_eq!(kick(&mut all, "x", &mut time), ["corp_z.1.0"]);
    look(&mut all, "x", &[("corp_z.1.0", 1)], &mut time);
    assert!(!all.has_due(&node("x")));
    time.tick(1_000);
    look(&mut all, "x", &[("corp_z.1.0", 1)], &mut time);
    assert_eq!(kick(&mut all, "x", &mut time), ["corp_z.1.0"]);
    look(&mut all, "x", &[], &mut time);
    assert!(!all.is_urgent(&node("x")));
}

#[test]
fn a_node_that_joins_has_to_prove_as_well_and_one_that_leaves_is_not_waited_for() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), true, time.tick(1));
    kick(&mut all, "x", &mut time);
    look(&mut all, "x", &[], &mut time);
    assert!(all.add_node(&node("y"), true, time.tick(1)).contains("corp_a"));
    assert_eq!(waiting_for(&all), ["default/y"]);
    assert_eq!(all.take_due(&node("y")), ["corp_a.1.0"]);
    assert!(all.remove_node(&node("y"), time.tick(1)).contains("corp_a"));
    let progress = all.progress("corp_a").unwrap();
    assert!(progress.waiting_for.is_empty());
    assert_eq!(
        progress.left_out,
        ["default/y"],
        "it was asked, and left without a word"
    );
}

#[test]
fn a_node_without_statistics_is_waited_for_and_never_asked() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    all.add_node(&node("mute"), false, time.now());
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), true, time.tick(1));
    kick(&mut all, "x", &mut time);
    look(&mut all, "x", &[], &mut time);
    assert_eq!(waiting_for(&all), ["default/mute"]);
    assert!(!all.has_due(&node("mute")) && all.waiting(&node("mute")).is_empty());
}

fn read(revocations: &mut Revocations, name: &str, moved: &[(&str, u64)], time: &mut Time) -> usize {
    let begun = time.tick(1).at;
    let now = time.tick(1);
    let counters = moved
        .iter()
        .map(|(id, bytes)| ((*id).to_owned(), (*bytes, 0)))
        .collect();
    let reading = Reading {
        begun,
        answered: now.at,
        counters: &counters,
    };
    revocations.counted(&node(name), &reading, now).1
}

#[test]
fn a_kick_that_does_nothing_takes_containment_back_and_is_repeated() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), true, time.tick(1));
    kick(&mut all, "x", &mut time);
    look(&mut all, "x", &[("corp_a.1.0", 1)], &mut time);
    kick(&mut all, "x", &mut time);
    assert!(all.progress("corp_a").unwrap().contained_at.is_some());
    assert!(all.wants_counters(&node("x")), "it is held down, and still there");
    for bytes in [100, 200, 300] {
        assert_eq!(read(&mut all, "x", &[("corp_a.1.0", bytes)], &mut time), 0);
    }
    time.tick(300);
    assert_eq!(read(&mut all, "x", &[("corp_a.1.0", 400)], &mut time), 1);
    let progress = all.progress("corp_a").unwrap();
    assert_eq!(
        (progress.contained_at, progress.waiting_for),
        (None, vec!["default/x".to_owned()])
    );
    assert_eq!(progress.withdrawn_at, Some(time.now().utc));
    assert!(all.is_defied(&node("x")));
    assert_eq!(kick(&mut all, "x", &mut time), ["corp_a.1.0"]);
    assert_eq!(all.progress("corp_a").unwrap().contained_at, None);
    look(&mut all, "x", &[], &mut time);
    let progress = all.progress("corp_a").unwrap();
    assert!(progress.contained_at > progress.withdrawn_at && progress.sessions_zero_at.is_some());
    assert!(!all.is_defied(&node("x")));
}

#[test]
fn a_node_whose_word_counts_for_nothing_keeps_the_revocation_open() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x", "y"], &time);
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), true, time.tick(1));
    for name in ["x", "y"] {
        kick(&mut all, name, &mut time);
        look_believed(&mut all, name, &[], name == "x", &mut time);
    }
    assert_eq!(waiting_for(&all), ["default/y"]);
    look(&mut all, "y", &[], &mut time);
    assert!(all.progress("corp_a").unwrap().sessions_zero_at.is_some());
    // What is found out later takes it back.
    assert!(look_believed(&mut all, "y", &[], false, &mut time).contains("corp_a"));
    let progress = all.progress("corp_a").unwrap();
    assert_eq!(
        (progress.contained_at, progress.waiting_for),
        (None, vec!["default/y".to_owned()])
    );
    assert!(progress.withdrawn_at.is_some());
}

#[test]
fn a_session_that_a_node_never_showed_keeps_its_own_revocation_open_and_no_other() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), true, time.tick(1));
    kick(&mut all, "x", &mut time);
    let (begun, answered) = (time.tick(1).at, time.tick(1).at);
    let look_at = Look {
        begun,
        answered,
        strangers: Vec::new(),
        last_yes: HashMap::from([(account(), None)]),
        doubted: false,
        missed: HashSet::from([account()]),
        unwaited: HashSet::new(),
    };
    all.looked(&node("x"), &look_at, time.tick(1));
    assert_eq!(waiting_for(&all), ["default/x"]);
    look(&mut all, "x", &[], &mut time);
    assert!(waiting_for(&all).is_empty());
}

#[test]
fn a_node_that_leaves_unproved_is_left_out_and_containment_is_never_claimed() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x", "y"], &time);
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), true, time.tick(1));
    kick(&mut all, "x", &mut time);
    look(&mut all, "x", &[("corp_a.1.0", 1)], &mut time);
    assert!(all.remove_node(&node("y"), time.tick(1)).contains("corp_a"));
    let progress = all.progress("corp_a").unwrap();
    assert_eq!(progress.left_out, ["default/y"]);
    assert_eq!(
        (progress.contained_at, progress.waiting_for),
        (None, vec!["default/x".to_owned()])
    );
    kick(&mut all, "x", &mut time);
    let progress = all.progress("corp_a").unwrap();
    assert_eq!(
        (progress.contained_at, progress.waiting_for),
        (None, vec![]),
        "x has done what it can"
    );
    look(&mut all, "x", &[], &mut time);
    let progress = all.progress("corp_a").unwrap();
    assert_eq!((progress.contained_at, progress.sessions_zero_at), (None, None));
    assert!(all.is_over("corp_a"));
    // It is back, and says so itself.
    all.add_node(&node("y"), true, time.tick(1));
    kick(&mut all, "y", &mut time);
    look(&mut all, "y", &[], &mut time);
    let progress = all.progress("corp_a").unwrap();
    assert!(progress.left_out.is_empty() && progress.sessions_zero_at.is_some());
    assert_eq!(progress.withdrawn_at, None, "nothing was claimed that was not so");
}

#[test]
fn a_node_that_leaves_after_it_held_everything_down_is_missing_for_zero_alone() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x", "y"], &time);
    all.open(&account(), &revoke(5, &["corp_a.1.0"]), true, time.tick(1));
    for (name, online) in [("x", &[][..]), ("y", &[("corp_a.1.0", 1)])] {
        kick(&mut all, name, &mut time);
        look(&mut all, name, online, &mut time);
        kick(&mut all, name, &mut time);
    }
    let contained_at = all.progress("corp_a").unwrap().contained_at;
    assert!(contained_at.is_some());
    all.remove_node(&node("y"), time.tick(1));
    let progress = all.progress("corp_a").unwrap();
    assert_eq!((progress.contained_at, progress.sessions_zero_at), (contained_at, None));
    assert_eq!(progress.left_out, ["default/y"]);
}

#[test]
fn who_was_on_a_node_that_left_before_the_denial_is_not_contained() {
    let mut time = Time::new();
    let mut all = with_nodes(&["x"], &time);
    let order = Revoke {
        left_out: vec!["default/y".to_owned(), "default/x".to_owned()],
        ..revoke(5, &["corp_a.1.0"])
    };
    all.open(&account(), &order, true, time.tick(1));
    kick(&mut all, "x", &mut time);
    look(&mut all, "x", &[], &mut time);
    let progress = all.progress("corp_a").unwrap();
    assert_eq!(progress.left_out, ["default/y"], "x can be asked");
    assert_eq!((progress.contained_at, progress.waiting_for), (None, vec![]));
}

/// A node as it behaves: connections by id, and the kick set.
#[derive(Default, Clone)]
struct Server {
    connections: BTreeMap<String, u32>,
    kick_set: BTreeSet<String>,
    /// Ids that auth said yes to and that are about to register here.
    arriving: BTreeSet<String>,
    /// A look: when it was begun and, once the node took it, what it showed.
    look: Option<(Instant, Option<BTreeMap<String, u32>>)>,
    /// A kick: its ids, when it was begun, and whether the node took it.
    kick: Option<(Vec<String>, Instant, bool)>,
}

impl Server {
    fn speak(&mut self, id: &str) {
        if self.connections.contains_key(id) && self.kick_set.remove(id) {
            let left = self.connections.get_mut(id).unwrap();
            *left -= 1;
            self.connections.retain(|_, connections| *connections > 0);
        }
    }
    /// Whether no connection of a refused session can move another byte.
    fn holds_all_down(&self) -> bool {
        self.connections
            .iter()
            .all(|(id, connections)| *connections == 1 && self.kick_set.contains(id))
    }
}

#[derive(Debug, Clone)]
enum Step {
    BeginLook(usize),
    TakeLook(usize),
    EndLook(usize),
    BeginKick(usize),
    TakeKick(usize),
    EndKick(usize, bool),
    Speak(usize, usize),
    Register(usize, usize),
    Restart(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..2usize).prop_map(Step::BeginLook),
        3 => (0..2usize).prop_map(Step::TakeLook),
        3 => (0..2usize).prop_map(Step::EndLook),
        3 => (0..2usize).prop_map(Step::BeginKick),
        3 => (0..2usize).prop_map(Step::TakeKick),
        3 => (0..2usize, proptest::bool::weighted(0.8)).prop_map(|(node, ok)| Step::EndKick(node, ok)),
        3 => (0..2usize, 0..4usize).prop_map(|(node, id)| Step::Speak(node, id)),
        2 => (0..2usize, 0..4usize).prop_map(|(node, id)| Step::Register(node, id)),
        1 => (0..2usize).prop_map(Step::Restart),
        2 => (1..1500u64).prop_map(Step::Wait),
    ]
}

const IDS: [&str; 4] = ["corp_a.1.0", "corp_a.1.1", "corp_a.1.2", "corp_a.1.3"];

struct World {
    servers: Vec<Server>,
    names: Vec<NodeName>,
    all: Revocations,
    time: Time,
}

impl World {
    fn do_step(&mut self, step: &Step) {
        self.time.tick(1);
        match *step {
            Step::BeginLook(at) => {
                if self.servers[at].look.is_none() {
                    self.servers[at].look = Some((self.time.now().at, None));
                }
            }
            Step::TakeLook(at) => {
                let server = &mut self.servers[at];
                if let Some((_, shown @ None)) = &mut server.look {
                    *shown = Some(server.connections.clone());
                }
            }
            Step::EndLook(at) => {
                let Some((begun, Some(online))) = self.servers[at].look.clone() else {
                    return;
                };
                self.servers[at].look = None;
                let waiting = self.all.waiting(&self.names[at]).into_iter();
                let look = Look {
                    begun,
                    answered: self.time.now().at,
                    strangers: online
                        .into_iter()
                        .map(|(id, connections)| Stranger {
                            id,
                            connections,
                            standing: Standing::Revoked,
                        })
                        .collect(),
                    last_yes: waiting.map(|(account, _)| (account, None)).collect(),
                    doubted: false,
                    missed: HashSet::new(),
                    unwaited: HashSet::new(),
                };
                self.all.looked(&self.names[at], &look, self.time.now());
            }
            Step::BeginKick(at) => {
                if self.servers[at].kick.is_none() && self.all.has_due(&self.names[at]) {
                    let ids = self.all.take_due(&self.names[at]);
                    self.servers[at].kick = Some((ids, self.time.now().at, false));
                }
            }
            Step::TakeKick(at) => {
                let server = &mut self.servers[at];
                if let Some((ids, _, taken @ false)) = &mut server.kick {
                    server.kick_set.extend(ids.iter().cloned());
                    *taken = true;
                }
            }
            Step::EndKick(at, ok) => {
                let Some((ids, begun, taken)) = self.servers[at].kick.take() else {
                    return;
                };
                if ok && taken {
                    self.all.kicked(&self.names[at], &ids, begun, self.time.now());
                } else {
                    self.all.kick_failed(&self.names[at], ids);
                }
            }
            Step::Speak(at, id) => self.servers[at].speak(IDS[id]),
            Step::Register(at, id) => {
                let server = &mut self.servers[at];
                if server.arriving.remove(IDS[id]) {
                    server.connections.insert(IDS[id].to_owned(), 1);
                }
            }
            Step::Restart(at) => {
                let server = &mut self.servers[at];
                server.connections.clear();
                server.kick_set.clear();
                server.arriving.clear();
                server.look = None;
            }
            Step::Wait(millis) => {
                self.time.tick(millis);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn contained_means_that_no_session_can_move_a_byte_and_it_always_ends_at_zero(
        online in proptest::collection::vec((0..2usize, 0..4usize, 1..3u32), 0..5),
        arriving in proptest::collection::vec((0..2usize, 0..4usize), 0..3),
        known in proptest::collection::hash_set(0..4usize, 0..5),
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut time = Time::new();
        let names = vec![node("x"), node("y")];
        let mut servers = vec![Server::default(), Server::default()];
        for (at, id, connections) in online {
            servers[at].connections.insert(IDS[id].to_owned(), connections);
        }
        let mut known: HashSet<&str> = known.into_iter().map(|id| IDS[id]).collect();
        for (at, id) in arriving {
            // Auth knows what it handed out last, and hands an id out once.
            if servers.iter().all(|server| !server.connections.contains_key(IDS[id]) && !server.arriving.contains(IDS[id])) {
                servers[at].arriving.insert(IDS[id].to_owned());
                known.insert(IDS[id]);
            }
        }
        let mut all = with_nodes(&["x", "y"], &time);
        let known: Vec<&str> = known.into_iter().collect();
        all.open(&account(), &revoke(5, &known), true, time.tick(1));
        let mut world = World { servers, names, all, time };
        for step in &steps {
            world.do_step(step);
            let progress = world.all.progress("corp_a").unwrap();
            if progress.contained_at.is_some() {
                prop_assert!(world.servers.iter().all(Server::holds_all_down), "contained is not true after {:?}", step);
            }
            if progress.sessions_zero_at.is_some() {
                prop_assert!(progress.contained_at.is_some());
            }
        }
        // Everybody arrives and speaks, the nodes answer: it ends.
        for _ in 0..6 {
            for at in 0..2 {
                for id in 0..4 {
                    world.do_step(&Step::Register(at, id));
                    world.do_step(&Step::Speak(at, id));
                }
                for step in [
                    Step::EndKick(at, false), Step::BeginKick(at), Step::TakeKick(at), Step::EndKick(at, true),
                    Step::TakeLook(at), Step::EndLook(at), Step::BeginLook(at), Step::TakeLook(at), Step::EndLook(at),
                ] {
                    world.do_step(&step);
                }
            }
            world.do_step(&Step::Wait(1_100));
        }
        let progress = world.all.progress("corp_a").unwrap();
        prop_assert!(world.servers.iter().all(|server| server.connections.is_empty()));
        prop_assert!(progress.contained_at.is_some() && progress.sessions_zero_at.is_some(), "{:?}", progress);
        world.do_step(&Step::Wait(16_000));
        world.all.retire(world.time.now().at);
        prop_assert!(world.names.iter().all(|name| !world.all.is_urgent(name) && !world.all.has_due(name)));
    }
}
