mod files;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures::future::join_all;
use tempfile::TempDir;

use super::{
    draw::{Draw, NoRandomness, SystemDraw},
    *,
};
use crate::{
    clock::ManualClock,
    desired::{
        Result as Claimed,
        id_claims::{IdClaims, SoleIssuer},
    },
};

struct House {
    registry: Registry,
    clock: Arc<ManualClock>,
    _dir: TempDir,
}

fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::at("2026-05-01T12:00:00Z".parse().unwrap());
    let registry = Registry::open_or_retry(&dir.path().join(REGISTRY_FILE), clock.clone()).unwrap();
    assert!(registry.last_error().is_none());
    House {
        registry,
        clock,
        _dir: dir,
    }
}

fn id(text: &str) -> CorporateId {
    CorporateId::parse(text).unwrap()
}

fn by(actor: &str) -> By {
    By {
        actor: actor.to_owned(),
        source: "api".to_owned(),
        reason: Some("because".to_owned()),
        request_id: Some("r1".to_owned()),
    }
}

fn new(text: &str, owner: &str) -> NewEntry {
    NewEntry {
        id: id(text),
        status: Status::Issued,
        owner: Owner {
            owner: Some(owner.to_owned()),
            email: Some("a@example.com".to_owned()),
            department: None,
        },
        request_key: None,
        action: "issue",
    }
}

impl House {
    async fn add(&self, text: &str, owner: &str) -> Entry {
        match self.registry.add(new(text, owner), by("anna")).await.unwrap() {
            Added::Entered(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    async fn step(&self, text: &str, step: Step) -> Result<Stepped, StepError> {
        self.registry.step(&id(text), step, by("bob")).await.unwrap().unwrap()
    }

    async fn found(&self, search: Search) -> Vec<String> {
        let found = self.registry.search(search, None, 100).await.unwrap();
        found.into_iter().map(|entry| entry.id.to_string()).collect()
    }

    async fn status(&self, text: &str) -> Status {
        self.registry.get(&id(text)).await.unwrap().unwrap().status
    }
}

#[tokio::test]
async fn an_id_goes_through_its_life_and_every_change_is_in_its_history() {
    let house = house();
    let issued = house.add("AB123456", "Anna").await;
    house.clock.advance(std::time::Duration::from_secs(60));
    house.step("ab123456", Step::Activate).await.unwrap();
    let twice = house.step("AB123456", Step::Activate).await.unwrap();
    assert!(!twice.is_change());
    house.step("AB123456", Step::Revoke).await.unwrap();
    assert!(matches!(
        house.step("AB123456", Step::Activate).await,
        Err(StepError::IsRevoked(_))
    ));
    house.step("AB123456", Step::Reinstate).await.unwrap();
    house.step("AB123456", Step::Revoke).await.unwrap();
    let archived = house.step("AB123456", Step::Archive).await.unwrap().entry;
    assert_eq!(
        (archived.status, archived.issued_at),
        (Status::Archived, issued.issued_at)
    );
    assert_eq!(archived.owner, issued.owner);
    assert!(archived.updated_at > issued.updated_at);
    assert!(matches!(
        house.step("AB123456", Step::Reinstate).await,
        Err(StepError::IsArchived(_))
    ));

    let changes = house.registry.changes(&id("ab123456"), 100).await.unwrap();
    let told: Vec<_> = changes
        .iter()
        .rev()
        .map(|change| {
            (
                change.action.as_str(),
                change.before.map(Status::as_str),
                change.after.map(Status::as_str),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("issue", None, Some("issued")),
            ("activate", Some("issued"), Some("active")),
            ("revoke", Some("active"), Some("revoked")),
            ("reinstate", Some("revoked"), Some("active")),
            ("revoke", Some("active"), Some("revoked")),
            ("archive", Some("revoked"), Some("archived")),
        ]
    );
    assert_eq!(changes[0].by, by("bob"));
    assert_eq!(
        house
            .registry
            .step(&id("EF123456"), Step::Revoke, by("x"))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn an_id_that_was_ever_there_is_never_entered_again() {
    let house = house();
    house.add("AB123456", "Anna").await;
    house.step("AB123456", Step::Revoke).await.unwrap();
    house.step("AB123456", Step::Archive).await.unwrap();
    assert_eq!(
        house.registry.add(new("ab123456", "Bob"), by("x")).await.unwrap(),
        Added::Taken
    );
    // The rule stands in the file as well.
    let store = &house.registry.store;
    for sql in [
        "DELETE FROM ids",
        "UPDATE ids SET key = 'ef123456'",
        "UPDATE ids SET status = 'active'",
    ] {
        assert!(store.write(|conn| conn.execute(sql, [])).await.is_err(), "{sql}");
    }
    assert_eq!(house.status("AB123456").await, Status::Archived);
}

#[tokio::test]
async fn a_request_enters_one_id_however_often_it_is_made() {
    let house = house();
    let keyed = |text: &str| NewEntry {
        request_key: Some("k1".to_owned()),
        ..new(text, "Anna")
    };
    let Added::Entered(first) = house.registry.add(keyed("AB123456"), by("x")).await.unwrap() else {
        panic!("it is new");
    };
    let again = house.registry.add(keyed("EF123456"), by("x")).await.unwrap();
    assert_eq!(again, Added::Before(first.clone()));
    assert_eq!(house.registry.of_request("k1").await.unwrap(), Some(first));
    assert_eq!(house.registry.get(&id("EF123456")).await.unwrap(), None);
}

/// Draws few IDs, over and over.
struct Few(AtomicUsize, usize);

impl Draw for Few {
    fn draw(&self) -> Result<CorporateId, NoRandomness> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) / 2 % self.1;
        Ok(id(&format!("AB{number:06}")))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_who_ask_at_once_no_two_get_the_same_id() {
    let house = house();
    let draw = Arc::new(Few(AtomicUsize::new(0), 100));
    let registrar = Registrar::new(house.registry.clone(), Arc::new(SoleIssuer), draw);
    let tasks = (0..64).map(|n| {
        let registrar = registrar.clone();
        tokio::spawn(async move {
            loop {
                let found = registrar.find(|id| id.as_str() == "AB000007").await.unwrap();
                let wanted = NewEntry {
                    id: found.clone(),
                    ..new("AB000000", &format!("person {n}"))
                };
                if let Added::Entered(entry) = registrar.registry().add(wanted, by("x")).await.unwrap() {
                    return entry.id;
                }
            }
        })
    });
    let mut ids: Vec<String> = join_all(tasks)
        .await
        .into_iter()
        .map(|id| id.unwrap().to_string())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 64);
    assert!(
        !ids.contains(&"AB000007".to_owned()),
        "one that is in use is not issued"
    );
    assert_eq!(house.found(Search::default()).await, ids);
}

/// Somebody else has claimed everything.
struct NothingLeft;

#[async_trait]
impl IdClaims for NothingLeft {
    async fn claim(&self, _: &CorporateId) -> Claimed<bool> {
        Ok(false)
    }
    async fn keep(&self, _: &[CorporateId]) -> Claimed<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_somebody_else_claimed_is_not_found() {
    let house = house();
    let registrar = Registrar::new(house.registry.clone(), Arc::new(NothingLeft), Arc::new(SystemDraw));
    assert!(matches!(registrar.find(|_| false).await, Err(FindError::NoneFree)));
    let registrar = Registrar::new(house.registry.clone(), Arc::new(SoleIssuer), Arc::new(SystemDraw));
    assert!(matches!(registrar.find(|_| true).await, Err(FindError::NoneFree)));
    assert!(registrar.find(|_| false).await.unwrap().is_standard());
}

#[tokio::test]
async fn ids_are_found_by_beginning_owner_and_status_page_by_page() {
    let house = house();
    for (text, owner) in [
        ("AB123456", "Анна Пример"),
        ("AB200000", "Bob"),
        ("EF123456", "Anna"),
        ("old_one", "Åsa"),
    ] {
        house.add(text, owner).await;
    }
    house.step("AB200000", Step::Revoke).await.unwrap();
    let prefix = |prefix: &str| Search {
        prefix: Some(prefix.to_owned()),
        ..Search::default()
    };
    let text = |text: &str| Search {
        text: Some(text.to_owned()),
        ..Search::default()
    };
    assert_eq!(house.found(prefix("Ab")).await, ["AB123456", "AB200000"]);
    assert_eq!(house.found(prefix("OLD_")).await, ["old_one"]);
    assert_eq!(house.found(prefix("%")).await, [""; 0]);
    assert_eq!(house.found(text("АННА")).await, ["AB123456"]);
    assert_eq!(house.found(text("åSA")).await, ["old_one"]);
    assert_eq!(house.found(text("A@EXAMPLE")).await.len(), 4);
    let revoked = Search {
        status: Some(Status::Revoked),
        ..prefix("ab")
    };
    assert_eq!(house.found(revoked).await, ["AB200000"]);
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = house.registry.search(Search::default(), after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.to_string());
        all.extend(page.iter().map(|entry| entry.id.to_string()));
    }
    assert_eq!(all, ["AB123456", "AB200000", "EF123456", "old_one"]);
    assert_eq!(house.registry.standard_ids().await.unwrap().len(), 3);
    let owners = house
        .registry
        .owners(vec![id("ab123456"), id("XX000000")])
        .await
        .unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!(owners[&id("AB123456")].owner.as_deref(), Some("Анна Пример"));
}

#[tokio::test]
async fn a_registry_that_cannot_be_opened_answers_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(REGISTRY_FILE);
    std::fs::write(
        &path,
        "this is no database, and long enough to be looked at as one".repeat(4),
    )
    .unwrap();
    let registry = Registry::open_or_retry(&path, Arc::new(crate::clock::SystemClock)).unwrap();
    assert!(registry.last_error().is_some());
    assert!(registry.get(&id("AB123456")).await.is_err());
    assert!(registry.add(new("AB123456", "Anna"), by("x")).await.is_err());
}
