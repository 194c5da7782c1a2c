//! The file with its rules: codes, uses, races, restarts, and a clock that is set back.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use tempfile::TempDir;

use super::{HANDOVER_FILE, Handover, Handovers, Made, NewHandover, Opened, Standing, Use, VISIT, Withdrawn};
use crate::{
    clock::{Clock as _, ManualClock},
    credentials::MasterKey,
    model::corporate_id::CorporateId,
};

struct World {
    dir: TempDir,
    clock: Arc<ManualClock>,
    links: Handovers,
}

fn id(text: &str) -> CorporateId {
    CorporateId::parse(text).unwrap()
}

fn open_file(dir: &TempDir, clock: &Arc<ManualClock>, key: u8) -> Handovers {
    let keys = MasterKey::from_bytes(SecretBox::new(Box::new([key; 32]))).handover_key();
    Handovers::open_or_retry(&dir.path().join(HANDOVER_FILE), keys, clock.clone()).unwrap()
}

fn hour() -> SignedDuration {
    SignedDuration::from_hours(1)
}

/// A row as the use cases make it, so far as it matters here.
fn told(what: &'static str) -> impl FnOnce(&Handover) -> String + Send + 'static {
    move |link: &Handover| format!("{what} {} {}", link.number, link.uses_left())
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2026-05-01T12:00:00Z".parse().unwrap());
        let links = open_file(&dir, &clock, 7);
        Self { dir, clock, links }
    }

    /// The process ends, and another one begins with this master key.
    fn restart(self, key: u8) -> Self {
        let Self { dir, clock, links } = self;
        drop(links);
        let links = open_file(&dir, &clock, key);
        Self { dir, clock, links }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn make(&self, uses: u32, request: Option<&str>) -> (Made, String) {
        let code = match request {
            Some(request) => self.links.code_of(&id("AB123456"), request),
            None => Handovers::draw().unwrap(),
        };
        let new = NewHandover {
            id: id("AB123456"),
            made_by: "anna".to_owned(),
            valid: hour(),
            uses,
            code: code.clone(),
            request: request.map(str::to_owned),
        };
        let made = self.links.make(new, told("made")).await.unwrap();
        (made, code.expose_secret().to_owned())
    }

    async fn open(&self, code: &str, visit: Option<&str>) -> Opened {
        self.links.open(code, visit, false, told("opened")).await.unwrap()
    }

    async fn uses(&self, code: &str, visit: Option<&str>) -> Use {
        match self.open(code, visit).await {
            Opened::Now(used) => used,
            other => panic!("it is not opened: {other:?}"),
        }
    }

    async fn rows(&self) -> Vec<String> {
        let waiting = self.links.outbox().waiting().await.unwrap();
        waiting.into_iter().map(|row| row.entry).collect()
    }
}

#[tokio::test]
async fn a_link_opens_as_often_as_it_was_made_for_and_each_time_is_announced() {
    let world = World::new();
    let (made, code) = world.make(2, None).await;
    assert_eq!((made.handover.uses, made.handover.used), (2, 0));
    assert_eq!(world.uses(&code, None).await.handover.uses_left(), 1);
    let world = world.restart(7);
    assert_eq!(world.uses(&code, None).await.handover.uses_left(), 0);
    assert_eq!(world.open(&code, None).await, Opened::Ended(Standing::UsedUp));
    assert_eq!(world.rows().await, ["made 1 2", "opened 1 1", "opened 1 0"]);
    let (found, standing) = world.links.find(&code).await.unwrap().unwrap();
    assert_eq!((found.opened_at, standing), (Some(world.now()), Standing::UsedUp));
}

#[tokio::test]
async fn nothing_in_the_file_opens_anything() {
    let world = World::new();
    let (_, code) = world.make(1, Some("a-request-of-somebody")).await;
    world.uses(&code, Some("what-the-browser-was-given")).await;
    let World { dir, links, .. } = world;
    drop(links);
    let mut files = 0;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        files += 1;
        for secret in [&*code, "a-request-of-somebody", "what-the-browser-was-given"] {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{secret}");
        }
    }
    assert!(files > 0);
}

#[tokio::test]
async fn another_code_and_another_master_key_open_nothing() {
    let world = World::new();
    let (_, code) = world.make(1, None).await;
    let other = Handovers::draw().unwrap();
    for wrong in [
        other.expose_secret(),
        "",
        "short",
        &code[1..],
        &code.to_uppercase(),
        &format!("{code}a"),
    ] {
        assert_eq!(world.open(wrong, None).await, Opened::Unknown, "{wrong}");
        assert!(world.links.find(wrong).await.unwrap().is_none(), "{wrong}");
    }
    let world = world.restart(8);
    assert_eq!(world.open(&code, None).await, Opened::Unknown);
    let world = world.restart(7);
    assert!(matches!(world.open(&code, None).await, Opened::Now(_)));
}

#[tokio::test]
async fn a_browser_that_asks_again_uses_nothing_up_for_ten_minutes_and_for_its_own_link_alone() {
    let world = World::new();
    let (_, code) = world.make(1, None).await;
    let used = world.uses(&code, Some("browser")).await;
    let again = Opened::Again {
        unaudited: Some(used.unaudited),
    };
    assert_eq!(world.open(&code, Some("browser")).await, again);
    world.links.outbox().done(used.unaudited).await.unwrap();
    let again = Opened::Again { unaudited: None };
    assert_eq!(world.open(&code, Some("browser")).await, again);
    let ended = Opened::Ended(Standing::UsedUp);
    assert_eq!(world.open(&code, Some("another browser")).await, ended);
    assert_eq!(world.open(&code, None).await, ended);
    let refused = world.links.open(&code, Some("browser"), true, told("opened"));
    assert_eq!(refused.await.unwrap(), Opened::Refused, "denied meanwhile");
    let (_, second) = world.make(1, None).await;
    world.uses(&second, Some("browser")).await;
    world
        .clock
        .advance(Duration::try_from(VISIT - SignedDuration::from_secs(1)).unwrap());
    assert_eq!(world.open(&code, Some("browser")).await, again);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.open(&code, Some("browser")).await, ended);
}

#[tokio::test]
async fn who_is_refused_uses_nothing_up() {
    let world = World::new();
    let (_, code) = world.make(1, None).await;
    let refused = world.links.open(&code, Some("browser"), true, told("opened"));
    assert_eq!(refused.await.unwrap(), Opened::Refused);
    assert_eq!(world.rows().await, ["made 1 1"]);
    assert_eq!(world.uses(&code, Some("browser")).await.handover.used, 1);
    let refused = world.links.open(&code, None, true, told("opened"));
    assert_eq!(refused.await.unwrap(), Opened::Ended(Standing::UsedUp));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_open_at_once_as_many_get_it_as_there_are_uses() {
    let world = World::new();
    let (_, code) = world.make(3, None).await;
    let mut opening = tokio::task::JoinSet::new();
    for number in 0..24 {
        let (links, code) = (world.links.clone(), code.clone());
        // Every browser asks twice.
        let visit = format!("browser {}", number / 2);
        opening.spawn(async move { links.open(&code, Some(&visit), false, told("opened")).await.unwrap() });
    }
    let outcomes = opening.join_all().await;
    let count = |is: fn(&Opened) -> bool| outcomes.iter().filter(|outcome| is(outcome)).count();
    assert_eq!(count(|outcome| matches!(outcome, Opened::Now(_))), 3, "{outcomes:?}");
    assert_eq!(
        count(|outcome| matches!(outcome, Opened::Again { .. })),
        3,
        "{outcomes:?}"
    );
    assert_eq!(world.links.find(&code).await.unwrap().unwrap().0.used, 3);
    assert_eq!(world.rows().await.len(), 4);
}

#[tokio::test]
async fn a_use_that_is_not_in_the_audit_is_given_back_and_one_that_is_stays() {
    let world = World::new();
    let (_, code) = world.make(2, None).await;
    let first = world.uses(&code, Some("first")).await;
    world.clock.advance(Duration::from_secs(60));
    let second = world.uses(&code, Some("second")).await;
    assert!(world.links.give_back(second.clone()).await.unwrap());
    let (link, _) = world.links.find(&code).await.unwrap().unwrap();
    assert_eq!((link.used, link.opened_at), (1, first.handover.opened_at));
    assert!(!world.links.give_back(second).await.unwrap(), "once");
    assert_eq!(world.rows().await, ["made 1 2", "opened 1 1"]);
    world.links.outbox().done(first.unaudited).await.unwrap();
    assert!(!world.links.give_back(first).await.unwrap(), "it is in the audit");
    // Whoever was given nothing opens it anew.
    assert!(matches!(world.open(&code, Some("second")).await, Opened::Now(_)));
}

#[tokio::test]
async fn a_link_that_nobody_was_told_of_can_be_unmade() {
    let world = World::new();
    let (made, code) = world.make(1, Some("request")).await;
    let number = made.handover.number;
    assert!(world.links.unmake(number, made.unaudited.unwrap()).await.unwrap());
    assert_eq!(world.open(&code, None).await, Opened::Unknown);
    assert_eq!(world.rows().await, [""; 0]);
    let (again, same) = world.make(1, Some("request")).await;
    assert!(same == code && again.handover.number > number, "{again:?}");
    world.links.outbox().done(again.unaudited.unwrap()).await.unwrap();
    let unmade = world.links.unmake(again.handover.number, again.unaudited.unwrap());
    assert!(!unmade.await.unwrap(), "it is in the audit");
    assert!(matches!(world.open(&code, None).await, Opened::Now(_)));
}

#[tokio::test]
async fn a_request_makes_one_link_and_none_good_again_that_was_opened_or_withdrawn() {
    let world = World::new();
    let (first, code) = world.make(1, Some("request")).await;
    let (second, same) = world.make(5, Some("request")).await;
    assert_eq!((second.handover, same), (first.handover.clone(), code.clone()));
    assert_eq!(second.unaudited, None);
    world.uses(&code, None).await;
    let world = world.restart(7);
    world.clock.advance(Duration::from_secs(2 * 3600));
    let (third, _) = world.make(1, Some("request")).await;
    assert_eq!(third.handover.number, first.handover.number);
    assert_eq!(world.open(&code, None).await, Opened::Ended(Standing::UsedUp));
    let (other, another) = world.make(1, Some("another request")).await;
    assert!(other.handover.number > first.handover.number && another != code);
    let of_other = world.links.code_of(&id("CD123456"), "request");
    assert_ne!(of_other.expose_secret(), code);
}

#[tokio::test]
async fn what_is_withdrawn_opens_nothing_and_what_is_over_is_not_listed() {
    let world = World::new();
    let (first, code) = world.make(2, None).await;
    let (second, _) = world.make(1, None).await;
    let (third, used_up) = world.make(1, None).await;
    world.uses(&used_up, None).await;
    world.uses(&code, Some("browser")).await;
    let listed = async |links: &Handovers, id: &CorporateId| {
        let open = links.open_of(id).await.unwrap();
        open.into_iter().map(|link| link.number).collect::<Vec<_>>()
    };
    let anna = id("ab123456");
    let (one, two) = (first.handover.number, second.handover.number);
    assert_eq!(listed(&world.links, &anna).await, [two, one]);
    assert_eq!(listed(&world.links, &id("CD123456")).await, [0; 0]);
    let withdraw = |id: &str, number| {
        let (links, id) = (world.links.clone(), self::id(id));
        async move { links.withdraw(&id, number, told("withdrawn")).await.unwrap() }
    };
    assert_eq!(withdraw("CD123456", one).await, Withdrawn::Unknown, "of somebody else");
    assert_eq!(withdraw("AB123456", 99).await, Withdrawn::Unknown);
    assert!(matches!(withdraw("AB123456", one).await, Withdrawn::Now { .. }));
    assert_eq!(withdraw("AB123456", one).await, Withdrawn::Before);
    for visit in [None, Some("browser")] {
        assert_eq!(world.open(&code, visit).await, Opened::Ended(Standing::Withdrawn));
    }
    assert_eq!(world.rows().await.last().unwrap(), &format!("withdrawn {one} 1"));
    assert!(matches!(
        withdraw("AB123456", third.handover.number).await,
        Withdrawn::Now { .. }
    ));
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(listed(&world.links, &anna).await, [0; 0]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_link_good_for_longer() {
    let world = World::new();
    let (_, code) = world.make(1, None).await;
    world.clock.step_wall(world.now() - SignedDuration::from_hours(24 * 30));
    assert_eq!(world.open(&code, None).await, Opened::Ended(Standing::Expired));
    assert!(world.links.open_of(&id("AB123456")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_person_is_forgotten_with_everything_that_says_who_they_are() {
    let world = World::new();
    let (_, code) = world.make(1, None).await;
    world.uses(&code, Some("browser")).await;
    world.links.forget(&id("ab123456")).await.unwrap();
    assert_eq!(world.open(&code, Some("browser")).await, Opened::Unknown);
    world.links.scrub().await.unwrap();
    let World { dir, links, .. } = world;
    drop(links);
    let bytes = std::fs::read(dir.path().join(HANDOVER_FILE)).unwrap();
    assert!(!bytes.windows(4).any(|window| window == b"anna"));
}

#[test]
fn codes_are_drawn_anew_each_time() {
    let drawn: std::collections::HashSet<String> = (0..100)
        .map(|_| Handovers::draw().unwrap())
        .map(|code: SecretString| code.expose_secret().to_owned())
        .collect();
    assert_eq!(drawn.len(), 100);
}
