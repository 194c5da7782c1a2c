use vpn_operator::{
    gateway::{SessionLedger, Standing},
    model::{
        access::{Period, Usage},
        quantity::Bytes,
        secret_source::SecretSource,
        session::Epoch,
        user::TrafficLimit,
    },
};

use super::*;

#[test]
fn only_a_declared_user_logs_in_with_the_derived_password() {
    let house = House::with(vec![said(&user("AB123456"))]);
    assert!(house.is_in("AB123456"));
    assert!(
        matches!(house.login_as("CORP_AB123456:pw-ab123456-1"), Verdict::Granted(_)),
        "older clients keep the case"
    );
    assert!(matches!(
        house.login_as("corp_ab123456:PW-ab123456-1"),
        Verdict::BadPassword
    ));
    assert!(matches!(house.login_as("corp_ab123456:"), Verdict::BadPassword));
    assert!(matches!(house.login_as("corp_zz999999:pw"), Verdict::UnknownUser));
    assert!(matches!(
        house.login_as(&format!("{}:pw", "x".repeat(10_000))),
        Verdict::UnknownUser
    ));
    for malformed in ["", "corp_ab123456", "pw-ab123456-1"] {
        assert!(matches!(house.login_as(malformed), Verdict::Malformed), "{malformed}");
    }
}

#[test]
fn nobody_gets_in_before_everything_is_loaded() {
    let house = House::empty();
    house.roster.apply(vec![said(&user("AB123456"))]);
    assert!(matches!(house.login("AB123456"), Verdict::NotLoaded));
    house.roster.apply(vec![held(&hold("hr-x", "ab123456"))]);
    house.roster.loaded();
    assert!(
        matches!(house.login("AB123456"), Verdict::Denied(Reason::Held)),
        "the hold came later, but in time"
    );
}

#[test]
fn a_hold_denies_at_once_and_names_the_session_that_must_go() {
    let house = House::with(vec![said(&user("AB123456"))]);
    let Verdict::Granted(session) = house.login("AB123456") else {
        panic!("refused")
    };
    let session = session.id().to_string();
    let done = house.roster.apply(vec![held(&hold("hr-x", "ab123456"))]);
    let [transition] = done.as_slice() else {
        panic!("{done:?}")
    };
    let revoke = transition.revoke.as_ref().unwrap();
    assert_eq!(
        (transition.user.as_str(), transition.account.as_str()),
        ("ab123456", "corp_ab123456")
    );
    assert_eq!(
        (&revoke.known, revoke.denied_at),
        (&vec![session.clone()], house.clock.now())
    );
    assert!(!house.is_in("AB123456"));
    assert_eq!(
        house.roster.index().standing(&NodeName::new("default", "a"), &session),
        Standing::Revoked
    );

    house.roster.apply(vec![Input::HoldGone {
        name: "hr-x".into(),
        released: true,
    }]);
    assert!(house.is_in("AB123456"));
    assert_eq!(
        house.roster.index().standing(&NodeName::new("default", "a"), &session),
        Standing::Revoked,
        "the old session stays out"
    );
    let Verdict::Granted(again) = house.login("AB123456") else {
        panic!("refused")
    };
    assert_eq!(again.id().epoch, revoke.below);
}

#[test]
fn every_live_hold_counts_whatever_its_case_and_order() {
    let house = House::with(vec![
        held(&hold("hr-x", "ab123456")),
        said(&user("AB123456")),
        held(&hold("api-x", "AB123456")),
    ]);
    let lift = |name: &str| {
        house.roster.apply(vec![Input::HoldGone {
            name: name.into(),
            released: true,
        }])
    };
    lift("hr-x");
    assert_eq!(house.reason("AB123456"), Reason::Held);
    lift("api-x");
    assert_eq!(house.reason("AB123456"), Reason::Active);
}

#[test]
fn a_hold_can_come_before_its_user() {
    let house = House::with(vec![held(&hold("hr-x", "AB123456"))]);
    let nobody = house.roster.person(&id("ab123456")).unwrap();
    assert_eq!((nobody.user, nobody.effective.reason), (None, Reason::Deleted));
    assert_eq!(nobody.live_holds, ["hr-x"]);
    house.roster.apply(vec![said(&user("AB123456"))]);
    assert!(matches!(house.login("AB123456"), Verdict::Denied(Reason::Held)));
}

#[test]
fn rotation_cuts_the_old_sessions_and_the_new_password_works() {
    let old = user("AB123456");
    let house = House::with(vec![said(&old)]);
    assert!(house.is_in("AB123456"));
    let done = house
        .roster
        .apply(vec![said(&edited(&old, |user| user.spec.credential_generation = 2))]);
    assert_eq!(done[0].revoke.as_ref().unwrap().known.len(), 1);
    assert!(matches!(house.login("AB123456"), Verdict::BadPassword));
    assert!(matches!(
        house.login_as("corp_ab123456:pw-ab123456-2"),
        Verdict::Granted(_)
    ));
    assert_eq!(house.reason("AB123456"), Reason::Active);
}

#[test]
fn a_rotation_while_the_operator_was_down_cuts_at_the_load() {
    let mut rotated = recorded(&user("AB123456"), Access::Granted, 7);
    rotated.spec.credential_generation = 2;
    let house = House::empty();
    house.roster.apply(vec![
        said(&rotated),
        said(&recorded(&user("AB123457"), Access::Granted, 7)),
    ]);
    let done = house.roster.loaded();
    let revoke = done
        .iter()
        .find(|it| it.user == "ab123456")
        .unwrap()
        .revoke
        .as_ref()
        .unwrap();
    assert!(revoke.below > Epoch(7));
    assert!(done.iter().find(|it| it.user == "ab123457").unwrap().revoke.is_none());
    assert_eq!(
        house.roster.person(&id("AB123457")).unwrap().epoch,
        Epoch(7),
        "a restart cuts nobody else"
    );
}

#[test]
fn a_recorded_denial_is_cut_again_without_a_new_epoch() {
    let mut out = recorded(&user("AB123456"), Access::Denied, 70);
    out.spec.active = false;
    let mut fresh = recorded(&user("AB123457"), Access::Granted, 70);
    fresh.spec.active = false;
    let house = House::empty();
    house.roster.apply(vec![said(&out), said(&fresh)]);
    let done = house.roster.loaded();
    let below = |name: &str| {
        done.iter()
            .find(|it| it.user == name)
            .unwrap()
            .revoke
            .as_ref()
            .unwrap()
            .below
    };
    assert_eq!(below("ab123456"), Epoch(70));
    assert!(below("ab123457") > Epoch(70));
}

#[test]
fn validity_is_exact_for_logins_and_the_tick_cuts() {
    let mut soon = user("AB123456");
    let house = House::with(vec![]);
    soon.spec.valid_from = Some(house.later(10));
    soon.spec.valid_until = Some(house.later(20));
    house.roster.apply(vec![said(&soon)]);
    assert!(matches!(house.login("AB123456"), Verdict::Denied(Reason::NotYetValid)));
    house.clock.advance(Duration::from_secs(10));
    assert!(house.is_in("AB123456"), "without waiting for a tick");
    assert!(house.roster.tick()[0].revoke.is_none());
    house.clock.advance(Duration::from_millis(9999));
    assert!(house.is_in("AB123456"));
    house.clock.advance(Duration::from_millis(1));
    assert!(matches!(house.login("AB123456"), Verdict::Denied(Reason::Expired)));
    let done = house.roster.tick();
    assert_eq!(done[0].revoke.as_ref().unwrap().known.len(), 2, "both logins");
    assert!(house.roster.tick().is_empty());
}

#[test]
fn a_clock_that_jumps_and_is_set_back_comes_out_right() {
    let mut soon = user("AB123456");
    let house = House::with(vec![]);
    soon.spec.valid_until = Some(house.later(100));
    house.roster.apply(vec![said(&soon), said(&user("AB123457"))]);
    house.clock.step_wall(house.later(86_400));
    assert_eq!(house.roster.tick().len(), 1);
    assert!(!house.is_in("AB123456"));
    house.clock.step_wall(ts(START));
    assert!(house.is_in("AB123456"));
    let back = house.roster.tick();
    assert_eq!((back.len(), back[0].user.as_str()), (1, "ab123456"));
    assert!(house.is_in("AB123456"));
    let done = house.pass(100);
    assert!(done[0].revoke.is_some(), "its end comes a second time");
}

#[test]
fn a_quota_denies_when_it_is_used_up_and_a_new_month_grants() {
    let mut limited = user("AB123456");
    limited.spec.traffic = Some(TrafficLimit {
        limit: Bytes::parse("1Ki").unwrap(),
        period: Period::Month,
    });
    let house = House::with(vec![said(&limited)]);
    let used = |month| {
        let usage = Usage {
            lifetime: 5000,
            month,
            month_start: Period::Month.start(house.clock.now()),
        };
        house.roster.apply(vec![Input::Usage {
            account: "corp_ab123456".into(),
            usage,
        }])
    };
    let step = used(1014);
    assert!(
        step.len() == 1 && step[0].revoke.is_none(),
        "another percent is worth a look"
    );
    assert!(used(1023).is_empty() && house.is_in("AB123456"));
    assert!(used(1024)[0].revoke.is_some());
    assert!(matches!(house.login("AB123456"), Verdict::Denied(Reason::OverQuota)));
    assert!(house.pass(31 * 86_400)[0].revoke.is_none());
    assert!(house.is_in("AB123456"));
}

#[test]
fn the_first_claimant_has_the_account_then_the_next() {
    let mut first = user("AB000001");
    first.spec.username = Some("Shared".into());
    let mut second = user("AB000002");
    second.spec.username = Some("shared".into());
    second.metadata.creation_timestamp = serde_json::from_value(serde_json::json!("2026-02-01T00:00:00Z")).unwrap();
    let house = House::with(vec![said(&second), said(&first)]);
    assert_eq!(
        (house.reason("AB000001"), house.reason("AB000002")),
        (Reason::Active, Reason::Conflict)
    );
    assert!(matches!(house.login_as("shared:pw-ab000001-1"), Verdict::Granted(_)));
    assert!(matches!(house.login_as("shared:pw-ab000002-1"), Verdict::BadPassword));
    assert_eq!(
        house.roster.person_by_account("SHARED").unwrap().corporate_id,
        id("AB000001")
    );

    let gone = house.roster.apply(vec![said(&tombstone(&first))]);
    assert_eq!(gone[0].revoke.as_ref().unwrap().known.len(), 1);
    assert_eq!(
        house.reason("AB000002"),
        Reason::Conflict,
        "not before the first is gone for good"
    );
    let done = house.roster.apply(vec![Input::UserGone("ab000001".into())]);
    assert!(done.iter().any(|it| it.user == "ab000002"), "{done:?}");
    assert!(matches!(house.login_as("shared:pw-ab000002-1"), Verdict::Granted(_)));
    assert!(matches!(house.login_as("shared:pw-ab000001-1"), Verdict::BadPassword));
    assert!(house.roster.person(&id("AB000001")).is_none());
}

#[test]
fn an_older_claim_takes_the_account_and_ends_its_sessions() {
    let mut late = user("AB000002");
    late.spec.username = Some("corp_ab000001".into());
    late.metadata.creation_timestamp = serde_json::from_value(serde_json::json!("2025-02-01T00:00:00Z")).unwrap();
    let house = House::with(vec![said(&user("AB000001"))]);
    assert!(house.is_in("AB000001"));
    let done = house.roster.apply(vec![said(&late)]);
    assert_eq!(
        done.iter()
            .filter_map(|it| it.revoke.as_ref())
            .map(|revoke| revoke.known.len())
            .collect::<Vec<_>>(),
        [1]
    );
    assert!(matches!(house.login("AB000001"), Verdict::BadPassword));
    assert_eq!(house.reason("AB000001"), Reason::Conflict);
}

#[test]
fn two_objects_for_one_id_are_each_shown_as_they_stand() {
    let mut second = user("ab123456");
    second.metadata.name = Some("another".into());
    second.spec.username = Some("another".into());
    let house = House::with(vec![said(&user("AB123456")), said(&second)]);
    let reason = |name: &str| house.roster.person_by_user(name).unwrap().effective.reason;
    assert_eq!(
        (reason("ab123456"), reason("another")),
        (Reason::Active, Reason::Conflict)
    );
    assert!(matches!(
        house.login_as("another:pw-ab123456-1"),
        Verdict::Denied(Reason::Conflict)
    ));
    assert!(house.is_in("AB123456"));
}

#[test]
fn a_user_that_is_made_again_does_not_fall_back_to_an_old_epoch() {
    let house = House::with(vec![said(&user("AB123456")), said(&user("AB123457"))]);
    let Verdict::Granted(old) = house.login("AB123456") else {
        panic!("refused")
    };
    house.roster.apply(vec![said(&tombstone(&user("AB123456")))]);
    house.roster.apply(vec![Input::UserGone("ab123456".into())]);
    assert_eq!(
        house
            .roster
            .index()
            .standing(&NodeName::new("default", "a"), &old.id().to_string()),
        Standing::Revoked
    );
    assert!(!house.is_in("AB123456"));
    house.roster.apply(vec![said(&user("AB123456"))]);
    let Verdict::Granted(new) = house.login("AB123456") else {
        panic!("refused")
    };
    assert!(new.id().epoch > old.id().epoch);
}

#[test]
fn an_imported_password_is_asked_for_and_without_one_nobody_gets_in() {
    let mut imported = user("AB123456");
    imported.spec.credentials_from = Some(SecretSource::default());
    let house = House::with(vec![said(&imported)]);
    assert!(matches!(house.login("AB123456"), Verdict::BadPassword));
    let ready = edited(&imported, |user| {
        user.spec.credentials_from = Some(SecretSource {
            env: Some("inherited".into()),
            ..SecretSource::default()
        });
    });
    house.roster.apply(vec![said(&ready)]);
    assert!(matches!(house.login_as("corp_ab123456:inherited"), Verdict::Granted(_)));
    assert!(matches!(house.login("AB123456"), Verdict::BadPassword));
}

#[test]
fn an_event_that_changes_nothing_says_nothing() {
    let house = House::with(vec![said(&user("AB123456"))]);
    let changes = house.roster.changes();
    let mut same = user("AB123456");
    same.status.as_mut().unwrap().observed_generation = 1;
    assert!(house.roster.apply(vec![said(&same)]).is_empty());
    assert!(!changes.has_changed().unwrap());
    assert_eq!(
        house.roster.apply(vec![said(&edited(&same, |_| ()))]).len(),
        1,
        "a new generation is reconciled"
    );
    assert!(changes.has_changed().unwrap());
}

#[test]
fn people_are_found_by_every_name_and_listed_in_order() {
    let house = House::with((0..600).rev().map(|n| said(&user(&nth(n)))).collect());
    let names: Vec<String> = house
        .roster
        .people()
        .map(|person| person.corporate_id.to_string())
        .collect();
    assert_eq!(names, (0..600).map(nth).collect::<Vec<_>>());
    let page = house.roster.people_after(Some(&id("ab000010")), 2);
    assert_eq!(
        page.iter().map(|it| it.account.as_str()).collect::<Vec<_>>(),
        ["corp_ab000011", "corp_ab000012"]
    );
    assert_eq!(
        house.roster.person_by_user("ab000010").unwrap().corporate_id,
        id("AB000010")
    );
    assert_eq!(house.roster.counts(), [(Reason::Active, 600)]);
}

#[test]
fn one_event_among_twenty_thousand_is_cheap() {
    let houses = [House::of(200), House::of(20_000)];
    let mut fastest = [Duration::MAX; 2];
    // In turn, and the fastest of each: what else the machine does makes some rounds slower, and none faster.
    for n in 0..100 {
        for (house, fastest) in houses.iter().zip(&mut fastest) {
            let event = said(&edited(&user(&nth(n)), |_| ()));
            let began = std::time::Instant::now();
            house.roster.apply(vec![event]);
            house.roster.tick();
            *fastest = began.elapsed().min(*fastest);
        }
    }
    let [few, many] = fastest;
    assert!(
        many < few * 20,
        "{many:?} against {few:?}: work in proportion to everybody is a hundred times as much"
    );
}

#[test]
fn a_password_that_becomes_known_cuts_nobody_and_one_that_changes_does() {
    let mut imported = user("AB123456");
    imported.spec.credentials_from = Some(SecretSource::default());
    let house = House::with(vec![said(&imported)]);
    let learn = |generation, password: &str| {
        let done = house.roster.apply(vec![Input::Password {
            user: "ab123456".into(),
            generation,
            password: password.into(),
        }]);
        done.iter().any(|it| it.revoke.is_some())
    };
    assert!(!learn(1, "inherited"), "nobody can be in with another one");
    let old = match house.login_as("corp_ab123456:inherited") {
        Verdict::Granted(session) => session.id().to_string(),
        other => panic!("{other:?}"),
    };
    assert!(!learn(1, "inherited"));
    assert!(!learn(7, "of another version"));
    assert!(learn(1, "changed"));
    assert!(matches!(
        house.login_as("corp_ab123456:inherited"),
        Verdict::BadPassword
    ));
    assert_eq!(
        house.roster.index().standing(&NodeName::new("default", "a"), &old),
        Standing::Revoked
    );
}

#[test]
fn traffic_that_is_told_late_does_not_let_anybody_in_again() {
    let limited = edited(&user("AB123456"), |user| {
        user.spec.traffic = serde_json::from_value(serde_json::json!({ "limit": "1Ki" })).unwrap();
    });
    let house = House::with(vec![said(&limited)]);
    for lifetime in [2048, 100] {
        let usage = Usage {
            lifetime,
            ..Usage::default()
        };
        let account = id("AB123456").account();
        house.roster.apply(vec![Input::Usage { account, usage }]);
        assert!(!house.is_in("AB123456"), "{lifetime}");
    }
}
