use std::collections::HashSet;

use proptest::prelude::*;
use secrecy::SecretString;

use super::*;
use crate::model::{secret_source::SecretSource, validate::user_errors};

const GB: u64 = 1 << 30;

fn circumstances() -> Circumstances {
    Circumstances {
        now: "2026-03-15T12:00:00Z".parse().unwrap(),
        gateway: None,
    }
}

/// An account without limits that lets people in.
fn entry() -> Entry {
    Entry {
        password: SecretString::from("NEEDLE"),
        limit: None,
        days: None,
        created: Some("2026-03-01".parse().unwrap()),
        blocked: false,
        unlimited: false,
        note: String::new(),
        moved: (0, 0),
        online: 0,
    }
}

fn plan<const N: usize>(accounts: [(&str, Entry); N], matches: &str) -> Plan {
    let listed = accounts.map(|(name, entry)| (name.to_owned(), entry));
    map(&listed.into(), &Matches::read(matches).unwrap(), &circumstances())
}

fn fates(plan: &Plan) -> Vec<(&str, String)> {
    let fate = |account: &Account| match &account.fate {
        Fate::Person(person) => person.id.to_string(),
        Fate::Left => "left".to_owned(),
        Fate::Skipped(why) => why.clone(),
    };
    plan.accounts.iter().map(|it| (it.name.as_str(), fate(it))).collect()
}

/// The person that one account becomes.
fn one(entry: Entry) -> Person {
    let plan = plan([("corp_ab123456", entry)], "");
    plan.people().next().unwrap().clone()
}

fn until(entry: Entry) -> Option<String> {
    one(entry).terms.valid_until.map(|until| until.to_string())
}

#[test]
fn a_name_tells_the_id_and_a_line_says_it_where_it_does_not() {
    let accounts = [
        "corp_ab123456",
        "cd234567",
        "corp_old_token",
        "corpx_a_hb",
        "anna",
        "guest",
        "bob",
    ];
    let plan = plan(accounts.map(|name| (name, entry())), "anna,EF345678\nguest,\n");
    let fates = fates(&plan);
    let ids = fates
        .iter()
        .map(|(name, fate)| (*name, fate.split(':').next().unwrap()));
    let want = [
        ("anna", "EF345678"),
        ("bob", "its name tells no corporate ID"),
        ("cd234567", "CD234567"),
        ("corp_ab123456", "AB123456"),
        ("corp_old_token", "old_token"),
        ("corpx_a_hb", "a-b"),
        ("guest", "left"),
    ];
    assert_eq!(ids.collect::<Vec<_>>(), want);
}

#[test]
fn what_is_said_counts_before_what_the_name_tells() {
    let plan = plan([("corp_ab123456", entry())], "corp_ab123456,CD234567\n");
    assert_eq!(fates(&plan), [("corp_ab123456", "CD234567".to_owned())]);
    assert_eq!(
        plan.notes,
        ["corp_ab123456: CD234567 as the file of --match says, although its name tells AB123456"]
    );
}

#[test]
fn an_id_that_two_accounts_have_is_nobodys_until_it_is_said_whose() {
    let accounts = || [("ab123456", entry()), ("anna", entry()), ("corp_ab123456", entry())];
    let both = plan(accounts(), "anna,CD234567\n");
    let skipped: Vec<String> = fates(&both).into_iter().map(|(_, fate)| fate).collect();
    assert!(
        skipped[0].starts_with("AB123456 is also the corporate ID of corp_ab123456"),
        "{skipped:?}"
    );
    assert!(
        skipped[2].starts_with("AB123456 is also the corporate ID of ab123456"),
        "{skipped:?}"
    );
    let said = plan(accounts(), "ab123456,\nanna,CD234567\n");
    assert_eq!(said.people().count(), 2);
    assert_eq!(fates(&said)[0], ("ab123456", "left".to_owned()));
}

#[test]
fn limits_and_days_are_carried_over_exactly() {
    let with = |days| Entry {
        days: Some(days),
        ..entry()
    };
    // Thirty days from the first of March on: the panel refuses from the beginning of the 31st on, in its own zone.
    assert_eq!(until(with(30)).as_deref(), Some("2026-04-01T00:00:00Z"));
    assert_eq!(until(with(1)).as_deref(), Some("2026-03-03T00:00:00Z"));
    assert_eq!(until(entry()), None);
    assert_eq!(until(with(u32::MAX)), None);
    let never_used = Entry {
        created: None,
        ..with(30)
    };
    assert_eq!(until(never_used.clone()).as_deref(), Some("2026-04-15T00:00:00Z"));
    let plan = plan([("corp_ab123456", never_used)], "");
    assert!(
        plan.notes[0].contains("its 30 days were to count from the first byte on"),
        "{:?}",
        plan.notes
    );
    for bytes in [GB, 50 * GB, GB + GB / 2, 1_610_612_736, 1] {
        let person = one(Entry {
            limit: Some(bytes),
            ..entry()
        });
        let spec = person.spec(SecretSource::default());
        assert_eq!(spec.traffic.unwrap().limit.get(), bytes);
    }
    let unlimited = one(Entry {
        limit: Some(GB),
        unlimited: true,
        ..with(30)
    });
    assert_eq!(unlimited.terms, Terms::default());
}

#[test]
fn who_is_blocked_is_held_and_the_reason_says_what_else_kept_them_out() {
    assert!(one(entry()).holds.is_empty());
    let blocked = || Entry {
        blocked: true,
        ..entry()
    };
    let over = |days, limit| Entry {
        days,
        limit,
        moved: (1, 2),
        ..blocked()
    };
    for (entry, end) in [
        (blocked(), "blocked there"),
        (over(Some(30), Some(4)), "blocked there"),
        (over(Some(3), None), "with its days over"),
        (over(None, Some(3)), "with its traffic used up"),
        (over(Some(3), Some(3)), "with its days over and its traffic used up"),
    ] {
        let [hold] = &one(entry).holds[..] else { panic!() };
        assert_eq!(
            (hold.name.as_str(), hold.spec.source.as_str()),
            ("import-blocked-ab123456", "import")
        );
        let reason = hold.spec.reason.as_deref().unwrap();
        assert!(reason.ends_with(end), "{reason}");
    }
}

#[test]
fn names_and_passwords_that_cannot_be_kept_are_skipped() {
    let long = "a".repeat(300);
    for name in ["nl\n", "Anna", long.as_str(), "a-b"] {
        let with = |line: &str| plan([(name, entry())], &format!("{},{line}\n", name.trim_end()));
        let skipped = with("AB123456");
        let [(_, fate)] = &fates(&skipped)[..] else { panic!() };
        assert!(fate.starts_with("an account of the operator is"), "{name:?}: {fate}");
        assert_eq!(fates(&with(""))[0].1, "left");
    }
    for password in ["", "two\nlines", "sealed:x", &"x".repeat(5000)] {
        let plan = plan(
            [(
                "corp_ab123456",
                Entry {
                    password: password.into(),
                    ..entry()
                },
            )],
            "",
        );
        let [(_, fate)] = &fates(&plan)[..] else { panic!() };
        assert!(
            fate.contains("AB123456: the password ") && fate.contains("at the panel"),
            "{fate}"
        );
        assert!(password.len() < 3 || !fate.contains(password));
    }
    for password in ["--help", "p@ss:w/o?r#d %41", " пароль "] {
        assert_eq!(
            one(Entry {
                password: password.into(),
                ..entry()
            })
            .password
            .expose_secret(),
            password
        );
    }
}

#[test]
fn another_gateway_is_named() {
    let circumstances = Circumstances {
        gateway: Some("panel".to_owned()),
        ..circumstances()
    };
    let listed = BTreeMap::from([("corp_ab123456".to_owned(), entry())]);
    let plan = map(&listed, &Matches::default(), &circumstances);
    assert_eq!(
        plan.people().next().unwrap().terms.gateways,
        Some(vec!["panel".to_owned()])
    );
}

prop_compose! {
    fn any_entry()(
        limit in prop::option::of(1u64..1 << 50), days in prop::option::of(1u32..4000), created in prop::option::of(-4000i64..10),
        (blocked, unlimited) in any::<(bool, bool)>(), moved in any::<(u64, u64)>(),
    ) -> Entry {
        let day = |days: i64| day(circumstances().now).checked_add(Span::new().days(days)).unwrap();
        Entry { limit, days, created: created.map(day), blocked, unlimited, moved, ..entry() }
    }
}

proptest! {
    #[test]
    fn every_account_has_one_fate_and_no_two_people_meet(
        listed in prop::collection::btree_map("(corpx?_)?[aAbB]{1,2}[0-9]{0,6}\n?", any_entry(), 0..12),
    ) {
        let plan = map(&listed, &Matches::default(), &circumstances());
        let names: Vec<&String> = plan.accounts.iter().map(|account| &account.name).collect();
        prop_assert_eq!(names, listed.keys().collect::<Vec<_>>());
        let ids: HashSet<&CorporateId> = plan.people().map(|person| &person.id).collect();
        prop_assert_eq!(ids.len(), plan.people().count());
        for person in plan.people() {
            let entry = &listed[&person.username];
            // Who was out stays out, and nobody has less than before.
            prop_assert_eq!(entry.blocked, !person.holds.is_empty());
            let spec = person.spec(SecretSource { file: Some("imported/anna.sealed".to_owned()), ..SecretSource::default() });
            let errors = user_errors(Some(&person.id.object_name()), &spec, None);
            prop_assert!(errors.is_empty(), "{errors:?}");
        }
        let shown = format!("{plan:?}");
        prop_assert!(!shown.contains("NEEDLE"));
    }
}
