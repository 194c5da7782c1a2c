use proptest::prelude::*;

use super::*;
use crate::model::{access::Decision, corporate_id::CorporateId, session::Epoch, user::VpnUserSpec};

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
        rejected_holds: Vec::new(),
        verdict: 0,
        live_holds: Vec::new(),
        generation: 1,
        epoch: Epoch(epoch),
        sessions: 0,
    }
}

/// A gateway as the plan sees it: takes targets, and proves what it is told to at the next step.
fn obey(observation: &mut Observation, target: &Target, step: u8, now: Timestamp) {
    match target {
        Target::Granted { .. } => observation.account = AccountPresence::Present,
        Target::Denied(revoke) | Target::Absent(revoke) => {
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
            observation.asked_to_leave = matches!(target, Target::Absent(_));
            observation.account = if matches!(target, Target::Absent(_)) && step > 1 {
                AccountPresence::Absent
            } else {
                AccountPresence::Present
            };
        }
    }
}

const NOTHING: Observation = Observation {
    account: AccountPresence::Unknown,
    sessions: 0,
    revocation: None,
    without_statistics: Vec::new(),
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
                let facts = Facts { person: &person, used: None, gateways: &gateways, secret: &SecretOutcome::NotStored, unreadable: None };
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
            let again = plan(&user, &Facts { person: &person, used: None, gateways: &gateways, secret: &SecretOutcome::NotStored, unreadable: None }, now);
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
        let planned = plan(&user, &Facts { person: &person, used: None, gateways: &gateways, secret: &SecretOutcome::NotStored, unreadable: None }, at(2));
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
            gateways: &gateways,
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
            gateways: &gateways,
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
            gateways: &gateways,
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
        gateways: &gateways,
        secret: &SecretOutcome::NotStored,
        unreadable: None,
    };
    assert_eq!(plan(&user, &facts, at(1)).finalizer, FinalizerStep::Keep);
    user.metadata.annotations = Some([(LET_GO.to_owned(), "true".to_owned())].into());
    assert_eq!(plan(&user, &facts, at(1)).finalizer, FinalizerStep::Release);
}
