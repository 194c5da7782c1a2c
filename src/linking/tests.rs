//! The file with its rules: attacks, races, restarts, and a file that was put back.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use tempfile::TempDir;

use super::{
    Asked, CODE_VALID, LINKING_FILE, Linking, Outcome, Request, Tried, Try, What,
    limits::Limits,
    watch::{Facts, Quota},
};
use crate::{
    clock::{Clock as _, ManualClock},
    credentials::MasterKey,
    model::corporate_id::CorporateId,
};

const CODE: &str = "12345678";
const WRONG: &str = "87654321";

struct World {
    dir: TempDir,
    clock: Arc<ManualClock>,
    linking: Linking,
}

fn id(text: &str) -> CorporateId {
    CorporateId::parse(text).unwrap()
}

fn code(text: &str) -> SecretString {
    SecretString::from(text)
}

fn open(dir: &TempDir, clock: &Arc<ManualClock>) -> Linking {
    let keys = MasterKey::from_bytes(SecretBox::new(Box::new([7; 32]))).link_code_key();
    let path = dir.path().join(LINKING_FILE);
    Linking::open_or_retry(&path, keys, Limits::default(), clock.clone()).unwrap()
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2026-05-01T12:00:00Z".parse().unwrap());
        let linking = open(&dir, &clock);
        Self { dir, clock, linking }
    }

    /// The process ends, and another one begins.
    fn restart(self) -> Self {
        let Self { dir, clock, linking } = self;
        drop(linking);
        let linking = open(&dir, &clock);
        Self { dir, clock, linking }
    }

    async fn ask(&self, account: i64, person: &str, text: &str) -> Asked {
        let request = Request {
            account,
            id: id(person),
            chat: account,
            language: "en".to_owned(),
            at: Timestamp::MIN,
        };
        self.linking.ask(request, code(text)).await.unwrap()
    }

    async fn tries(&self, account: i64, chat: i64, text: &str, refused: bool) -> Tried {
        let tried = Try {
            account,
            chat,
            code: super::code::read(text),
            request: self.linking.request_of(account).await.unwrap(),
            refused,
            declared: None,
            granted: true,
            rows: Arc::new(|_| vec!["row".to_owned()]),
        };
        self.linking.attempt(tried).await.unwrap()
    }

    async fn attempt(&self, account: i64, text: &str) -> Tried {
        self.tries(account, account, text, false).await
    }

    async fn link(&self, account: i64, person: &str) {
        assert_eq!(self.ask(account, person, CODE).await, Asked::Made);
        let tried = self.attempt(account, CODE).await;
        assert!(matches!(tried, Tried::Linked { .. }), "{tried:?}");
    }

    async fn linked(&self, person: &str) -> Option<i64> {
        self.linking
            .of_person(&id(person))
            .await
            .unwrap()
            .map(|link| link.account)
    }

    async fn told(&self) -> Vec<&'static str> {
        let notices = self.linking.hand_out(100).await.unwrap();
        for notice in &notices {
            self.linking.done(notice.id, Outcome::Told).await.unwrap();
        }
        notices.iter().map(|notice| notice.what.word()).collect()
    }

    async fn see(&self, person: &str, granted: bool) {
        let facts = Facts {
            granted,
            reason: "Held".to_owned(),
            valid_until: None,
            quota: None,
        };
        self.linking.observe(vec![(id(person), facts)], false).await.unwrap();
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn is_locked(tried: &Tried) -> bool {
    matches!(tried, Tried::Locked { .. })
}

#[tokio::test]
async fn a_code_links_once_and_in_its_chat_alone() {
    let world = World::new();
    assert_eq!(world.attempt(1, CODE).await, Tried::Wrong, "nobody asked");
    world.ask(1, "AB123456", CODE).await;
    assert_eq!(world.tries(1, 99, CODE, false).await, Tried::Wrong, "another chat");
    assert_eq!(world.attempt(2, CODE).await, Tried::Wrong, "another account");
    let linked = world.attempt(1, "1234-5678").await;
    let Tried::Linked {
        link,
        former,
        unaudited,
    } = linked
    else {
        panic!("{linked:?}")
    };
    assert_eq!((link.account, link.id, former.account), (1, id("AB123456"), None));
    assert_eq!(world.linking.outbox().waiting().await.unwrap()[0].number, unaudited[0]);
    assert_eq!(world.attempt(1, CODE).await, Tried::Wrong, "it is used up");
    world.ask(3, "AB123456", WRONG).await;
    assert_eq!(world.attempt(3, CODE).await, Tried::Wrong, "also for whoever asks anew");
    assert_eq!(world.linked("ab123456").await, Some(1));
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes() {
    let world = World::new();
    world.ask(1, "AB123456", CODE).await;
    world.pass(CODE_VALID.as_secs().unsigned_abs() - 1);
    let tried = world.attempt(1, CODE).await;
    assert!(matches!(tried, Tried::Linked { .. }), "{tried:?}");
    world.ask(2, "CD123456", CODE).await;
    world.pass(CODE_VALID.as_secs().unsigned_abs());
    assert_eq!(world.attempt(2, CODE).await, Tried::Wrong);
}

#[tokio::test]
async fn many_accounts_have_five_tries_at_one_id_between_them() {
    let world = World::new();
    let mut looked_at = 0;
    for account in 1..40 {
        // Each asks as often as it may; the ID has three requests in ten minutes.
        if world.ask(account, "AB123456", CODE).await == Asked::Made && !is_locked(&world.attempt(account, WRONG).await)
        {
            looked_at += 1;
        }
        world.pass(30);
    }
    assert!(
        looked_at <= 4,
        "{looked_at} wrong codes were answered otherwise than by a lock"
    );
    // Also the right code is not looked at while the ID is locked, and what locked it is not forgotten.
    let world = world.restart();
    assert!(matches!(world.ask(50, "AB123456", CODE).await, Asked::Locked(_)));
}

#[tokio::test]
async fn one_account_has_five_tries_at_all_ids_together_and_a_link_of_its_own_takes_none_back() {
    let world = World::new();
    for person in ["AB123456", "CD123456", "EF123456"] {
        world.ask(1, person, CODE).await;
        assert_eq!(world.attempt(1, WRONG).await, Tried::Wrong);
        world.pass(250);
    }
    // Its own ID, with the right code.
    world.link(1, "GH123456").await;
    world.pass(250);
    world.ask(1, "JK123456", CODE).await;
    assert_eq!(world.attempt(1, WRONG).await, Tried::Wrong);
    assert!(is_locked(&world.attempt(1, WRONG).await), "the fifth");
    let world = world.restart();
    assert!(
        is_locked(&world.attempt(1, CODE).await),
        "the lock outlives a restart, and the right code"
    );
    assert!(matches!(world.ask(1, "LM123456", CODE).await, Asked::Locked(_)));
    world.pass(30 * 60);
    assert_eq!(world.attempt(1, WRONG).await, Tried::Wrong);
}

#[tokio::test]
async fn a_text_that_cannot_be_a_code_counts_as_a_wrong_one() {
    let world = World::new();
    world.ask(1, "AB123456", CODE).await;
    for _ in 0..4 {
        assert_eq!(world.attempt(1, "what is a code?").await, Tried::Wrong);
    }
    assert!(is_locked(&world.attempt(1, "").await));
    assert!(is_locked(&world.attempt(1, CODE).await));
}

#[tokio::test]
async fn no_mailbox_is_flooded_by_one_account_or_by_many() {
    let world = World::new();
    let mut made = 0;
    for account in 1..20 {
        made += u32::from(world.ask(account, "AB123456", CODE).await == Asked::Made);
    }
    assert_eq!(made, 3, "of one ID");
    let mut made = 0;
    for number in 0..20 {
        made += u32::from(world.ask(100, &format!("CD00000{number}"), CODE).await == Asked::Made);
    }
    assert_eq!(made, 3, "by one account");
    world.pass(600);
    assert_eq!(world.ask(100, "AB123456", CODE).await, Asked::Made);
}

#[tokio::test]
async fn of_two_accounts_that_race_for_one_id_the_later_one_has_it_and_the_other_is_told() {
    let world = World::new();
    world.ask(1, "AB123456", "11111111").await;
    world.ask(2, "AB123456", "22222222").await;
    let (one, other) = tokio::join!(world.attempt(1, "11111111"), world.attempt(2, "22222222"));
    assert!(matches!(one, Tried::Linked { .. }) && matches!(other, Tried::Linked { .. }));
    let has = world.linked("AB123456").await.unwrap();
    let links = world.linking.all().await.unwrap();
    assert_eq!(links.len(), 1, "one to one: {links:?}");
    let notices = world.linking.hand_out(10).await.unwrap();
    let told: Vec<_> = notices
        .iter()
        .map(|notice| (notice.account, notice.what.clone()))
        .collect();
    assert_eq!(told, [(Some(3 - has), What::Replaced)]);
}

#[tokio::test]
async fn one_code_that_is_sent_ten_times_at_once_links_once() {
    let world = World::new();
    world.ask(1, "AB123456", CODE).await;
    let all = futures::future::join_all((0..10).map(|_| world.attempt(1, CODE))).await;
    let linked = all.iter().filter(|tried| matches!(tried, Tried::Linked { .. })).count();
    assert_eq!(linked, 1, "{all:?}");
}

#[tokio::test]
async fn an_account_that_links_another_id_is_moved() {
    let world = World::new();
    world.link(1, "AB123456").await;
    world.ask(1, "CD123456", CODE).await;
    let tried = world.attempt(1, CODE).await;
    let Tried::Linked { former, .. } = tried else {
        panic!("{tried:?}")
    };
    assert_eq!(former.id, Some(id("AB123456")));
    assert_eq!(
        (world.linked("AB123456").await, world.linked("CD123456").await),
        (None, Some(1))
    );
    assert_eq!(world.told().await, [""; 0], "they did it themselves");
}

#[tokio::test]
async fn somebody_who_is_refused_uses_the_code_up_and_is_not_linked() {
    let world = World::new();
    world.ask(1, "AB123456", CODE).await;
    assert_eq!(
        world.tries(1, 1, WRONG, true).await,
        Tried::Wrong,
        "before the right code nothing is told"
    );
    assert_eq!(world.tries(1, 1, CODE, true).await, Tried::Refused);
    assert_eq!(world.attempt(1, CODE).await, Tried::Wrong);
    assert_eq!(world.linked("AB123456").await, None);
}

#[tokio::test]
async fn a_code_that_is_given_out_is_for_the_first_chat_that_asks() {
    let world = World::new();
    let give = async |person: &str| {
        let valid = SignedDuration::from_mins(60);
        world.linking.give_out(&id(person), code(CODE), valid).await.unwrap()
    };
    // Nobody asked yet: the first who does.
    give("AB123456").await;
    world.ask(1, "AB123456", WRONG).await;
    world.pass(1);
    world.ask(2, "AB123456", WRONG).await;
    assert_eq!(world.attempt(2, CODE).await, Tried::Wrong, "who came later");
    assert!(matches!(world.attempt(1, CODE).await, Tried::Linked { .. }));
    // Somebody asked: they have it, whoever comes later.
    world.ask(3, "CD123456", WRONG).await;
    world.pass(1);
    give("CD123456").await;
    world.ask(4, "CD123456", WRONG).await;
    assert_eq!(world.attempt(4, CODE).await, Tried::Wrong);
    world.pass(30 * 60);
    assert!(
        matches!(world.attempt(3, CODE).await, Tried::Linked { .. }),
        "it is good for an hour"
    );
    // A later one is in the place of the one before, and of another person it is none.
    world.pass(600);
    give("EF123456").await;
    world
        .linking
        .give_out(&id("EF123456"), code("00000000"), CODE_VALID)
        .await
        .unwrap();
    world.ask(5, "EF123456", WRONG).await;
    assert_eq!(world.attempt(5, CODE).await, Tried::Wrong);
    world.ask(6, "GH123456", WRONG).await;
    assert_eq!(world.attempt(6, "00000000").await, Tried::Wrong);
    assert!(matches!(world.attempt(5, "00000000").await, Tried::Linked { .. }));
}

#[tokio::test]
async fn a_request_for_a_code_has_the_same_one_each_time_and_makes_no_used_one_good_again() {
    let world = World::new();
    let person = id("AB123456");
    let given = |linking: &Linking, request: &str| linking.code_of(&person, request).unwrap();
    let (first, second) = (given(&world.linking, "telegram-1"), given(&world.linking, "telegram-2"));
    assert_ne!(first.expose_secret(), second.expose_secret());
    assert_eq!(world.linking.given_out(&person, "telegram-1").await.unwrap(), None);
    let give = async |world: &World, code: &SecretString, request: &str| {
        let made = world.linking.give_out_once(&person, code.clone(), CODE_VALID, request);
        made.await.unwrap()
    };
    world.ask(1, "AB123456", WRONG).await;
    let until = give(&world, &first, "telegram-1").await;
    world.pass(60);
    let world = world.restart();
    assert_eq!(
        given(&world.linking, "telegram-1").expose_secret(),
        first.expose_secret()
    );
    assert_eq!(
        give(&world, &first, "telegram-1").await,
        until,
        "it is good no longer for it"
    );
    assert!(matches!(
        world.attempt(1, first.expose_secret()).await,
        Tried::Linked { .. }
    ));
    // The same request again: the code stays used.
    assert_eq!(give(&world, &first, "telegram-1").await, until);
    assert_eq!(
        world.linking.given_out(&person, "telegram-1").await.unwrap(),
        Some(until)
    );
    world.ask(2, "AB123456", WRONG).await;
    assert_eq!(world.attempt(2, first.expose_secret()).await, Tried::Wrong);
    // And one that another request took the place of stays replaced.
    give(&world, &second, "telegram-2").await;
    give(&world, &given(&world.linking, "telegram-3"), "telegram-3").await;
    give(&world, &second, "telegram-2").await;
    assert_eq!(world.attempt(2, second.expose_secret()).await, Tried::Wrong);
    world.linking.forget(&person).await.unwrap();
    assert_eq!(world.linking.given_out(&person, "telegram-1").await.unwrap(), None);
}

#[tokio::test]
async fn a_clock_that_is_set_back_draws_out_no_code_and_one_that_is_set_forward_ends_it() {
    let world = World::new();
    world.ask(1, "AB123456", CODE).await;
    let start = world.clock.now();
    world
        .clock
        .step_wall(start.checked_sub(SignedDuration::from_hours(1)).unwrap());
    assert_eq!(world.attempt(1, CODE).await, Tried::Wrong);
    world.clock.step_wall(start);
    assert_eq!(
        world.attempt(1, CODE).await,
        Tried::Wrong,
        "it is not good again either"
    );
    world.ask(2, "CD123456", CODE).await;
    world
        .clock
        .step_wall(start.checked_add(SignedDuration::from_hours(1)).unwrap());
    assert_eq!(world.attempt(2, CODE).await, Tried::Wrong);
}

#[tokio::test]
async fn a_file_that_is_put_back_after_a_day_has_no_code_that_is_good() {
    let world = World::new();
    world.ask(1, "AB123456", CODE).await;
    let valid = SignedDuration::from_mins(60);
    world
        .linking
        .give_out(&id("AB123456"), code("00000000"), valid)
        .await
        .unwrap();
    let copy = world.dir.path().join("copy");
    world.linking.store.backup_to(&copy).await.unwrap();
    assert!(matches!(world.attempt(1, CODE).await, Tried::Linked { .. }));
    let World { dir, clock, linking } = world;
    drop(linking);
    std::fs::copy(&copy, dir.path().join(LINKING_FILE)).unwrap();
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.path().join(format!("{LINKING_FILE}{beside}")));
    }
    clock.advance(Duration::from_secs(24 * 3600));
    let world = World {
        linking: open(&dir, &clock),
        dir,
        clock,
    };
    for old in [CODE, "00000000"] {
        assert_eq!(world.attempt(1, old).await, Tried::Wrong);
    }
    assert_eq!(world.linked("AB123456").await, None);
}

#[tokio::test]
async fn what_comes_undone_before_anybody_heard_of_it_is_not_told() {
    let world = World::new();
    world.link(1, "AB123456").await;
    world.see("AB123456", true).await;
    world.see("AB123456", false).await;
    assert_eq!(world.told().await, [""; 0], "it may come undone");
    world.pass(1);
    world.see("AB123456", true).await;
    world.pass(10);
    assert_eq!(world.told().await, [""; 0]);
    world.see("AB123456", false).await;
    world.pass(6);
    assert_eq!(world.told().await, ["suspended"]);
    world.see("AB123456", true).await;
    world.pass(6);
    assert_eq!(world.told().await, ["restored"]);
}

#[tokio::test]
async fn a_notice_is_made_once_and_waits_over_restarts_but_not_longer_than_it_is_true() {
    let world = World::new();
    world.link(1, "AB123456").await;
    world.see("AB123456", true).await;
    world.see("AB123456", false).await;
    let world = world.restart();
    world.see("AB123456", false).await;
    world.pass(6);
    let notices = world.linking.hand_out(10).await.unwrap();
    assert_eq!(notices.len(), 1);
    let world = world.restart();
    assert_eq!(
        world.linking.hand_out(10).await.unwrap(),
        notices,
        "nobody said that it is done"
    );
    assert!(world.linking.done(notices[0].id, Outcome::Told).await.unwrap());
    assert!(
        !world.linking.done(notices[0].id, Outcome::Late).await.unwrap(),
        "what was said first stays"
    );
    assert_eq!(world.told().await, [""; 0]);
    world.see("AB123456", true).await;
    world.pass(2 * 3600);
    assert_eq!(world.told().await, [""; 0], "late by hours");
}

#[tokio::test]
async fn what_was_handed_out_is_not_taken_back() {
    let world = World::new();
    world.link(1, "AB123456").await;
    world.see("AB123456", true).await;
    world.see("AB123456", false).await;
    world.pass(6);
    let handed = world.linking.hand_out(10).await.unwrap();
    world.see("AB123456", true).await;
    world.pass(6);
    let words: Vec<_> = world.linking.hand_out(10).await.unwrap();
    let words: Vec<_> = words.iter().map(|notice| notice.what.word()).collect();
    assert_eq!(
        (handed.len(), words),
        (1, vec!["suspended", "restored"]),
        "whoever has it may be telling it"
    );
}

#[tokio::test]
async fn the_end_and_the_traffic_are_told_once_each() {
    let world = World::new();
    world.link(1, "AB123456").await;
    let start = world.clock.now();
    let end = start.checked_add(SignedDuration::from_hours(24 * 7)).unwrap();
    let see = async |used: u64| {
        let facts = Facts {
            granted: true,
            reason: "Granted".to_owned(),
            valid_until: Some(end),
            quota: Some(Quota {
                used,
                limit: 100,
                since: None,
                resets_at: None,
            }),
        };
        let seen = world
            .linking
            .observe(vec![(id("AB123456"), facts)], false)
            .await
            .unwrap();
        seen.next["ab123456"]
    };
    let next = see(10).await;
    assert_eq!(next, Some(end.checked_sub(SignedDuration::from_hours(24)).unwrap()));
    see(81).await;
    see(85).await;
    assert_eq!(world.told().await, ["expiring", "quota"]);
    see(97).await;
    assert_eq!(world.told().await, ["quota"]);
    world.pass(6 * 24 * 3600 + 60);
    assert_eq!(see(97).await, None);
    assert_eq!(world.told().await, ["expiring"]);
}

#[tokio::test]
async fn whoever_is_not_linked_any_more_hears_no_more_of_the_person() {
    let world = World::new();
    world.link(1, "AB123456").await;
    world.see("AB123456", true).await;
    world.see("AB123456", false).await;
    world.link(2, "AB123456").await;
    world.pass(6);
    assert_eq!(world.told().await, ["replaced"]);
    let link = world.linking.of_account(2).await.unwrap().unwrap();
    assert!(
        world
            .linking
            .unlink(link.clone(), "row".to_owned(), true)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        world
            .linking
            .unlink(link, "row".to_owned(), true)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(world.told().await, ["unlinked"]);
}

#[tokio::test]
async fn a_file_in_which_rows_wait_as_in_the_first_versions_is_used_as_it_is() {
    let World { dir, clock, linking } = World::new();
    drop(linking);
    let file = Connection::open(dir.path().join(LINKING_FILE)).unwrap();
    let before = "DROP TABLE unaudited;
        CREATE TABLE unaudited (number INTEGER PRIMARY KEY, entry TEXT NOT NULL) STRICT;
        INSERT INTO unaudited VALUES (3, 'of before');";
    file.execute_batch(before).unwrap();
    drop(file);
    let linking = open(&dir, &clock);
    let world = World { dir, clock, linking };
    world.link(1, "AB123456").await;
    let waiting = world.linking.outbox().waiting().await.unwrap();
    assert_eq!((waiting[0].number, waiting[0].entry.as_str()), (3, "of before"));
    assert_eq!(waiting[1].number, 4);
}

#[tokio::test]
async fn of_a_person_who_is_forgotten_nothing_is_left() {
    let world = World::new();
    world.link(1, "AB123456").await;
    world.see("AB123456", true).await;
    world.see("AB123456", false).await;
    world.ask(2, "AB123456", CODE).await;
    assert_eq!(world.linking.forget(&id("AB123456")).await.unwrap(), Some(1));
    let left: i64 = world
        .linking
        .store
        .read(|conn| {
            let mut left = 0;
            for table in ["links", "requests", "codes", "notices"] {
                left += conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))?;
            }
            left += conn.query_row(
                "SELECT count(*) FROM counts WHERE subject LIKE '%ab123456%'",
                [],
                |row| row.get::<_, i64>(0),
            )?;
            Ok(left)
        })
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn links_of_the_former_service_are_taken_over_once_and_do_not_come_back() {
    let world = World::new();
    world.link(5, "EF123456").await;
    let former = |account, person: &str| super::ImportedLink {
        account,
        id: id(person),
        linked_at: None,
    };
    let all = vec![
        former(1, "AB123456"),
        former(2, "CD123456"),
        former(5, "GH123456"),
        former(6, "EF123456"),
    ];
    let done = world
        .linking
        .take_over(all.clone(), |_| "row".to_owned())
        .await
        .unwrap();
    assert_eq!(done.links.len(), 2);
    assert_eq!(
        done.left_out,
        [id("GH123456"), id("EF123456")],
        "what people did here counts"
    );
    let link = world.linking.of_account(1).await.unwrap().unwrap();
    assert_eq!(link.chat, 1);
    world.linking.unlink(link, "row".to_owned(), false).await.unwrap();
    let again = world.linking.take_over(all, |_| "row".to_owned()).await.unwrap();
    assert_eq!(again, super::TakenOver::default());
    assert_eq!(world.linked("AB123456").await, None);
}
