use proptest::prelude::*;

use super::*;
use crate::gateway::{RevocationProgress, TargetAccess, Unprovable, WhyUnprovable};
use crate::model::{
    access::{Decision, Reason},
    condition::{Condition, types},
    corporate_id::CorporateId,
    session::Epoch,
    user::{GatewayState, Revocation, VpnUserSpec},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn user(spec: &str) -> VpnUser {
    let spec: VpnUserSpec = serde_yaml::from_str(spec).unwrap();
    let mut user = VpnUser::new(&spec.corporate_id.object_name(), spec);
    user.metadata.generation = Some(1);
    user.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    user
}

fn decision(reason: Reason) -> Decision {
    let access = if reason == Reason::Active {
        Access::Granted
    } else {
        Access::Denied
    };
    Decision {
        access,
        reason,
        next_change: None,
    }
}

fn person(reason: Reason, epoch: u64) -> Person {
    Person {
        corporate_id: CorporateId::parse("AB123456").unwrap(),
        user: Some("ab123456".to_owned()),
        account: "corp_ab123456".to_owned(),
        effective: decision(reason),
        declared: decision(reason),
        held_back_since: None,
        held_back: Vec::new(),
        kept_gateways: None,
        held_back_holds: Vec::new(),
        lost_holds: Vec::new(),
        other_holds: Vec::new(),
        rejected_holds: Vec::new(),
        verdict: 0,
        has_password: true,
        live_holds: Vec::new(),
        generation: 1,
        epoch: Epoch(epoch),
        sessions: 0,
    }
}

/// A gateway as the plan sees it: takes targets, and proves what it is told to at the next step.
fn obey(observation: &mut Observation, target: &Target, step: u8, now: Timestamp) {
    let absent = target.access == TargetAccess::Absent;
    let Some(revoke) = target
        .revoke
        .as_ref()
        .filter(|_| target.access != TargetAccess::Granted)
    else {
        observation.account = AccountPresence::Present;
        return;
    };
    observation.revocation = Some(RevocationProgress {
        below: revoke.below,
        denied_at: revoke.denied_at,
        contained_at: (step > 0).then_some(now),
        sessions_zero_at: (step > 1).then_some(now),
        left_out: vec![],
        withdrawn_at: None,
        waiting_for: if step > 0 {
            vec![]
        } else {
            vec!["default/node-1".to_owned()]
        },
    });
    observation.asked_to_leave = absent;
    observation.account = if absent && step > 1 {
        AccountPresence::Absent
    } else {
        AccountPresence::Present
    };
}

const NOTHING: Observation = Observation {
    account: AccountPresence::Unknown,
    sessions: 0,
    revocation: None,
    unprovable: Vec::new(),
    unusable: Vec::new(),
    handed_over: None,
    obstacle: None,
    asked_to_leave: false,
};

fn reason() -> impl Strategy<Value = Reason> {
    prop_oneof![
        Just(Reason::Active),
        Just(Reason::Held),
        Just(Reason::Inactive),
        Just(Reason::Expired),
        Just(Reason::OverQuota),
        Just(Reason::Conflict),
        Just(Reason::NotYetValid),
    ]
}

proptest! {
    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do(
        reasons in proptest::collection::vec((reason(), 0..3u64), 1..6), deleted in any::<bool>(),
    ) {
        let mut user = user("{corporateId: AB123456}");
        let mut gateways = vec![("default".to_owned(), Some(NOTHING))];
        let mut epoch = 0;
        let last = reasons.len() - 1;
        for (index, (reason, raise)) in reasons.into_iter().enumerate() {
            epoch += raise;
            let mut person = person(reason, epoch);
            if deleted && index == last {
                user.metadata.deletion_timestamp =
                    Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
                person.effective = decision(Reason::Deleted);
                person.declared = person.effective;
            }
            let mut done = None;
            for step in 0..4u8 {
                let now = at(i64::try_from(index).unwrap() * 100 + i64::from(step));
                let facts = Facts { person: &person, used: None, password: None, gateways: &gateways, refused: &[], secret: &SecretOutcome::NotStored, unreadable: None };
                let planned = plan(&user, &facts, now);
                prop_assert!(
                    planned.finalizer != FinalizerStep::Release
                        || planned.status.revocation.as_ref().is_none_or(|r| r.contained_at.is_some()),
                    "released before containment"
                );
                for (_, target) in &planned.targets {
                    obey(gateways[0].1.as_mut().unwrap(), target, 0, now);
                }
                user.status = Some(planned.status.clone());
                if step > 0 && let Some(r) = gateways[0].1.as_mut().unwrap().revocation.as_mut() {
                    r.contained_at.get_or_insert(now);
                    r.waiting_for.clear();
                    if step > 1 {
                        r.sessions_zero_at.get_or_insert(now);
                    }
                }
                done = Some(planned);
            }
            let now = at(i64::try_from(index).unwrap() * 100 + 50);
            let again = plan(&user, &Facts { person: &person, used: None, password: None, gateways: &gateways, refused: &[], secret: &SecretOutcome::NotStored, unreadable: None }, now);
            prop_assert_eq!(&again.targets, &vec![]);
            prop_assert_eq!(Some(&again.status), user.status.as_ref());
            prop_assert_eq!(again.finalizer, done.unwrap().finalizer);
            if deleted && index == last {
                prop_assert_eq!(again.finalizer, FinalizerStep::Release);
            }
        }
    }

    #[test]
    fn ready_never_speaks_before_the_gateways_do(reason in reason(), epoch in 1..9u64, contained in any::<bool>()) {
        let user = user("{corporateId: AB123456}");
        let person = person(reason, epoch);
        let revocation = RevocationProgress {
            below: Epoch(epoch), denied_at: at(0), contained_at: contained.then(|| at(1)), sessions_zero_at: None,
            left_out: vec![], withdrawn_at: None,
            waiting_for: if contained { vec![] } else { vec!["default/a".to_owned()] },
        };
        let observation = Observation { account: AccountPresence::Present, sessions: 1, revocation: Some(revocation), ..NOTHING };
        let gateways = [("default".to_owned(), Some(observation))];
        let planned = plan(&user, &Facts { person: &person, used: None, password: None, gateways: &gateways, refused: &[], secret: &SecretOutcome::NotStored, unreadable: None }, at(2));
        let ready = planned.status.conditions.iter().find(|c| c.type_ == types::READY).unwrap();
        prop_assert_eq!(ready.status == "True", contained && reason != Reason::Conflict);
    }
}

#[test]
fn an_unknown_gateway_stalls_and_says_what_to_do() {
    let user = user("{corporateId: AB123456, gateways: [default, paris]}");
    let person = person(Reason::Active, 0);
    let present = Observation {
        account: AccountPresence::Present,
        ..NOTHING
    };
    let gateways = [("default".to_owned(), Some(present)), ("paris".to_owned(), None)];
    let status = plan(
        &user,
        &Facts {
            person: &person,
            used: None,
            password: None,
            gateways: &gateways,
            refused: &[],
            secret: &SecretOutcome::NotStored,
            unreadable: None,
        },
        at(0),
    )
    .status;
    let stalled = status.conditions.iter().find(|c| c.type_ == types::STALLED).unwrap();
    assert_eq!(
        (&*stalled.status, &*stalled.reason),
        ("True", reasons::GATEWAY_NOT_FOUND)
    );
    assert!(stalled.message.contains("paris"));
    assert_eq!(
        status
            .conditions
            .iter()
            .find(|c| c.type_ == types::READY)
            .unwrap()
            .status,
        "False"
    );
}

#[test]
fn a_denial_that_the_guard_holds_back_neither_cuts_nor_lets_the_object_go() {
    let mut user = user("{corporateId: AB123456}");
    user.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
    let mut person = person(Reason::Active, 0);
    person.declared = decision(Reason::Deleted);
    person.held_back_since = Some(at(0));
    person.held_back = vec![crate::model::guard::HeldBackCause {
        cause: crate::model::guard::Budget::Declared,
        key: "0123456789abcdef".to_owned(),
        generation: 1,
        since: at(0),
        rejected: false,
        kept: None,
    }];
    let present = Observation {
        account: AccountPresence::Present,
        ..NOTHING
    };
    let gateways = [("default".to_owned(), Some(present))];
    let planned = plan(
        &user,
        &Facts {
            person: &person,
            used: None,
            password: None,
            gateways: &gateways,
            refused: &[],
            secret: &SecretOutcome::NotStored,
            unreadable: None,
        },
        at(1),
    );
    assert_eq!((planned.targets, planned.finalizer), (vec![], FinalizerStep::Keep));
    assert_eq!(planned.status.access, Some(Access::Granted));
    assert_eq!(planned.status.reason, Some(Reason::GuardHeldBack));
    assert_eq!(planned.status.guard, person.held_back);
    let stalled = planned
        .status
        .conditions
        .iter()
        .find(|it| it.type_ == "Stalled")
        .unwrap();
    assert!(
        stalled.message.contains("guard confirm AB123456") && stalled.message.contains(LET_GO),
        "{}",
        stalled.message
    );
}

#[test]
fn a_denied_user_whose_sessions_were_proved_gone_is_left_alone_after_a_restart() {
    let mut user = user("{corporateId: AB123456, active: false}");
    let person = person(Reason::Inactive, 7);
    user.status = Some(VpnUserStatus {
        access: Some(Access::Denied),
        epoch: Some(7),
        gateways: vec![GatewayState {
            name: "default".to_owned(),
            account: AccountPresence::Present,
        }],
        revocation: Some(Revocation {
            denied_at: at(0),
            contained_at: Some(at(1)),
            sessions_zero_at: Some(at(2)),
            waiting_for: vec![],
            left_out: vec![],
            withdrawn_at: None,
        }),
        ..VpnUserStatus::default()
    });
    let gateways = [("default".to_owned(), Some(NOTHING))];
    let planned = plan(
        &user,
        &Facts {
            person: &person,
            used: None,
            password: None,
            gateways: &gateways,
            refused: &[],
            secret: &SecretOutcome::NotStored,
            unreadable: None,
        },
        at(3),
    );
    assert_eq!(planned.targets, vec![]);
    let before = user.status.unwrap();
    assert_eq!(
        (planned.status.revocation, planned.status.gateways),
        (before.revocation, before.gateways)
    );
    assert!(
        planned
            .status
            .conditions
            .iter()
            .any(|it| it.type_ == types::READY && it.status == "True")
    );
}

#[test]
fn a_deletion_waits_for_a_vanished_gateway_until_somebody_lets_go() {
    let mut user = user("{corporateId: AB123456}");
    user.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
    user.status = Some(VpnUserStatus {
        gateways: vec![GatewayState {
            name: "default".to_owned(),
            account: AccountPresence::Present,
        }],
        ..VpnUserStatus::default()
    });
    let person = person(Reason::Deleted, 3);
    let gateways = [("default".to_owned(), None)];
    let facts = Facts {
        person: &person,
        used: None,
        password: None,
        gateways: &gateways,
        refused: &[],
        secret: &SecretOutcome::NotStored,
        unreadable: None,
    };
    assert_eq!(plan(&user, &facts, at(1)).finalizer, FinalizerStep::Keep);
    user.metadata.annotations = Some([(LET_GO.to_owned(), "true".to_owned())].into());
    assert_eq!(plan(&user, &facts, at(1)).finalizer, FinalizerStep::Release);
}

fn condition<'a>(status: &'a VpnUserStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

fn planned(person: &Person, observation: &Observation, unreadable: Option<&str>) -> VpnUserStatus {
    let user = user("{corporateId: AB123456}");
    let gateways = [("default".to_owned(), Some(observation.clone()))];
    let facts = Facts {
        person,
        used: None,
        password: None,
        gateways: &gateways,
        refused: &[],
        secret: &SecretOutcome::NotStored,
        unreadable,
    };
    plan(&user, &facts, at(0)).status
}

#[test]
fn granted_means_that_a_login_would_succeed() {
    let present = Observation {
        account: AccountPresence::Present,
        ..NOTHING
    };
    let mut anna = person(Reason::Active, 0);
    let said = |status: &VpnUserStatus, kind| {
        let condition = condition(status, kind).unwrap();
        (condition.status.to_string(), condition.reason.to_string())
    };
    let granted = planned(&anna, &present, None);
    assert_eq!(said(&granted, types::GRANTED), ("True".into(), "Active".into()));

    let kept = planned(&anna, &present, Some("Secret anna is missing"));
    assert_eq!(
        said(&kept, types::GRANTED),
        ("True".into(), "Active".into()),
        "the password read before counts on"
    );
    assert_eq!(
        said(&kept, types::READY),
        ("False".into(), "CredentialsNotFound".into())
    );

    anna.has_password = false;
    let unreadable = planned(&anna, &present, Some("Secret anna is missing"));
    for kind in [types::GRANTED, types::READY] {
        assert_eq!(said(&unreadable, kind), ("False".into(), "CredentialsNotFound".into()));
        assert!(
            condition(&unreadable, kind)
                .unwrap()
                .message
                .contains("Secret anna is missing")
        );
    }
    let reading = planned(&anna, &present, None);
    for kind in [types::GRANTED, types::READY] {
        assert_eq!(said(&reading, kind), ("False".into(), "CredentialsPending".into()));
    }
    assert!(condition(&reading, types::STALLED).is_none());

    anna.has_password = true;
    let closed = Observation {
        unusable: vec!["default/fra1: node fra1: statsSecret: the environment variable X is not set".to_owned()],
        ..present
    };
    let nowhere = planned(&anna, &closed, None);
    for kind in [types::GRANTED, types::READY, types::STALLED] {
        assert_eq!(condition(&nowhere, kind).unwrap().reason, "NodeNotRunning");
        assert!(
            condition(&nowhere, kind)
                .unwrap()
                .message
                .contains("environment variable X")
        );
    }
}

#[test]
fn a_gateway_that_exists_and_cannot_run_is_not_called_missing() {
    let user = user("{corporateId: AB123456}");
    let facts = Facts {
        person: &person(Reason::Active, 0),
        used: None,
        password: None,
        gateways: &[("default".to_owned(), None)],
        refused: &[("default".to_owned(), "spec.blitz is not supported".to_owned())],
        secret: &SecretOutcome::NotStored,
        unreadable: None,
    };
    let status = plan(&user, &facts, at(0)).status;
    let stalled = condition(&status, types::STALLED).unwrap();
    assert_eq!(stalled.reason, reasons::GATEWAY_NOT_RUNNING);
    assert!(stalled.message.contains("spec.blitz is not supported") && !stalled.message.contains("create it"));
}

#[test]
fn without_any_server_a_denial_is_nobodys_fault() {
    let denied = person(Reason::Held, 1);
    let open = |why| Observation {
        account: AccountPresence::Present,
        revocation: Some(RevocationProgress {
            below: Epoch(1),
            denied_at: at(0),
            contained_at: None,
            sessions_zero_at: None,
            waiting_for: vec!["default/node-1".to_owned()],
            left_out: Vec::new(),
            withdrawn_at: None,
        }),
        unprovable: vec![Unprovable {
            node: "default/node-1".to_owned(),
            why,
        }],
        ..NOTHING
    };
    let undeclared = planned(&denied, &open(WhyUnprovable::Undeclared), None);
    assert_eq!(condition(&undeclared, types::READY).unwrap().status, "True");
    assert!(
        undeclared.revocation.unwrap().contained_at.is_none(),
        "nothing is claimed either"
    );
    let dark = planned(&denied, &open(WhyUnprovable::NoStatistics), None);
    assert_eq!(condition(&dark, types::READY).unwrap().reason, reasons::NO_STATISTICS);
    let broken = planned(
        &denied,
        &open(WhyUnprovable::NotRunning("X is not set".to_owned())),
        None,
    );
    let ready = condition(&broken, types::READY).unwrap();
    assert!(
        ready.reason == reasons::NODE_NOT_RUNNING && ready.message.contains("X is not set"),
        "{ready:?}"
    );
}

/// How the one node of a gateway is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NodeIs {
    Good,
    Dark,
    Broken,
    Undeclared,
}

/// Everything on which a status depends.
#[derive(Debug, Clone)]
struct State {
    reason: Reason,
    nodes: [NodeIs; 2],
    /// Gateways that the spec names.
    spec: usize,
    has_password: bool,
    readable: bool,
    paused: bool,
    secret: SecretOutcome,
}

fn state() -> impl Strategy<Value = State> {
    let node = || prop_oneof![3 => Just(NodeIs::Good), 2 => Just(NodeIs::Dark), 1 => Just(NodeIs::Broken), 1 => Just(NodeIs::Undeclared)];
    let secret = prop_oneof![
        Just(SecretOutcome::NotStored),
        Just(SecretOutcome::Stored("ab123456-vpn".to_owned())),
        Just(SecretOutcome::Conflict("somebody else's".to_owned())),
        Just(SecretOutcome::Failing("no answer".to_owned())),
    ];
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    (reason(), [node(), node()], 0..3usize, flags, secret).prop_map(
        |(reason, nodes, spec, (has_password, readable, paused), secret)| State {
            reason,
            nodes,
            spec,
            has_password,
            readable,
            paused,
            secret,
        },
    )
}

/// One object through its life, with two gateways of one node each.
struct Life {
    user: VpnUser,
    epoch: u64,
    was_granted: bool,
    memory: [Observation; 2],
}

const NAMES: [&str; 2] = ["paris", "tokyo"];

impl Life {
    fn new() -> Self {
        Self {
            user: user("{corporateId: AB123456}"),
            epoch: 0,
            was_granted: false,
            memory: [NOTHING, NOTHING],
        }
    }

    /// Lives in this state until nothing changes any more.
    fn live(&mut self, state: &State, now: i64) {
        let names: Vec<String> = match state.spec {
            0 => vec!["paris".to_owned()],
            1 => vec!["tokyo".to_owned()],
            _ => NAMES.map(str::to_owned).to_vec(),
        };
        if self.user.spec.gateways.as_ref() != Some(&names) {
            // Taking a gateway away raises the epoch.
            self.epoch += u64::from(self.user.spec.gateways.is_some());
            self.user.spec.gateways = Some(names);
        }
        self.user.metadata.annotations = state.paused.then(|| [(PAUSE.to_owned(), "true".to_owned())].into());
        let granted = state.reason == Reason::Active;
        self.epoch += u64::from(self.was_granted && !granted);
        self.was_granted = granted;
        let mut person = person(state.reason, self.epoch);
        person.has_password = state.has_password;
        for round in 0..8 {
            let gateways = self.gateways(state);
            let facts = Facts {
                person: &person,
                used: None,
                password: None,
                gateways: &gateways,
                refused: &[],
                secret: &state.secret,
                unreadable: (!state.readable).then_some("it is missing"),
            };
            let planned = plan(&self.user, &facts, at(now));
            for (name, target) in &planned.targets {
                let at_gateway = NAMES.iter().position(|it| it == name).unwrap();
                take(&mut self.memory[at_gateway], name, target);
            }
            let rests = planned.targets.is_empty() && self.user.status.as_ref() == Some(&planned.status);
            self.user.status = Some(planned.status);
            if rests && round > 0 {
                return;
            }
            // Nodes that can prove something do.
            for (memory, is) in self.memory.iter_mut().zip(state.nodes) {
                if let Some(progress) = memory.revocation.as_mut().filter(|_| is == NodeIs::Good) {
                    progress.contained_at.get_or_insert(at(now));
                    progress.sessions_zero_at.get_or_insert(at(now));
                    progress.waiting_for.clear();
                    if memory.asked_to_leave {
                        memory.account = AccountPresence::Absent;
                    }
                }
            }
        }
        panic!("it never comes to rest in {state:?}: {:?}", self.user.status);
    }

    fn gateways(&self, state: &State) -> Vec<(String, Option<Observation>)> {
        let named = self.user.spec.gateways.clone().unwrap_or_default();
        let had = self
            .user
            .status
            .iter()
            .flat_map(|status| status.gateways.iter().map(|it| it.name.clone()));
        let mut names: Vec<String> = named.iter().cloned().chain(had).collect();
        names.dedup();
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        let observe = |name: String| {
            let at = NAMES.iter().position(|it| *it == name).unwrap();
            let node = format!("{name}/n1");
            let why = match state.nodes[at] {
                NodeIs::Good => None,
                NodeIs::Dark => Some(WhyUnprovable::NoStatistics),
                NodeIs::Broken => Some(WhyUnprovable::NotRunning("X is not set".to_owned())),
                NodeIs::Undeclared => Some(WhyUnprovable::Undeclared),
            };
            let broken = state.nodes[at] == NodeIs::Broken;
            let observation = Observation {
                unprovable: why
                    .map(|why| Unprovable {
                        node: node.clone(),
                        why,
                    })
                    .into_iter()
                    .collect(),
                unusable: broken.then(|| format!("{node}: X is not set")).into_iter().collect(),
                ..self.memory[at].clone()
            };
            (name, Some(observation))
        };
        names.into_iter().map(observe).collect()
    }

    /// What the status says, apart from when and from the record of what was cut.
    fn said(&self) -> (VpnUserStatus, Vec<(String, String, String, String)>) {
        let mut status = self.user.status.clone().unwrap();
        let mut conditions: Vec<_> = status
            .conditions
            .drain(..)
            .map(|it| {
                (
                    it.type_.to_string(),
                    it.status.to_string(),
                    it.reason.to_string(),
                    it.message.to_string(),
                )
            })
            .collect();
        conditions.sort();
        status.revocation = None;
        status.epoch = None;
        (status, conditions)
    }
}

/// A gateway takes a target, as the real one does.
fn take(memory: &mut Observation, gateway: &str, target: &Target) {
    memory.account = AccountPresence::Present;
    memory.asked_to_leave = target.access == TargetAccess::Absent;
    if let Some(revoke) = &target.revoke
        && memory.revocation.as_ref().is_none_or(|it| it.below < revoke.below)
    {
        memory.revocation = Some(RevocationProgress {
            below: revoke.below,
            denied_at: revoke.denied_at,
            contained_at: None,
            sessions_zero_at: None,
            waiting_for: vec![format!("{gateway}/n1")],
            left_out: Vec::new(),
            withdrawn_at: None,
        });
    }
}

#[test]
fn what_is_proved_of_an_earlier_cut_is_told_although_the_epoch_went_on() {
    let state = |reason, spec, tokyo| State {
        reason,
        nodes: [NodeIs::Good, tokyo],
        spec,
        has_password: true,
        readable: true,
        paused: false,
        secret: SecretOutcome::NotStored,
    };
    let mut lived = Life::new();
    lived.live(&state(Reason::Active, 0, NodeIs::Good), 0);
    lived.live(&state(Reason::Held, 1, NodeIs::Dark), 10);
    lived.live(&state(Reason::Active, 2, NodeIs::Good), 20);
    let revocation = lived.user.status.clone().unwrap().revocation.unwrap();
    assert!(
        revocation.sessions_zero_at.is_some() && revocation.waiting_for.is_empty(),
        "{revocation:?}"
    );
}

proptest! {
    #[test]
    fn a_status_says_what_is_and_not_how_it_came_to_be(
        past in proptest::collection::vec((state(), any::<bool>()), 0..5), mut last in state(),
    ) {
        // A gateway that was left has to prove it, so its node is there to.
        last.nodes = match last.spec {
            0 => [last.nodes[0], NodeIs::Good],
            1 => [NodeIs::Good, last.nodes[1]],
            _ => last.nodes,
        };
        // An account that is there stays there while somebody pauses the object, and one that is not is not made.
        last.paused = false;
        let mut lived = Life::new();
        for (now, (state, restart)) in (0..).zip(&past) {
            lived.live(state, now * 10);
            if *restart {
                lived.memory = [NOTHING, NOTHING];
            }
        }
        // What was proved of an earlier denial stays proved: the last one is new.
        lived.live(&State { reason: Reason::Active, ..last.clone() }, 90);
        lived.live(&last, 100);
        let mut fresh = Life::new();
        fresh.live(&last, 100);
        let said = |life: &Life| {
            let (mut status, conditions) = life.said();
            // What could not be looked at is as it was.
            if matches!(last.secret, SecretOutcome::Failing(_)) {
                status.secret_name = None;
            }
            (status, conditions)
        };
        prop_assert_eq!(said(&lived), said(&fresh));
    }
}
