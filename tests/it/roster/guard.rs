use proptest::prelude::*;

use vpn_operator::{
    model::{
        access::Usage,
        guard::Budget,
        guard_limits::{GuardLimits, PerBudget},
        hold::{HoldPhase, VpnHoldStatus},
    },
    roster::GuardReport,
};

use super::*;

fn inactive(n: usize) -> Input {
    said(&edited(&user(&nth(n)), |user| user.spec.active = false))
}

fn deleted(n: usize) -> Input {
    said(&tombstone(&user(&nth(n))))
}

#[test]
fn a_batch_within_the_limit_goes_in_one_go_and_the_next_one_waits() {
    let house = House::of(100);
    let done = house.roster.apply((0..10).map(deleted).collect());
    assert_eq!(done.iter().filter(|it| it.revoke.is_some()).count(), 10);
    assert_eq!(house.granted(100), 90);
    assert!(
        house
            .roster
            .apply(vec![inactive(10)])
            .iter()
            .all(|it| it.revoke.is_none())
    );
    assert!(house.is_in(&nth(10)), "the eleventh within ten minutes");
    let person = house.roster.person(&id(&nth(10))).unwrap();
    assert_eq!(
        (person.effective.reason, person.declared.reason),
        (Reason::Active, Reason::Inactive)
    );
    assert_eq!(person.held_back_since, Some(house.clock.now()));
    let report = house.roster.guard(usize::MAX);
    assert_eq!(
        (report.pending.total, house.budget(Budget::Declared)),
        (1, (10, Some(10)))
    );
    assert_eq!(report.pending.first[0].cause, "Inactive");
    house.pass(600);
    assert_eq!(house.budget(Budget::Declared).0, 0);
    assert!(house.roster.apply(vec![inactive(11)])[0].revoke.is_some());
    assert!(house.is_in(&nth(10)), "what waits, waits for a person");
}

#[test]
fn of_very_many_that_are_held_back_the_first_are_named_and_all_are_counted() {
    let house = House::of(100);
    house.roster.apply((20..70).map(inactive).collect());
    let report = house.roster.guard(3);
    let named: Vec<String> = report
        .pending
        .first
        .iter()
        .map(|it| it.corporate_id.to_string())
        .collect();
    assert_eq!((named, report.pending.total), (vec![nth(20), nth(21), nth(22)], 50));
    let waiting = |report: &GuardReport| report.budgets.iter().map(|it| it.waiting).sum::<usize>();
    assert_eq!(waiting(&report), 50);
    house.roster.cancel(None);
    let report = house.roster.guard(3);
    assert_eq!((report.pending.total, waiting(&report)), (0, 0));
}

#[test]
fn a_batch_above_the_limit_is_held_back_whole_until_it_is_confirmed() {
    let house = House::of(100);
    let done = house.roster.apply((0..11).map(inactive).collect());
    assert!(done.len() == 11 && done.iter().all(|it| it.revoke.is_none()));
    assert_eq!(house.granted(100), 100);
    let some = [id(&nth(3)), id(&nth(4))];
    let done = house.roster.confirm(Some(&some));
    assert_eq!(
        done.iter()
            .filter(|it| it.revoke.as_ref().is_some_and(|revoke| revoke.known.len() == 1))
            .count(),
        2
    );
    assert_eq!((house.granted(100), house.roster.guard(0).pending.total), (98, 9));
    house.roster.confirm(None);
    assert_eq!((house.granted(100), house.roster.guard(0).pending.total), (89, 0));
    assert_eq!(
        house.budget(Budget::Declared).0,
        0,
        "what a person confirmed leaves the limit alone"
    );
}

/// How many rows the guard's store has to write for one denial of each kind: an edit, a feed's hold, an order.
fn rows_of_a_denial(house: &House, first: usize) -> [usize; 3] {
    let feed = held(&hold(&format!("hr-{first}"), &nth(first + 1)));
    let order = held(&hold_of("helpdesk", &format!("helpdesk-{first}"), &nth(first + 2)));
    [inactive(first), feed, order].map(|denial| {
        house.roster.take_guard_changes();
        assert!(house.roster.apply(vec![denial]).iter().any(|it| it.revoke.is_some()));
        house.roster.take_guard_changes().1.len()
    })
}

#[test]
fn a_denial_writes_as_many_rows_after_thousands_as_after_none() {
    let house = House::of(3_000);
    let limit = "3000".parse().unwrap();
    let limits = GuardLimits::new(limit, PerBudget::default(), GuardLimits::WINDOW);
    house.roster.set_limits(limits);
    let before = rows_of_a_denial(&house, 0);
    house.roster.apply((10..2_000).map(inactive).collect());
    assert_eq!(house.budget(Budget::Declared).0, 1_991);
    assert_eq!(rows_of_a_denial(&house, 2_000), before);
    assert_eq!(before, [2, 1, 0], "a verdict and a charge; a charge; nothing");
}

#[test]
fn a_source_that_declares_nobody_denies_nobody() {
    let house = House::of(2);
    house.roster.apply(vec![deleted(0), deleted(1)]);
    assert_eq!(house.granted(2), 2);
    house.roster.apply(vec![
        Input::UserGone("ab000000".into()),
        Input::UserGone("ab000001".into()),
    ]);
    assert_eq!(house.granted(2), 2, "not even when the objects are gone for good");
    let back: Vec<Input> = (0..2).map(|n| said(&user(&nth(n)))).collect();
    house.roster.apply(back);
    assert_eq!(
        (house.granted(2), house.roster.guard(0).pending.total),
        (2, 0),
        "with the same credentials"
    );
    house.roster.apply(vec![deleted(0)]);
    assert_eq!(house.granted(2), 1);
}

#[test]
fn all_of_a_few_may_be_deleted_at_once_but_not_vanish() {
    let house = House::of(4);
    house.roster.trust_deletions();
    house.roster.apply(vec![deleted(0), deleted(1)]);
    assert_eq!(house.granted(4), 2);
    house.roster.apply(vec![
        Input::UserGone("ab000002".into()),
        Input::UserGone("ab000003".into()),
    ]);
    assert_eq!(house.granted(4), 2, "these two were never seen being deleted");
    let house = House::of(11);
    house.roster.trust_deletions();
    house.roster.apply((0..11).map(deleted).collect());
    assert_eq!(house.granted(11), 11, "more than the limit");
}

/// Thirty of a hundred pruned in a cluster, and the prune rejected.
fn cancelled_prune() -> House {
    let house = House::of(100);
    house.roster.trust_deletions();
    house.roster.apply((0..30).map(deleted).collect());
    house.roster.cancel(None);
    assert_eq!(house.granted(100), 100);
    let report = house.roster.guard(usize::MAX);
    assert_eq!((report.pending.total, report.rejected.total), (0, 30));
    house
}

#[test]
fn a_cancelled_deletion_in_a_cluster_can_still_be_confirmed() {
    let house = cancelled_prune();
    let some = [id(&nth(3)), id(&nth(4))];
    let done = house.roster.confirm(Some(&some));
    assert_eq!(done.iter().filter(|it| it.revoke.is_some()).count(), 2);
    assert_eq!((house.granted(100), house.roster.guard(0).rejected.total), (98, 28));
    house.roster.confirm(None);
    assert_eq!((house.granted(100), house.roster.guard(0).rejected.total), (70, 0));
}

#[test]
fn a_cancelled_edit_is_not_confirmed_with_the_rest_in_a_cluster_either() {
    let house = House::of(100);
    house.roster.trust_deletions();
    house.roster.apply((0..11).map(inactive).collect());
    house.roster.cancel(None);
    assert_eq!(house.roster.guard(0).rejected.total, 0);
    house.roster.confirm(None);
    assert_eq!(house.granted(100), 100, "an edit can be taken back");
}

fn let_go(n: usize) -> Input {
    let mut user = tombstone(&user(&nth(n)));
    let mark = [("vpn-operator.io/let-go".to_owned(), "true".to_owned())];
    user.metadata.annotations = Some(mark.into());
    said(&user)
}

#[test]
fn a_deleted_user_that_is_held_back_is_let_go_by_the_annotation() {
    let house = cancelled_prune();
    let done = house.roster.apply(vec![let_go(3)]);
    assert!(done[0].revoke.is_some() && !house.is_in(&nth(3)));
    assert!(house.roster.person(&id(&nth(3))).unwrap().held_back_since.is_none());
    assert_eq!(house.granted(100), 99);
    house.roster.apply(vec![let_go(3)]);
    assert!(!house.is_in(&nth(3)), "said again");
}

#[test]
fn an_annotation_from_before_the_deletion_takes_nothing_past_the_guard() {
    let house = House::of(100);
    house.roster.trust_deletions();
    house.roster.apply((0..30).map(let_go).collect());
    house.roster.apply((0..30).map(let_go).collect());
    assert_eq!((house.granted(100), house.roster.guard(0).pending.total), (100, 30));
}

#[test]
fn a_cancelled_deletion_keeps_nobody_whose_object_is_gone() {
    let house = cancelled_prune();
    let done = house.roster.apply(vec![Input::UserGone("ab000003".into())]);
    assert!(done[0].revoke.is_some() && !house.is_in(&nth(3)));
    assert_eq!((house.granted(100), house.roster.people().count()), (99, 99));
}

#[test]
fn what_was_gone_while_it_was_held_back_ends_when_it_is_confirmed() {
    let house = House::of(2);
    house.roster.apply(vec![deleted(0), deleted(1)]);
    house.roster.apply(vec![
        Input::UserGone("ab000000".into()),
        Input::UserGone("ab000001".into()),
    ]);
    let done = house.roster.confirm(None);
    assert_eq!(done.iter().filter(|it| it.revoke.is_some()).count(), 2);
    assert_eq!((house.granted(2), house.roster.people().count()), (0, 0));
}

#[test]
fn the_old_end_of_access_still_counts_while_a_denial_is_held_back() {
    let house = House::empty();
    let until = house.later(100);
    let limited = |n: usize| {
        let mut user = recorded(&user(&nth(n)), Access::Granted, 0);
        user.spec.valid_until = Some(until);
        user
    };
    house.roster.apply((0..20).map(|n| said(&limited(n))).collect());
    house.roster.loaded();
    house
        .roster
        .apply((0..20).map(|n| said(&tombstone(&limited(n)))).collect());
    assert_eq!(house.granted(20), 20);
    let done = house.pass(100);
    assert_eq!(done.iter().filter(|it| it.revoke.is_some()).count(), 20);
    assert_eq!((house.granted(20), house.roster.guard(0).pending.total), (0, 0));
}

#[test]
fn a_deadline_that_was_declared_earlier_is_nothing_for_the_guard() {
    let house = House::empty();
    let until = house.later(100);
    let limited = |n: usize| {
        let mut user = recorded(&user(&nth(n)), Access::Granted, 0);
        user.spec.valid_until = Some(until);
        said(&user)
    };
    house.roster.apply((0..50).map(limited).collect());
    house.roster.loaded();
    assert_eq!(house.pass(100).iter().filter(|it| it.revoke.is_some()).count(), 50);
    assert_eq!(house.budget(Budget::Declared).0, 0);
}

#[test]
fn a_cancelled_denial_stays_away_until_the_object_changes_again() {
    let house = House::of(100);
    house.roster.apply((0..11).map(inactive).collect());
    house.roster.cancel(None);
    assert_eq!((house.granted(11), house.roster.guard(0).pending.total), (11, 0));
    house.roster.confirm(None);
    house.roster.apply((0..11).map(inactive).collect());
    assert_eq!(house.granted(11), 11, "the same again says nothing new");
    house.roster.apply(vec![held(&hold("hr-x", &nth(3)))]);
    assert!(!house.is_in(&nth(3)), "somebody really means this one");
    assert_eq!(house.granted(11), 10);
}

#[test]
fn an_explicit_denial_of_one_who_waits_takes_effect_at_once() {
    let house = House::of(100);
    house.roster.apply((0..50).map(deleted).collect());
    let done = house.roster.apply(vec![held(&hold("hr-x", &nth(7)))]);
    assert!(done[0].revoke.is_some() && !house.is_in(&nth(7)));
    let waiting = house.roster.guard(0).pending.total;
    assert_eq!(waiting, 50, "when the hold is lifted, the deletion is still held back");
}

#[test]
fn what_changed_while_the_operator_was_down_is_judged_as_one_batch() {
    let house = House::empty();
    let left = |n: usize| {
        let granted = recorded(&user(&nth(n)), Access::Granted, 5);
        said(&edited(&granted, |user| user.spec.active = false))
    };
    let stayed = |n: usize| said(&recorded(&user(&nth(n)), Access::Granted, 5));
    let gone = |n: usize| {
        let mut user = recorded(&user(&nth(n)), Access::Granted, 5);
        user.spec.valid_until = Some(ts("2026-04-30T00:00:00Z"));
        said(&user)
    };
    house.roster.apply(
        (0..11)
            .map(left)
            .chain((11..60).map(stayed))
            .chain((60..90).map(gone))
            .collect(),
    );
    let done = house.roster.loaded();
    assert_eq!(house.granted(60), 60);
    assert_eq!(house.granted(90), 60, "time goes on without the guard");
    assert_eq!(done.iter().filter(|it| it.revoke.is_some()).count(), 30);
    assert_eq!(house.roster.guard(0).pending.total, 11);
}

#[test]
fn what_is_held_back_or_cancelled_stays_so_over_a_restart() {
    let before = House::of(100);
    before.roster.apply((0..11).map(deleted).collect());
    before.roster.cancel(Some(&[id(&nth(0))]));
    before.roster.apply((20..25).map(inactive).collect());
    let memory = before.memory();

    let after = House::empty();
    after.clock.advance(Duration::from_secs(60));
    after.roster.restore(memory);
    let now = |n: usize| match n {
        // Its status is older than its deletion.
        0..11 => said(&tombstone(&recorded(&user(&nth(n)), Access::Granted, 0))),
        20..25 => said(&recorded(
            &edited(&user(&nth(n)), |user| user.spec.active = false),
            Access::Denied,
            9,
        )),
        _ => said(&recorded(&user(&nth(n)), Access::Granted, 0)),
    };
    after.roster.apply((0..100).map(now).collect());
    after.roster.loaded();
    assert_eq!(after.granted(100), 95);
    let report = after.roster.guard(usize::MAX);
    assert_eq!((report.pending.total, after.budget(Budget::Declared).0), (10, 5));
    assert!(report.pending.first.iter().all(|it| it.since == ts(START)));
    after.roster.confirm(None);
    assert_eq!(after.granted(11), 1, "the cancelled one keeps access");
}

#[test]
fn the_guard_says_when_there_is_something_new_to_save() {
    let house = House::of(100);
    let changes = house.roster.guard_changes();
    house.roster.apply(vec![said(&edited(&user(&nth(1)), |_| ()))]);
    assert!(!changes.has_changed().unwrap());
    house.roster.apply(vec![inactive(0)]);
    assert!(changes.has_changed().unwrap());
}

fn everybody_held(count: usize) -> (House, Vec<VpnHold>) {
    let house = House::empty();
    let holds: Vec<VpnHold> = (0..count).map(|n| hold(&format!("hr-{n:03}"), &nth(n))).collect();
    let out = |n: usize| said(&recorded(&user(&nth(n)), Access::Denied, 9));
    house
        .roster
        .apply((0..count).map(out).chain(holds.iter().map(held)).collect());
    house.roster.loaded();
    (house, holds)
}

#[test]
fn losing_many_holds_grants_nobody_until_it_is_confirmed() {
    let (house, holds) = everybody_held(30);
    house
        .roster
        .apply(holds[..11].iter().map(|hold| held(&lost(hold))).collect());
    assert_eq!(house.granted(30), 0);
    let report = house.roster.guard(usize::MAX);
    assert_eq!(
        (report.pending.total, report.pending.first[0].cause.as_str()),
        (11, "hr-000")
    );
    assert!(house.roster.lost_holds_confirmed().is_empty());
    house.roster.apply(vec![Input::HoldGone {
        name: "hr-001".into(),
        released: false,
    }]);
    assert_eq!(house.granted(30), 0, "even when the object is gone for good");
    house.roster.apply(vec![held(&holds[0])]);
    assert_eq!(house.roster.guard(0).pending.total, 10, "one is back");
    house.roster.confirm(Some(&[id(&nth(1)), id(&nth(2))]));
    assert_eq!(house.granted(30), 2);
    assert_eq!(house.roster.lost_holds_confirmed(), ["hr-002"]);
    house.roster.cancel(None);
    assert_eq!((house.granted(30), house.roster.guard(0).pending.total), (2, 0));
    house.roster.confirm(None);
    assert_eq!(
        house.granted(30),
        2,
        "what was cancelled is not confirmed with the rest"
    );
}

#[test]
fn all_holds_do_not_disappear_at_once() {
    let (house, holds) = everybody_held(2);
    house.roster.apply(holds.iter().map(|hold| held(&lost(hold))).collect());
    assert_eq!(house.granted(2), 0);
}

#[test]
fn one_hold_that_disappears_is_lifted_and_may_be_forgotten() {
    let (house, holds) = everybody_held(5);
    house.roster.apply(vec![held(&lost(&holds[0]))]);
    assert_eq!(
        (house.granted(5), house.roster.lost_holds_confirmed()),
        (1, vec!["hr-000".to_owned()])
    );
    house.roster.apply(vec![Input::HoldGone {
        name: "hr-000".into(),
        released: false,
    }]);
    assert_eq!((house.granted(5), house.roster.lost_holds_confirmed()), (1, vec![]));
}

#[test]
fn lifting_holds_on_purpose_is_nothing_for_the_guard() {
    let (house, holds) = everybody_held(30);
    let on_purpose = |hold: &VpnHold| {
        let mut hold = lost(hold);
        let mark = [("vpn-operator.io/released".to_owned(), String::new())];
        hold.metadata.annotations = Some(mark.into());
        held(&hold)
    };
    house.roster.apply(holds[..15].iter().map(on_purpose).collect());
    assert_eq!(house.granted(30), 15);
    let gone = |n: usize| Input::HoldGone {
        name: format!("hr-{n:03}"),
        released: true,
    };
    house.roster.apply((15..30).map(gone).collect());
    assert_eq!(house.granted(30), 30);
}

#[test]
fn lost_holds_stay_in_force_over_a_restart_even_without_their_objects() {
    let (before, holds) = everybody_held(12);
    before
        .roster
        .apply(holds.iter().map(|hold| held(&lost(hold))).collect());
    let after = House::empty();
    after.roster.restore(before.memory());
    after.roster.apply(
        (0..12)
            .map(|n| said(&recorded(&user(&nth(n)), Access::Denied, 9)))
            .collect(),
    );
    after.roster.apply(vec![held(&lost(&holds[0])), held(&holds[1])]);
    after.roster.loaded();
    assert_eq!((after.granted(12), after.roster.guard(0).pending.total), (0, 11));
    after.roster.confirm(None);
    assert_eq!(after.granted(12), 11);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is edited and deleted in whatever batches: no more than the limit lose access in ten minutes.
    #[test]
    fn no_source_can_deny_more_than_the_limit(
        size in 12..60usize,
        batches in proptest::collection::vec((0..300u64, proptest::collection::vec((0..60usize, 0..3u8), 1..40)), 1..8),
    ) {
        let house = House::of(size);
        let mut denials: Vec<(Timestamp, usize)> = Vec::new();
        for (pause, batch) in batches {
            house.pass(pause);
            let before: Vec<bool> = (0..size).map(|n| house.is_in(&nth(n))).collect();
            let input = |(n, what): (usize, u8)| match what {
                0 => inactive(n % size),
                1 => deleted(n % size),
                _ => held(&hold(&format!("hr-{n}"), &nth(n % size))),
            };
            house.roster.apply(batch.into_iter().map(input).collect());
            let lost = (0..size).filter(|n| before[*n] && !house.is_in(&nth(*n))).count();
            denials.push((house.clock.now(), lost));
            let recent = denials.iter().filter(|(at, _)| house.clock.now().duration_since(*at).as_secs() < 600);
            prop_assert!(recent.map(|(_, lost)| lost).sum::<usize>() <= 20, "ten by edits, ten by the feed");
            for n in 0..size {
                let person = house.roster.person(&id(&nth(n))).unwrap();
                let held_back = person.held_back_since.is_some();
                prop_assert_eq!(held_back, person.effective.access != person.declared.access);
                prop_assert_eq!(person.effective.access == Access::Granted, house.is_in(&nth(n)));
                prop_assert_eq!(person.effective.access, house.roster.access(&id(&nth(n))));
            }
        }
        house.roster.confirm(None);
        for n in 0..size {
            let person = house.roster.person(&id(&nth(n))).unwrap();
            prop_assert_eq!(person.effective, person.declared);
        }
    }
}

#[test]
fn a_moved_deadline_is_judged_at_the_start_and_one_that_came_is_not() {
    for (edited_meanwhile, left) in [(true, 40), (false, 0)] {
        let house = House::empty();
        let over = house.later(-5);
        let expired = |n| {
            let mut user = recorded(&user(&nth(n)), Access::Granted, 0);
            user.spec.valid_until = Some(over);
            if edited_meanwhile { edited(&user, |_| ()) } else { user }
        };
        house.roster.apply((0..40).map(|n| said(&expired(n))).collect());
        house.roster.loaded();
        assert_eq!(house.granted(40), left, "edited: {edited_meanwhile}");
    }
}

#[test]
fn a_limit_on_traffic_counts_for_those_whose_denial_is_held_back() {
    let limited = |n| {
        edited(&recorded(&user(&nth(n)), Access::Granted, 0), |user| {
            user.spec.traffic = serde_json::from_value(serde_json::json!({ "limit": "1Ki" })).unwrap();
        })
    };
    let house = House::with((0..40).map(|n| said(&limited(n))).collect());
    let off = |n| said(&edited(&limited(n), |user| user.spec.active = false));
    house.roster.apply((0..40).map(off).collect());
    assert_eq!(house.granted(40), 40, "held back");
    let usage = Usage {
        lifetime: 1024,
        ..Usage::default()
    };
    let account = id(&nth(7)).account();
    house.roster.apply(vec![Input::Usage { account, usage }]);
    assert!(!house.is_in(&nth(7)));
    assert_eq!(house.granted(40), 39);
}

fn ten_ordinary_denials(house: &House) {
    for n in 0..10 {
        house.roster.apply(vec![inactive(n)]);
        house.pass(30);
    }
    assert_eq!(house.budget(Budget::Declared).0, 10);
}

#[test]
fn an_order_is_in_force_at_once_whatever_was_denied_before() {
    let house = House::of(12);
    ten_ordinary_denials(&house);
    let done = house
        .roster
        .apply(vec![held(&hold_of("helpdesk", "helpdesk-stolen", &nth(11)))]);
    assert!(done[0].revoke.is_some() && !house.is_in(&nth(11)));
    assert_eq!((house.granted(12), house.roster.guard(0).pending.total), (1, 0));
}

#[test]
fn orders_use_up_nobodys_budget_and_a_burst_of_them_is_seen() {
    let house = House::of(100);
    let order = |n: usize| held(&hold_of("api", &format!("api-deactivated-{n}"), &nth(n)));
    house.roster.apply((0..60).map(order).collect());
    assert_eq!(house.granted(100), 40);
    let report = house.roster.guard(usize::MAX);
    assert_eq!((report.orders, house.roster.take_orders().len()), (60, 60));
    assert!(report.budgets.iter().all(|it| it.used == 0));
    house.roster.apply((60..70).map(deleted).collect());
    assert_eq!(house.granted(100), 30, "ten more by the documents");
}

#[test]
fn one_kind_of_cause_never_uses_up_the_budget_of_another() {
    let house = House::of(100);
    ten_ordinary_denials(&house);
    let hr = |n: usize| held(&hold(&format!("hr-{n}"), &nth(n)));
    let scim = |n: usize| held(&hold_of("scim", &format!("scim-{n}"), &nth(n)));
    house.roster.apply((20..30).map(hr).collect());
    house.roster.apply((30..40).map(scim).collect());
    assert_eq!(house.granted(100), 70);
    house.roster.apply(vec![hr(50), scim(51), inactive(52)]);
    assert_eq!((house.granted(100), house.roster.guard(0).pending.total), (70, 3));
    for budget in [Budget::Declared, Budget::Hr, Budget::Scim] {
        assert_eq!(house.budget(budget), (10, Some(10)));
    }
}

#[test]
fn one_person_toggled_ten_times_counts_once() {
    let house = House::of(12);
    for generation in 1..11 {
        let toggled = |active| {
            let mut user = user(&nth(0));
            user.metadata.generation = Some(generation * 2 + i64::from(active));
            user.spec.active = active;
            said(&user)
        };
        house.roster.apply(vec![toggled(false)]);
        assert!(!house.is_in(&nth(0)));
        house.roster.apply(vec![toggled(true)]);
        assert!(house.is_in(&nth(0)));
    }
    assert_eq!(house.budget(Budget::Declared).0, 1);
    house.roster.apply((1..10).map(inactive).collect());
    assert_eq!(house.granted(12), 3);
}

#[test]
fn who_was_denied_stays_so_when_the_record_of_statuses_is_put_back() {
    for feed in ["api", "hr"] {
        let before = House::of(30);
        let holds: Vec<VpnHold> = (0..6)
            .map(|n| hold_of(feed, &format!("{feed}-deactivated-{n}"), &nth(n)))
            .collect();
        before.roster.apply(holds.iter().map(held).collect());
        before.roster.apply((6..14).map(inactive).collect());
        assert_eq!(before.granted(30), 16);
        let after = House::empty();
        after.roster.restore(before.memory());
        // As the statuses were before anything happened; the documents are as they are.
        let now = |n: usize| match n {
            6..14 => said(&edited(&recorded(&user(&nth(n)), Access::Granted, 0), |it| {
                it.spec.active = false;
            })),
            _ => said(&recorded(&user(&nth(n)), Access::Granted, 0)),
        };
        after
            .roster
            .apply((0..30).map(now).chain(holds.iter().map(held)).collect());
        after.roster.loaded();
        assert_eq!((after.granted(30), after.roster.guard(0).pending.total), (16, 0));
    }
}

#[test]
fn when_nothing_is_known_a_hold_that_exists_is_in_force() {
    let house = House::empty();
    let hr = |n: usize| held(&hold(&format!("hr-{n}"), &nth(n)));
    house.roster.apply(
        (0..30)
            .map(|n| said(&recorded(&user(&nth(n)), Access::Granted, 0)))
            .collect(),
    );
    house.roster.apply((0..20).map(hr).collect());
    house.roster.loaded();
    assert_eq!(house.granted(30), 10);
}

#[test]
fn a_feed_that_denies_too_many_waits_over_a_restart() {
    let before = House::of(30);
    let holds: Vec<VpnHold> = (0..11).map(|n| hold(&format!("hr-{n:02}"), &nth(n))).collect();
    before.roster.apply(holds.iter().map(held).collect());
    assert_eq!(before.granted(30), 30);
    let verdict = before.roster.hold("hr-03");
    assert!(verdict.held_back.is_some_and(|it| !it.rejected) && verdict.verdict > 0);
    let person = before.roster.person(&id(&nth(3))).unwrap();
    assert_eq!(
        (person.reason(), person.held_back_holds),
        (Reason::GuardHeldBack, vec!["hr-03".to_owned()])
    );
    before.roster.confirm(Some(&[id(&nth(0))]));
    before.roster.cancel(Some(&[id(&nth(1))]));
    let everybody = |house: &House| {
        house.roster.apply(
            (0..30)
                .map(|n| said(&recorded(&user(&nth(n)), Access::Granted, 0)))
                .collect(),
        );
    };
    let memory = before.memory();
    let after = House::empty();
    after.roster.restore(memory);
    everybody(&after);
    after.roster.apply(holds.iter().map(held).collect());
    after.roster.loaded();
    assert_eq!((after.granted(30), after.roster.guard(0).pending.total), (29, 9));
    assert!(after.roster.hold("hr-01").held_back.is_some_and(|it| it.rejected));
    // The memory is lost, and the objects say it.
    let written: Vec<VpnHold> = holds
        .iter()
        .map(|hold| {
            let mut hold = hold.clone();
            let held_back = after.roster.hold(hold.metadata.name.as_deref().unwrap()).held_back;
            let phase = if held_back.is_some() {
                HoldPhase::HeldBack
            } else {
                HoldPhase::Live
            };
            hold.status = Some(VpnHoldStatus {
                phase: Some(phase),
                held_back,
                lost: None,
            });
            hold
        })
        .collect();
    let third = House::empty();
    everybody(&third);
    third.roster.apply(written.iter().map(held).collect());
    third.roster.loaded();
    assert_eq!((third.granted(30), third.roster.guard(0).pending.total), (29, 9));
    assert_eq!(
        third.memory().verdicts.len(),
        10,
        "what the objects say is remembered again"
    );
}

#[test]
fn a_gateway_that_is_taken_from_many_stays() {
    let house = House::empty();
    let both = |n: usize| {
        let mut user = recorded(&user(&nth(n)), Access::Granted, 0);
        user.spec.gateways = Some(vec!["default".into(), "paris".into()]);
        user
    };
    house.roster.apply((0..20).map(|n| said(&both(n))).collect());
    house.roster.loaded();
    let moved = |n: usize| said(&edited(&both(n), |it| it.spec.gateways = Some(vec!["oslo".into()])));
    house.roster.apply((0..11).map(moved).collect());
    let person = house.roster.person(&id(&nth(0))).unwrap();
    assert_eq!(
        person.kept_gateways,
        Some(vec!["default".to_owned(), "paris".to_owned()])
    );
    assert_eq!(person.reason(), Reason::GuardHeldBack);
    assert!(house.is_in(&nth(0)), "on the default gateway");
    house.roster.confirm(Some(&[id(&nth(0))]));
    assert!(!house.is_in(&nth(0)));
    house.roster.apply(vec![moved(15)]);
    assert!(!house.is_in(&nth(15)), "one alone passes");
    assert_eq!(house.granted(20), 18);
}

#[test]
fn a_hold_of_the_operators_own_is_not_lifted_by_vanishing() {
    let house = House::of(20);
    let mut order = hold_of("cli", "cli-deactivated-ab000003", &nth(3));
    order.metadata.annotations = Some([("vpn-operator.io/kept-by-operator".to_owned(), "true".to_owned())].into());
    house.roster.apply(vec![held(&order)]);
    house.roster.apply(vec![held(&lost(&order))]);
    assert!(!house.is_in(&nth(3)));
    let report = house.roster.guard(usize::MAX);
    assert_eq!(
        (report.pending.total, report.pending.first[0].budget),
        (1, Budget::Holds)
    );
    let after = House::empty();
    after.roster.restore(house.memory());
    after.roster.apply(
        (0..20)
            .map(|n| said(&recorded(&user(&nth(n)), Access::Granted, 0)))
            .collect(),
    );
    after.roster.loaded();
    assert!(!after.is_in(&nth(3)), "although no object is left");
    after.roster.confirm(None);
    assert!(after.is_in(&nth(3)));
}

#[test]
fn a_limit_that_is_used_up_by_many_is_held_back_by_a_budget_of_its_own() {
    let limited = |n| {
        let mut user = recorded(&user(&nth(n)), Access::Granted, 0);
        user.spec.traffic = serde_json::from_value(serde_json::json!({ "limit": "1Ki" })).unwrap();
        said(&user)
    };
    let house = House::with((0..40).map(limited).collect());
    ten_ordinary_denials(&house);
    let used = |n: usize| Input::Usage {
        account: id(&nth(n)).account(),
        usage: Usage {
            lifetime: 2048,
            ..Usage::default()
        },
    };
    house.roster.apply((10..30).map(used).collect());
    assert_eq!(house.granted(40), 30, "a node that counts wrong locks nobody out");
    let held_back = &house.roster.person(&id(&nth(12))).unwrap().held_back;
    assert_eq!(held_back[0].cause, Budget::Usage);
    house.roster.apply(vec![used(35)]);
    assert!(!house.is_in(&nth(35)));
    house.roster.cancel(Some(&[id(&nth(12))]));
    house.roster.confirm(None);
    assert_eq!(house.granted(40), 10);
    assert!(house.is_in(&nth(12)));
}

#[test]
fn a_leaver_whose_document_is_lost_with_all_others_stays_out_over_a_restart() {
    let house = House::empty();
    let leaver = |user: VpnUser| {
        let mut user = edited(&user, |it| it.spec.active = false);
        user.status.as_mut().unwrap().access = Some(Access::Denied);
        user.status.as_mut().unwrap().observed_generation = user.metadata.generation.unwrap();
        user
    };
    let person = |n: usize| match n {
        0 => leaver(recorded(&user(&nth(n)), Access::Granted, 0)),
        _ => recorded(&user(&nth(n)), Access::Granted, 0),
    };
    house.roster.apply((0..20).map(|n| said(&person(n))).collect());
    house.roster.loaded();
    house
        .roster
        .apply((0..20).map(|n| said(&tombstone(&person(n)))).collect());
    assert_eq!((house.granted(20), house.roster.guard(0).pending.total), (19, 20));
    let after = House::empty();
    after.roster.restore(house.memory());
    after
        .roster
        .apply((0..20).map(|n| said(&tombstone(&person(n)))).collect());
    after.roster.loaded();
    assert_eq!(after.granted(20), 19);
    assert!(!after.is_in(&nth(0)));
}

#[test]
fn an_end_of_access_that_passed_stays_so_when_the_record_is_put_back() {
    let before = House::of(20);
    let until = before.later(5);
    let ends = |n: usize| {
        edited(&recorded(&user(&nth(n)), Access::Granted, 0), |it| {
            it.spec.valid_until = Some(until);
        })
    };
    before.roster.apply((0..15).map(|n| said(&ends(n))).collect());
    before.pass(5);
    assert_eq!(before.granted(20), 5);
    let after = House::empty();
    after.clock.advance(Duration::from_secs(60));
    after.roster.restore(before.memory());
    after.roster.apply((0..15).map(|n| said(&ends(n))).collect());
    after.roster.loaded();
    assert_eq!((after.granted(15), after.roster.guard(0).pending.total), (0, 0));
}

#[test]
fn what_is_held_back_is_found_again_when_the_record_of_objects_was_lost() {
    let before = House::of(30);
    before.roster.apply((0..12).map(inactive).collect());
    let holds: Vec<VpnHold> = (12..24).map(|n| hold(&format!("hr-{n}"), &nth(n))).collect();
    before.roster.apply(holds.iter().map(held).collect());
    assert_eq!((before.granted(30), before.roster.guard(0).pending.total), (30, 24));
    before.roster.confirm(Some(&[id(&nth(0)), id(&nth(12))]));
    let mut memory = before.memory();
    for round in 0..2 {
        // Every object has another uid, and no status.
        let anew = |user: VpnUser| {
            let mut user = user;
            user.metadata.uid = Some(format!("{}-{round}", user.metadata.uid.unwrap()));
            user
        };
        let person = |n: usize| match n {
            0..12 => said(&anew(edited(&user(&nth(n)), |it| it.spec.active = false))),
            _ => said(&anew(user(&nth(n)))),
        };
        let after = House::empty();
        after.roster.restore(memory.clone());
        after.roster.apply((0..30).map(person).collect());
        let again = |hold: &VpnHold| {
            let mut hold = hold.clone();
            hold.metadata.uid = Some(format!("{}-{round}", hold.metadata.name.as_deref().unwrap()));
            held(&hold)
        };
        after.roster.apply(holds.iter().map(again).collect());
        after.roster.loaded();
        assert_eq!((after.granted(30), after.roster.guard(0).pending.total), (28, 22));
        memory = after.replayed(memory);
    }
}

#[test]
fn who_was_denied_stays_so_when_the_record_is_put_back_and_the_document_was_edited_meanwhile() {
    let before = House::of(20);
    for n in 0..9 {
        before.roster.apply(vec![inactive(n)]);
    }
    for n in 9..18 {
        before.pass(700);
        let ended = edited(&recorded(&user(&nth(n)), Access::Granted, 0), |it| {
            it.spec.valid_until = Some(ts("2026-04-30T00:00:00Z"));
        });
        before.roster.apply(vec![said(&ended)]);
    }
    assert_eq!(before.granted(20), 2);
    let after = House::empty();
    after.roster.restore(before.memory());
    let now = |n: usize| {
        let granted = recorded(&user(&nth(n)), Access::Granted, 0);
        said(&edited(&granted, |it| match n {
            0..9 => {
                it.spec.active = false;
                it.spec.traffic = serde_json::from_value(serde_json::json!({ "limit": "5Gi" })).unwrap();
            }
            9..18 => it.spec.valid_until = Some(ts("2026-04-29T00:00:00Z")),
            _ => {}
        }))
    };
    after.roster.apply((0..20).map(now).collect());
    after.roster.loaded();
    assert_eq!((after.granted(20), after.roster.guard(0).pending.total), (2, 0));
}
