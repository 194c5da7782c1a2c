//! A folder of YAML as the source: what people do to it, and what the operator makes of it.

mod damaged;
mod hr;
mod seen;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use kube::{Resource, ResourceExt as _};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vpn_operator::{
    clock::SystemClock,
    desired::{
        DesiredError, DesiredState, Event, Events, FieldManager, HoldNotes, UserPatch, Watches,
        folder::{FolderOptions, FolderSource, check},
    },
    model::{
        FINALIZER, ORDERED_BY,
        corporate_id::CorporateId,
        hold::{VpnHold, VpnHoldSpec},
        hr::HrMarksPatch,
        user::{VpnUser, VpnUserSpec, VpnUserStatus},
    },
};

const PATIENCE: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A folder and a data folder that outlive the sources on them.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("vpn")).unwrap();
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("vpn")
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root().join(file)
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Replaces a file in one step, as editors and Git do.
    fn swap(&self, file: &str, text: &str) {
        let aside = self.path(".aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.path(file)).unwrap();
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    async fn open(&self) -> House {
        self.open_with(|_| ()).await
    }

    async fn open_with(&self, change: impl FnOnce(&mut FolderOptions)) -> House {
        let mut options = FolderOptions {
            root: self.root(),
            data_dir: self.dir.path().join("data"),
            last_known_max_age: DAY,
            clock: Arc::new(SystemClock),
            rescan_interval: Duration::from_secs(30),
        };
        change(&mut options);
        House::start(options).await
    }
}

/// Every object of one kind as the events tell it.
struct Seen<K> {
    events: Events<K>,
    now: BTreeMap<String, K>,
    /// Events since the first load.
    count: usize,
}

impl<K: Resource<DynamicType = ()>> Seen<K> {
    async fn load(mut events: Events<K>) -> Self {
        let mut now = BTreeMap::new();
        assert!(matches!(events.next().await, Some(Event::Init)));
        loop {
            match tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap() {
                Event::InitApply(object) => {
                    let name = object.name_any();
                    assert!(now.insert(name.clone(), object).is_none(), "{name} was loaded twice");
                }
                Event::InitDone => break,
                _ => panic!("a change in the middle of the first load"),
            }
        }
        Self { events, now, count: 0 }
    }

    async fn next(&mut self) {
        match tokio::time::timeout(PATIENCE, self.events.next())
            .await
            .expect("no event came")
            .unwrap()
        {
            Event::Apply(object) => drop(self.now.insert(object.name_any(), object)),
            Event::Delete(object) => drop(self.now.remove(&object.name_any())),
            _ => panic!("a second first load"),
        }
        self.count += 1;
    }

    async fn until(&mut self, what: impl Fn(&BTreeMap<String, K>) -> bool) {
        while !what(&self.now) {
            self.next().await;
        }
    }

    /// Takes what is there already.
    fn drain(&mut self) {
        while let Some(Some(event)) = futures::FutureExt::now_or_never(self.events.next()) {
            match event {
                Event::Apply(object) => drop(self.now.insert(object.name_any(), object)),
                Event::Delete(object) => drop(self.now.remove(&object.name_any())),
                _ => panic!("a second first load"),
            }
            self.count += 1;
        }
    }
}

/// A running source.
struct House {
    source: Arc<FolderSource>,
    users: Seen<VpnUser>,
    holds: Seen<VpnHold>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl House {
    async fn start(options: FolderOptions) -> Self {
        let source = FolderSource::open(options).unwrap();
        let Watches { users, holds, .. } = source.watch();
        let cancel = CancellationToken::new();
        let (watched, token) = (source.clone(), cancel.clone());
        let task = tokio::spawn(async move { watched.run(token).await.unwrap() });
        Self {
            users: Seen::load(users).await,
            holds: Seen::load(holds).await,
            source,
            cancel,
            task,
        }
    }

    /// Stops in order; what was given to the record is on disk.
    async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
        tokio::task::spawn_blocking(move || drop(self.source)).await.unwrap();
    }

    /// Anna orders a hold by the API.
    async fn order(&self, name: &str, number: usize) -> Result<VpnHold, DesiredError> {
        let anna = HoldNotes::by("anna (192.0.2.7)");
        self.source
            .create_hold(name, hold_spec(number), anna, FieldManager::Api)
            .await
    }

    fn names(&self) -> Vec<String> {
        self.users.now.keys().cloned().collect()
    }

    fn user(&self, name: &str) -> &VpnUser {
        &self.users.now[name]
    }

    /// Waits until a problem is reported that holds this text.
    async fn problem(&self, text: &str) -> String {
        self.poll(|problems| problems.iter().find(|line| line.contains(text)).cloned())
            .await
    }

    async fn no_problems(&self) {
        self.poll(|problems| problems.is_empty().then_some(())).await;
    }

    async fn poll<T>(&self, what: impl Fn(&[String]) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let health = self.source.health();
            let problems: Vec<String> = health.problems.iter().map(ToString::to_string).collect();
            if let Some(found) = what(&problems) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{problems:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn id(number: usize) -> String {
    format!("AB{number:06}")
}

fn name(number: usize) -> String {
    format!("ab{number:06}")
}

fn user(number: usize, rest: &str) -> String {
    format!(
        "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnUser\nmetadata:\n  name: {}\nspec:\n  corporateId: {}\n{rest}",
        name(number),
        id(number)
    )
}

fn hold(name: &str, number: usize) -> String {
    format!(
        "apiVersion: vpn-operator.io/v1alpha1\nkind: VpnHold\nmetadata:\n  name: {name}\nspec:\n  corporateId: {}\n  source: helpdesk\n",
        id(number)
    )
}

fn join(documents: &[String]) -> String {
    documents.join("---\n")
}

fn spec(number: usize) -> VpnUserSpec {
    serde_json::from_value(serde_json::json!({ "corporateId": id(number), "owner": "Anna \"A\" Ivanova" })).unwrap()
}

fn hold_spec(number: usize) -> VpnHoldSpec {
    VpnHoldSpec {
        corporate_id: CorporateId::parse(&id(number)).unwrap(),
        source: "api".to_owned(),
        reason: Some("left".to_owned()),
        from: None,
        until: None,
    }
}

const OFF: UserPatch = UserPatch {
    active: Some(false),
    role: None,
    credential_generation: None,
    subscription_generation: None,
    hr: HrMarksPatch {
        event_at: None,
        role_at: None,
        inactive_at: None,
    },
};

#[tokio::test]
async fn mixed_documents_in_files_and_sub_folders_are_loaded() {
    let place = Place::new();
    place.put(
        "a.yaml",
        &join(&[user(1, ""), hold("helpdesk-x-ab000001", 1), user(2, "")]),
    );
    place.put("berlin/b.yml", &user(3, "  active: false\n"));
    place.put(
        "berlin/c.json",
        r#"{"apiVersion":"vpn-operator.io/v1alpha1","kind":"VpnUser","metadata":{"name":"ab000004","labels":{"a":"b"}},"spec":{"corporateId":"ab000004"}}"#,
    );
    place.put("other.yaml", "apiVersion: v1\nkind: ConfigMap\n");
    place.put(".git/x.yaml", &user(9, ""));
    let house = place.open().await;
    assert_eq!(house.names(), [name(1), name(2), name(3), name(4)]);
    assert_eq!(house.holds.now.len(), 1);
    let meta = &house.user(&name(4)).metadata;
    assert_eq!(meta.generation, Some(1));
    assert_eq!(meta.namespace.as_deref(), Some("default"));
    assert_eq!(meta.labels.as_ref().unwrap()["a"], "b");
    assert_eq!(meta.finalizers.as_deref(), Some(&[FINALIZER.to_owned()][..]));
    assert_eq!(
        meta.annotations.as_ref().unwrap()["vpn-operator.io/source-file"],
        "berlin/c.json"
    );
    assert!(meta.uid.is_some() && meta.creation_timestamp.is_some() && meta.resource_version.is_some());
    let health = house.source.health();
    assert!(
        health.synced && health.unreadable_since.is_none() && health.problems.is_empty(),
        "{health:?}"
    );
    house.stop().await;
}

#[tokio::test]
async fn an_edit_is_seen_at_once_and_raises_the_generation_of_a_new_spec() {
    let place = Place::new();
    place.put("a.yaml", &user(1, ""));
    let mut house = place.open().await;
    let before = house.user(&name(1)).clone();
    let begun = Instant::now();
    place.swap("a.yaml", &user(1, "  active: false\n"));
    house.users.until(|users| !users[&name(1)].spec.active).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let after = house.user(&name(1)).clone();
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.metadata.generation, Some(2));
    assert_ne!(after.metadata.resource_version, before.metadata.resource_version);
    place.put(
        "a.yaml",
        &user(1, "  active: false # still\n").replace("metadata:\n", "metadata:\n  labels: {a: b}\n"),
    );
    house
        .users
        .until(|users| users[&name(1)].metadata.labels.is_some())
        .await;
    assert_eq!(house.user(&name(1)).metadata.generation, Some(2));
    // A comment is nobody's business, and is known after a restart.
    let before = house.user(&name(1)).clone();
    place.swap("a.yaml", &format!("{}# a comment\n", place.text("a.yaml")));
    place.put("b.yaml", &user(2, ""));
    house.users.until(|users| users.contains_key(&name(2))).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    house.users.drain();
    assert_eq!(house.user(&name(1)), &before);
    house.stop().await;
    let house = place.open().await;
    assert_eq!(house.user(&name(1)), &before);
    house.stop().await;
}

#[tokio::test]
async fn new_files_and_folders_are_seen() {
    let place = Place::new();
    let mut house = place.open().await;
    place.put("a.yaml", &user(1, ""));
    house.users.until(|users| users.contains_key(&name(1))).await;
    place.put("deep/er/b.yaml", &user(2, ""));
    house.users.until(|users| users.contains_key(&name(2))).await;
    place.put("deep/er/c.yaml", &user(3, ""));
    house.users.until(|users| users.contains_key(&name(3))).await;
    house.stop().await;
}

#[tokio::test]
async fn a_removed_document_becomes_a_tombstone_until_it_is_released() {
    let place = Place::new();
    place.put("a.yaml", &join(&[user(1, ""), user(2, "")]));
    let mut house = place.open().await;
    let begun = Instant::now();
    place.swap("a.yaml", &user(2, ""));
    house
        .users
        .until(|users| users[&name(1)].metadata.deletion_timestamp.is_some())
        .await;
    assert!(
        begun.elapsed() >= Duration::from_millis(300),
        "a disappearance was believed at once"
    );
    assert_eq!(house.user(&name(1)).metadata.generation, Some(2));
    assert!(house.user(&name(2)).metadata.deletion_timestamp.is_none());
    assert!(house.source.get_user(&name(1)).await.unwrap().is_some());
    house.source.remove_user_finalizer(&name(1)).await.unwrap();
    house.source.remove_user_finalizer(&name(1)).await.unwrap();
    house.users.until(|users| !users.contains_key(&name(1))).await;
    assert!(house.source.get_user(&name(1)).await.unwrap().is_none());
    // Its name is free for a new object.
    place.put("b.yaml", &user(1, ""));
    house.users.until(|users| users.contains_key(&name(1))).await;
    assert_eq!(house.user(&name(1)).metadata.generation, Some(1));
    house.stop().await;
}

#[tokio::test]
async fn a_document_that_comes_back_cancels_its_tombstone() {
    let place = Place::new();
    place.put("a.yaml", &user(1, ""));
    let mut house = place.open().await;
    let uid = house.user(&name(1)).metadata.uid.clone();
    place.remove("a.yaml");
    house
        .users
        .until(|users| users[&name(1)].metadata.deletion_timestamp.is_some())
        .await;
    // Letting go of a living object does nothing.
    place.put("elsewhere.yaml", &user(1, ""));
    house
        .users
        .until(|users| users[&name(1)].metadata.deletion_timestamp.is_none())
        .await;
    house.source.remove_user_finalizer(&name(1)).await.unwrap();
    assert_eq!(house.user(&name(1)).metadata.uid, uid);
    assert_eq!(house.user(&name(1)).metadata.generation, Some(3));
    assert!(house.source.get_user(&name(1)).await.unwrap().is_some());
    house.stop().await;
}

#[tokio::test]
async fn a_short_absence_is_no_disappearance() {
    let place = Place::new();
    place.put("a.yaml", &user(1, ""));
    let mut house = place.open().await;
    place.remove("a.yaml");
    tokio::time::sleep(Duration::from_millis(60)).await;
    place.put("a.yaml", &user(1, ""));
    place.put("b.yaml", &user(2, ""));
    house.users.until(|users| users.contains_key(&name(2))).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    house.users.drain();
    assert!(house.user(&name(1)).metadata.deletion_timestamp.is_none());
    assert_eq!(house.user(&name(1)).metadata.generation, Some(1));
    house.stop().await;
}

#[tokio::test]
async fn a_file_that_is_copied_slowly_removes_nobody_and_one_that_rests_does() {
    let place = Place::new();
    let documents: Vec<String> = (1..=3).map(|number| user(number, "")).collect();
    place.put("a.yaml", &join(&documents));
    let mut house = place.open().await;
    house.users.until(|users| users.len() == 3).await;
    // A writer that takes its time: each piece comes well within the settling time of the one before.
    for end in 1..=3 {
        for part in 0..4 {
            let text = format!("{}# {part}\n", join(&documents[..end]));
            std::fs::write(place.path("a.yaml"), text).unwrap();
            tokio::time::sleep(Duration::from_millis(120)).await;
        }
    }
    place.put("b.yaml", &user(9, ""));
    house.users.until(|users| users.contains_key(&name(9))).await;
    house.users.drain();
    for number in 1..=3 {
        let metadata = &house.user(&name(number)).metadata;
        assert_eq!(
            (metadata.generation, &metadata.deletion_timestamp),
            (Some(1), &None),
            "{number}"
        );
    }
    place.put("a.yaml", &join(&documents[..2]));
    house
        .users
        .until(|users| users[&name(3)].metadata.deletion_timestamp.is_some())
        .await;
    house.stop().await;
}

#[tokio::test]
async fn moving_files_disconnects_nobody() {
    let place = Place::new();
    place.put("old/a.yaml", &join(&[user(1, ""), user(2, "")]));
    place.put("b.yaml", &user(3, ""));
    let mut house = place.open().await;
    let uids: Vec<_> = house.users.now.values().map(|user| user.metadata.uid.clone()).collect();
    fs::rename(place.path("old"), place.path("new")).unwrap();
    fs::rename(place.path("b.yaml"), place.path("new/c.yaml")).unwrap();
    let moved = |user: &VpnUser| user.annotations()["vpn-operator.io/source-file"].starts_with("new/");
    house.users.until(|users| users.values().all(moved)).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    house.users.drain();
    for (user, uid) in house.users.now.values().zip(uids) {
        assert!(user.metadata.deletion_timestamp.is_none());
        assert_eq!((user.metadata.generation, &user.metadata.uid), (Some(1), &uid));
    }
    house.no_problems().await;
    house.stop().await;

    // The same while the operator is down.
    fs::rename(place.path("new"), place.path("z")).unwrap();
    let house = place.open().await;
    assert!(
        house
            .users
            .now
            .values()
            .all(|user| user.metadata.deletion_timestamp.is_none())
    );
    assert!(house.users.now.values().all(|user| user.metadata.generation == Some(1)));
    assert_eq!(house.users.now.len(), 3);
    house.no_problems().await;
    house.stop().await;
}

#[tokio::test]
async fn a_restart_changes_nothing_and_keeps_status() {
    let place = Place::new();
    place.put("a.yaml", &join(&[user(1, ""), user(2, "")]));
    let mut house = place.open().await;
    let status = VpnUserStatus {
        observed_generation: 1,
        epoch: Some(5),
        ..VpnUserStatus::default()
    };
    house
        .source
        .report_user(&house.users.now[&name(1)], status.clone())
        .await
        .unwrap();
    house.users.until(|users| users[&name(1)].status.is_some()).await;
    let before = house.users.now.clone();
    assert_eq!(before[&name(1)].metadata.generation, Some(1));
    house.stop().await;
    let house = place.open().await;
    assert_eq!(house.users.now, before);
    assert_eq!(house.user(&name(1)).status.as_ref(), Some(&status));
    house.stop().await;
}

#[tokio::test]
async fn what_was_removed_while_down_is_a_tombstone_from_the_first_answer() {
    let place = Place::new();
    place.put("a.yaml", &user(1, ""));
    place.put("b.yaml", &join(&[user(2, ""), user(3, "")]));
    place.open().await.stop().await;
    place.remove("a.yaml");
    place.put("b.yaml", &user(3, ""));
    let house = place.open().await;
    let gone = |number| house.user(&name(number)).metadata.deletion_timestamp.is_some();
    assert!(gone(1) && gone(2) && !gone(3));
    house.stop().await;
    // Not released yet: still there after another restart.
    let mut house = place.open().await;
    assert!(house.user(&name(1)).metadata.deletion_timestamp.is_some());
    house.source.remove_user_finalizer(&name(1)).await.unwrap();
    house.users.until(|users| !users.contains_key(&name(1))).await;
    house.stop().await;
    let house = place.open().await;
    assert_eq!(house.names(), [name(2), name(3)]);
    house.stop().await;
}

#[tokio::test]
async fn a_fault_keeps_the_last_good_version_over_a_restart() {
    let place = Place::new();
    place.put("a.yaml", &join(&[user(1, "  role: good\n"), user(2, ""), user(3, "")]));
    let mut house = place.open().await;
    place.swap(
        "a.yaml",
        &join(&[user(1, "  validUntill: x\n"), user(2, "  active: false\n"), user(3, "")]),
    );
    house.users.until(|users| !users[&name(2)].spec.active).await;
    let line = house.problem("validUntill").await;
    assert!(
        line.starts_with("a.yaml:7:3: spec.validUntill: unknown field"),
        "{line}"
    );
    assert_eq!(house.user(&name(1)).spec.role.as_deref(), Some("good"));
    // A removal in the same file is not blocked by a fault that tells whose it is.
    place.swap(
        "a.yaml",
        &join(&[user(1, "  validUntill: x\n"), user(2, "  active: false\n")]),
    );
    house
        .users
        .until(|users| users[&name(3)].metadata.deletion_timestamp.is_some())
        .await;
    house.stop().await;
    let mut house = place.open().await;
    assert_eq!(house.user(&name(1)).spec.role.as_deref(), Some("good"));
    assert!(house.user(&name(1)).metadata.deletion_timestamp.is_none());
    house.problem("validUntill").await;
    place.swap(
        "a.yaml",
        &join(&[user(1, "  role: mended\n"), user(2, "  active: false\n")]),
    );
    house
        .users
        .until(|users| users[&name(1)].spec.role.as_deref() == Some("mended"))
        .await;
    house.no_problems().await;
    house.stop().await;
}

#[tokio::test]
async fn a_document_that_cannot_be_told_any_more_removes_nobody() {
    let place = Place::new();
    place.put("a.yaml", &join(&[user(1, ""), user(2, "")]));
    let mut house = place.open().await;
    for broken in [
        user(1, "").replace("VpnUser", "VpnUsr"),
        user(1, "").replace("vpn-operator.io", "vpn-operatr.io"),
        user(1, "").replace("name: ab000001", "name: ab000007"),
        user(1, "").replace("metadata:", "metadata: ]"),
    ] {
        place.swap("a.yaml", &join(&[broken.clone(), user(2, "  role: x\n")]));
        house.problem("a.yaml").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        house.users.drain();
        assert!(house.user(&name(1)).metadata.deletion_timestamp.is_none(), "{broken}");
        place.swap("a.yaml", &join(&[user(1, ""), user(2, "")]));
        house.no_problems().await;
    }
    place.put("a.yaml", "\u{0}");
    fs::write(place.path("a.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    house.problem("UTF-8").await;
    house.stop().await;
    let house = place.open().await;
    assert!(
        house
            .users
            .now
            .values()
            .all(|user| user.metadata.deletion_timestamp.is_none())
    );
    assert_eq!(house.users.now.len(), 2);
    house.stop().await;
}

#[tokio::test]
async fn of_two_documents_for_one_object_the_recorded_one_keeps_it() {
    let place = Place::new();
    place.put("z.yaml", &user(1, "  role: first\n"));
    let mut house = place.open().await;
    place.put("a.yaml", &user(1, "  role: second\n"));
    let line = house.problem("declared in").await;
    assert!(line.starts_with("a.yaml:1") && line.contains("z.yaml:1"), "{line}");
    house.stop().await;
    let house2 = place.open().await;
    assert_eq!(house2.user(&name(1)).spec.role.as_deref(), Some("first"));
    house2.problem("z.yaml:1").await;
    house = house2;
    // Once the first one goes, the second takes over without an interruption.
    let uid = house.user(&name(1)).metadata.uid.clone();
    place.remove("z.yaml");
    house
        .users
        .until(|users| users[&name(1)].spec.role.as_deref() == Some("second"))
        .await;
    assert_eq!(house.user(&name(1)).metadata.uid, uid);
    tokio::time::sleep(Duration::from_millis(500)).await;
    house.users.drain();
    assert!(house.user(&name(1)).metadata.deletion_timestamp.is_none());
    house.no_problems().await;
    // Within one file, too; and the case of the ID makes no other person.
    place.swap(
        "a.yaml",
        &join(&[
            user(1, "  role: second\n"),
            user(1, "").replace("corporateId: AB", "corporateId: ab"),
        ]),
    );
    let line = house.problem("declared in").await;
    assert!(line.starts_with("a.yaml:9") && line.contains("a.yaml:1 "), "{line}");
    house.stop().await;
}

#[tokio::test]
async fn a_folder_that_is_away_loses_nobody() {
    let place = Place::new();
    place.put("a.yaml", &user(1, ""));
    let mut house = place
        .open_with(|options| options.rescan_interval = Duration::from_millis(100))
        .await;
    let away = place.dir.path().join("away");
    fs::rename(place.root(), &away).unwrap();
    house.problem("what was known last is in force").await;
    assert!(house.source.health().unreadable_since.is_some());
    // An empty mount point is not a folder from which everybody was removed.
    fs::create_dir(place.root()).unwrap();
    house.problem("mounted").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    house.users.drain();
    assert_eq!(house.users.count, 0);
    assert!(
        house
            .source
            .create_user(&name(5), spec(5), FieldManager::Api)
            .await
            .unwrap_err()
            .is_retryable()
    );
    house.stop().await;

    // At start what was known last is served, unless it is too old.
    let house = place.open().await;
    assert_eq!(house.names(), [name(1)]);
    assert!(house.source.health().unreadable_since.is_some());
    house.stop().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut house = place
        .open_with(|options| {
            options.last_known_max_age = Duration::from_millis(1);
            options.rescan_interval = Duration::from_millis(100);
        })
        .await;
    assert!(house.names().is_empty());
    // It comes back.
    fs::remove_dir(place.root()).unwrap();
    fs::rename(&away, place.root()).unwrap();
    house.users.until(|users| users.contains_key(&name(1))).await;
    assert_eq!(house.user(&name(1)).metadata.generation, Some(1));
    house.no_problems().await;
    assert!(house.source.health().unreadable_since.is_none());
    house.stop().await;
}

#[tokio::test]
async fn what_went_while_the_folder_was_away_is_found_gone_when_it_is_back() {
    let place = Place::new();
    place.put("a.yaml", &user(1, ""));
    place.put("b.yaml", &user(2, ""));
    place.open().await.stop().await;
    let away = place.dir.path().join("away");
    fs::rename(place.root(), &away).unwrap();
    let mut house = place
        .open_with(|options| options.rescan_interval = Duration::from_millis(100))
        .await;
    assert_eq!(house.users.now.len(), 2);
    fs::remove_file(away.join("a.yaml")).unwrap();
    fs::rename(&away, place.root()).unwrap();
    house
        .users
        .until(|users| users[&name(1)].metadata.deletion_timestamp.is_some())
        .await;
    assert!(house.user(&name(2)).metadata.deletion_timestamp.is_none());
    house.stop().await;
}

#[tokio::test]
async fn a_data_folder_among_the_files_of_people_is_refused() {
    let place = Place::new();
    let options = FolderOptions {
        root: place.root(),
        data_dir: place.path("data"),
        last_known_max_age: DAY,
        clock: Arc::new(SystemClock),
        rescan_interval: DAY,
    };
    assert!(matches!(FolderSource::open(options), Err(DesiredError::Invalid(_))));
}

#[tokio::test]
async fn a_name_under_which_an_object_is_let_go_takes_what_was_refused_before() {
    let place = Place::new();
    place.put(
        "a.yaml",
        &user(1, "").replace("metadata:\n", "metadata:\n  namespace: old\n"),
    );
    let mut house = place.open().await;
    // Another namespace is another object, and there can be one at a time.
    place.swap(
        "a.yaml",
        &user(1, "").replace("metadata:\n", "metadata:\n  namespace: new\n"),
    );
    house
        .users
        .until(|users| users[&name(1)].metadata.deletion_timestamp.is_some())
        .await;
    house.problem("namespace old").await;
    house.source.remove_user_finalizer(&name(1)).await.unwrap();
    let new = |user: &VpnUser| user.metadata.namespace.as_deref() == Some("new");
    house.users.until(|users| users.get(&name(1)).is_some_and(new)).await;
    house.no_problems().await;
    house.stop().await;
}

#[tokio::test]
async fn a_config_map_that_is_swapped_is_seen() {
    let place = Place::new();
    let fill = |folder: &str, text: &str| {
        place.put(&format!("{folder}/a.yaml"), text);
        symlink(folder, place.path("..tmp")).unwrap();
        fs::rename(place.path("..tmp"), place.path("..data")).unwrap();
    };
    fill("..1", &user(1, ""));
    symlink("..data/a.yaml", place.path("a.yaml")).unwrap();
    let mut house = place.open().await;
    assert_eq!(house.names(), [name(1)]);
    fill("..2", &user(1, "  active: false\n"));
    fs::remove_dir_all(place.path("..1")).unwrap();
    house.users.until(|users| !users[&name(1)].spec.active).await;
    assert!(matches!(
        house
            .source
            .patch_user(
                &name(1),
                UserPatch {
                    active: Some(true),
                    ..OFF
                },
                FieldManager::Hr
            )
            .await,
        Err(DesiredError::NotEditable { .. })
    ));
    house.stop().await;
}

#[tokio::test]
async fn a_created_user_is_durable_readable_and_announced_before_the_answer() {
    let place = Place::new();
    let mut house = place.open().await;
    place.put(&format!("{}.yaml", name(1)), "# notes of somebody\n");
    let created = house
        .source
        .create_user(&name(1), spec(1), FieldManager::Api)
        .await
        .unwrap();
    house.users.drain();
    assert_eq!(house.user(&name(1)), &created);
    let text = place.text(&format!("{}-2.yaml", name(1)));
    assert!(text.starts_with("# Created by vpn-operator-api at "), "{text}");
    assert!(!text.contains("credentialGeneration"), "{text}");
    // Once more, and at the same time: the same answer. Something else: refused.
    let second = &name(2);
    let twins =
        futures::future::join_all((0..20).map(|_| house.source.create_user(second, spec(2), FieldManager::Api))).await;
    let uids: Vec<_> = twins.into_iter().map(|user| user.unwrap().metadata.uid).collect();
    assert!(uids.iter().all(|uid| *uid == uids[0]));
    assert!(place.path(&format!("{}.yaml", name(2))).exists());
    assert!(!place.path(&format!("{}-2.yaml", name(2))).exists());
    let mut other = spec(2);
    other.role = Some("else".to_owned());
    assert!(matches!(
        house.source.create_user(&name(2), other, FieldManager::Api).await,
        Err(DesiredError::AlreadyExists { .. })
    ));
    for bad in ["../evil", "ab000099", "A"] {
        assert!(matches!(
            house.source.create_user(bad, spec(3), FieldManager::Api).await,
            Err(DesiredError::Invalid(_))
        ));
    }
    house.stop().await;
    let house = place.open().await;
    assert_eq!(house.user(&name(1)), &created);
    house.stop().await;
}

#[tokio::test]
async fn a_patch_changes_one_scalar_and_is_announced_before_the_answer() {
    let place = Place::new();
    let text = format!(
        "# people\n{}# end\n",
        join(&[user(1, "  active: true # till June\n"), user(2, "  owner: Zoë\n")])
    );
    place.put("a.yaml", &text);
    fs::set_permissions(place.path("a.yaml"), fs::Permissions::from_mode(0o640)).unwrap();
    let mut house = place.open().await;
    let patched = house.source.patch_user(&name(1), OFF, FieldManager::Hr).await.unwrap();
    assert!(!patched.spec.active);
    house.users.drain();
    assert_eq!(house.user(&name(1)), &patched);
    assert_eq!(place.text("a.yaml"), text.replace("true # till", "false # till"));
    assert_eq!(
        fs::metadata(place.path("a.yaml")).unwrap().permissions().mode() & 0o777,
        0o640
    );
    // Nothing to change, nothing written.
    let before = fs::metadata(place.path("a.yaml")).unwrap().modified().unwrap();
    house.source.patch_user(&name(1), OFF, FieldManager::Hr).await.unwrap();
    assert_eq!(fs::metadata(place.path("a.yaml")).unwrap().modified().unwrap(), before);
    assert!(matches!(
        house.source.patch_user("nobody", OFF, FieldManager::Hr).await,
        Err(DesiredError::NotFound { .. })
    ));
    house.stop().await;
}

#[tokio::test]
async fn what_cannot_be_edited_safely_is_left_alone_with_a_reason() {
    let place = Place::new();
    let outside = place.dir.path().join("outside.yaml");
    fs::write(&outside, user(1, "")).unwrap();
    symlink(&outside, place.path("link.yaml")).unwrap();
    place.put("anchor.yaml", &user(2, "  active: &on true\n"));
    place.put("fixed.yaml", &user(3, ""));
    fs::set_permissions(place.path("fixed.yaml"), fs::Permissions::from_mode(0o444)).unwrap();
    place.put("faulty.yaml", &user(4, ""));
    let mut house = place.open().await;
    place.swap("faulty.yaml", &user(4, "  actve: true\n"));
    house.problem("actve").await;
    for (number, reason) in [(1, "outside"), (2, "anchor"), (3, "read-only"), (4, "faults")] {
        match house.source.patch_user(&name(number), OFF, FieldManager::Hr).await {
            Err(DesiredError::NotEditable { message, .. }) => assert!(message.contains(reason), "{message}"),
            other => panic!("{other:?}"),
        }
    }
    house.users.drain();
    assert_eq!(house.users.count, 0);
    house.stop().await;
}

#[tokio::test]
async fn many_patches_of_one_file_share_writes_and_none_is_lost() {
    let place = Place::new();
    let documents: Vec<String> = (0..5000).map(|number| user(number, "")).collect();
    place.put("all.yaml", &join(&documents));
    let mut house = place.open().await;
    assert_eq!(house.users.now.len(), 5000);
    let begun = Instant::now();
    house
        .source
        .patch_user(&name(4999), OFF, FieldManager::Hr)
        .await
        .unwrap();
    let one = begun.elapsed();
    let names: Vec<String> = (1000..1200).map(name).collect();
    let patched = futures::future::join_all(
        names
            .iter()
            .map(|name| house.source.patch_user(name, OFF, FieldManager::Hr)),
    );
    assert!(
        patched
            .await
            .iter()
            .all(|answer| answer.as_ref().is_ok_and(|user| !user.spec.active))
    );
    let all = begun.elapsed();
    assert!(
        one < Duration::from_secs(2) && all < one * 60 + Duration::from_secs(2),
        "{one:?} {all:?}"
    );
    let expected: Vec<String> = (0..5000)
        .map(|number| {
            if number == 4999 || (1000..1200).contains(&number) {
                user(number, "  active: false\n")
            } else {
                user(number, "")
            }
        })
        .collect();
    assert!(place.text("all.yaml") == join(&expected));
    house
        .users
        .until(|users| users.values().filter(|user| !user.spec.active).count() == 201)
        .await;
    house.stop().await;
}

#[tokio::test]
async fn two_writers_never_lose_each_others_change() {
    let place = Place::new();
    place.put("a.yaml", &join(&[user(1, ""), user(2, "  maxDevices: 1\n")]));
    let house = place.open().await;
    let path = place.path("a.yaml");
    // A person's tool that looks before it writes, as a careful one does.
    let person = tokio::task::spawn_blocking(move || {
        let aside = path.with_file_name(".person");
        let begun = Instant::now();
        for round in 2..60 {
            loop {
                let old = fs::read_to_string(&path).unwrap();
                let new = old.replace(
                    &format!("maxDevices: {}\n", round - 1),
                    &format!("maxDevices: {round}\n"),
                );
                if old == new {
                    // For a moment, until the operator has put it back, the last change may be out of sight.
                    assert!(
                        begun.elapsed() < PATIENCE,
                        "the person's change of round {} was lost",
                        round - 1
                    );
                    continue;
                }
                fs::write(&aside, &new).unwrap();
                if fs::read_to_string(&path).unwrap() == old {
                    fs::rename(&aside, &path).unwrap();
                    break;
                }
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    });
    for number in 2..40 {
        let raise = UserPatch {
            credential_generation: Some(number),
            ..UserPatch::default()
        };
        match house.source.patch_user(&name(1), raise, FieldManager::Api).await {
            Ok(_) | Err(DesiredError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    person.await.unwrap();
    let last = UserPatch {
        credential_generation: Some(99),
        ..UserPatch::default()
    };
    house
        .source
        .patch_user(&name(1), last, FieldManager::Api)
        .await
        .unwrap();
    let text = place.text("a.yaml");
    assert!(
        text.contains("maxDevices: 59\n") && text.contains("credentialGeneration: 99\n"),
        "{text}"
    );
    house.stop().await;
}

#[tokio::test]
async fn deleting_takes_one_document_out_and_the_last_one_takes_the_file() {
    let place = Place::new();
    place.put("a.yaml", &join(&[user(1, ""), user(2, "  # stays\n"), user(3, "")]));
    let mut house = place.open().await;
    let begun = Instant::now();
    house.source.delete_user(&name(1), FieldManager::Api).await.unwrap();
    house
        .users
        .until(|users| users[&name(1)].metadata.deletion_timestamp.is_some())
        .await;
    assert!(
        begun.elapsed() < Duration::from_millis(290),
        "a deletion on purpose does not settle"
    );
    house.source.delete_user(&name(1), FieldManager::Api).await.unwrap();
    house.source.delete_user(&name(3), FieldManager::Api).await.unwrap();
    assert_eq!(place.text("a.yaml"), format!("---\n{}", user(2, "  # stays\n")));
    house.source.delete_user(&name(2), FieldManager::Api).await.unwrap();
    assert!(!place.path("a.yaml").exists());
    house
        .users
        .until(|users| users.values().all(|user| user.metadata.deletion_timestamp.is_some()))
        .await;
    house.stop().await;
}

#[tokio::test]
async fn a_hold_is_placed_whatever_the_name_of_who_ordered_it() {
    let place = Place::new();
    let house = place.open().await;
    for (nth, text) in [
        (1, "::1"),
        (2, "anna: {x} # \"y\" (192.0.2.7)"),
        (3, "Анна (2001:db8::1)"),
        (4, "no"),
        (5, "123456"),
    ] {
        let mut spec = hold_spec(nth);
        spec.reason = Some(text.to_owned());
        let made = house
            .source
            .create_hold(
                &format!("api-deactivated-ab00000{nth}"),
                spec,
                HoldNotes::by(text),
                FieldManager::Api,
            )
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(made.annotations().get(ORDERED_BY).map(String::as_str), Some(text));
    }
    let unwritable = "anna \u{0} \u{ffff} (192.0.2.7)";
    let made = house
        .source
        .create_hold(
            "api-deactivated-ab000006",
            hold_spec(6),
            HoldNotes::by(unwritable),
            FieldManager::Api,
        )
        .await;
    assert!(made.is_ok(), "{made:?}");
    house.stop().await;
}

#[tokio::test]
async fn holds_of_the_operator_live_in_its_own_folder() {
    let place = Place::new();
    place.put("h.yaml", &hold("helpdesk-lost-ab000002", 2));
    let mut house = place.open().await;
    let made = house.order("api-deactivated-ab000001", 1).await.unwrap();
    house.holds.drain();
    assert_eq!(house.holds.now["api-deactivated-ab000001"], made);
    assert_eq!(made.annotations()[ORDERED_BY], "anna (192.0.2.7)");
    house.order("api-deactivated-ab000001", 1).await.unwrap();
    let file = place.dir.path().join("data/holds/api-deactivated-ab000001.yaml");
    assert!(file.exists());
    assert_eq!(fs::read_dir(place.root()).unwrap().count(), 1);
    assert!(matches!(
        house.order("api-deactivated-ab000001", 3).await,
        Err(DesiredError::AlreadyExists { .. })
    ));
    match house
        .source
        .lift_hold("helpdesk-lost-ab000002", FieldManager::Api)
        .await
    {
        Err(DesiredError::NotEditable { message, .. }) => assert!(message.contains("h.yaml:1"), "{message}"),
        other => panic!("{other:?}"),
    }
    house.stop().await;

    // It holds after a restart, also when people's folder is away.
    fs::rename(place.root(), place.dir.path().join("away")).unwrap();
    let mut house = place
        .open_with(|options| options.last_known_max_age = Duration::ZERO)
        .await;
    assert_eq!(house.holds.now.keys().collect::<Vec<_>>(), ["api-deactivated-ab000001"]);
    // A release leaves no tombstone.
    house
        .source
        .lift_hold("api-deactivated-ab000001", FieldManager::Api)
        .await
        .unwrap();
    house.holds.drain();
    assert!(house.holds.now.is_empty() && !file.exists());
    assert!(matches!(
        house
            .source
            .lift_hold("api-deactivated-ab000001", FieldManager::Api)
            .await,
        Err(DesiredError::NotFound { .. })
    ));
    // Losing the file does.
    house.order("api-x-ab000001", 1).await.unwrap();
    fs::remove_file(place.dir.path().join("data/holds/api-x-ab000001.yaml")).unwrap();
    house
        .holds
        .until(|holds| holds.values().any(|hold| hold.metadata.deletion_timestamp.is_some()))
        .await;
    house.source.remove_hold_finalizer("api-x-ab000001").await.unwrap();
    house.holds.until(BTreeMap::is_empty).await;
    house.stop().await;
}

#[tokio::test]
async fn a_quiet_folder_writes_nothing() {
    let place = Place::new();
    place.put("a.yaml", &user(1, ""));
    let mut house = place
        .open_with(|options| options.rescan_interval = Duration::from_millis(20))
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let state = || {
        let wal = fs::metadata(place.dir.path().join("data/desired.db-wal")).unwrap();
        (wal.len(), wal.modified().unwrap())
    };
    let before = state();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(state(), before);
    house.users.drain();
    assert_eq!(house.users.count, 0);
    house.stop().await;
}

#[tokio::test]
async fn an_edit_of_access_in_a_faulty_document_is_told_apart_until_it_is_mended() {
    let place = Place::new();
    place.put("a.yaml", &join(&[user(1, ""), user(2, "")]));
    let mut house = place.open().await;
    place.swap("a.yaml", &join(&[user(1, "  ownr: x\n"), user(2, "")]));
    house.problem("spec.ownr").await;
    assert!(house.source.health().refused_edits.is_empty(), "a typo of another kind");
    place.swap("a.yaml", &join(&[user(1, "  active: false\n  ownr: x\n"), user(2, "")]));
    house
        .poll(|_| (!house.source.health().refused_edits.is_empty()).then_some(()))
        .await;
    let line = house.source.health().refused_edits[0].to_string();
    assert!(line.starts_with("a.yaml:7:3: spec.active: "), "{line}");
    assert!(
        line.contains(&name(1)) && line.contains("last good version stays in force with active: true"),
        "{line}"
    );
    assert!(house.user(&name(1)).spec.active);
    // A whole file that cannot be read hides whatever was edited in it.
    fs::write(place.path("a.yaml"), b"owner: Zo\xeb\n").unwrap();
    house
        .poll(|problems| problems.iter().any(|line| line.contains("Latin-1")).then_some(()))
        .await;
    house
        .poll(|_| {
            house
                .source
                .health()
                .refused_edits
                .iter()
                .any(|line| line.contains("cannot be found"))
                .then_some(())
        })
        .await;
    place.swap("a.yaml", &join(&[user(1, "  active: false\n"), user(2, "")]));
    house.users.until(|users| !users[&name(1)].spec.active).await;
    house
        .poll(|_| house.source.health().refused_edits.is_empty().then_some(()))
        .await;
    house.stop().await;
}

#[tokio::test]
async fn documents_that_are_not_ours_are_quiet_unless_they_stand_among_ours() {
    let place = Place::new();
    place.put("kustomization.yaml", "resources: [people.YAML]\n");
    place.put("values.yaml", "vpn: {replicas: 2}\n");
    place.put("renovate.json", "{\"extends\": [\"config:base\"]}\n");
    place.put("templates/x.yaml", "{{- if .Values.a }}\na: [\n");
    place.put("people.YAML", &user(1, ""));
    let house = place.open().await;
    assert!(house.user(&name(1)).spec.active);
    house.no_problems().await;
    assert_eq!(check(&place.root()).unwrap().problems, []);
    place.put("mixed.yaml", &join(&[user(2, ""), "replicas: 2\n".to_owned()]));
    house.problem("mixed.yaml:8").await;
    house.stop().await;
}

#[tokio::test]
async fn the_items_of_a_list_are_objects_that_can_be_edited_in_place() {
    let place = Place::new();
    let item = |number: usize| {
        let lines = user(number, "");
        lines
            .lines()
            .fold(String::new(), |text, line| text + "  " + line + "\n")
    };
    let list = |items: &[String]| {
        let items: String = items.iter().map(|item| item.replacen("  ", "- ", 1)).collect();
        format!("apiVersion: v1\nitems:\n{items}kind: List\nmetadata:\n  resourceVersion: \"\"\n")
    };
    place.put("all.yaml", &list(&[item(1), item(2)]));
    let mut house = place.open().await;
    assert_eq!(house.names(), [name(1), name(2)]);
    let before = house.user(&name(2)).metadata.resource_version.clone();
    let off = UserPatch {
        active: Some(false),
        ..UserPatch::default()
    };
    house.source.patch_user(&name(1), off, FieldManager::Api).await.unwrap();
    house.users.until(|users| !users[&name(1)].spec.active).await;
    assert_eq!(
        house.user(&name(2)).metadata.resource_version,
        before,
        "nothing of the other item changed"
    );
    assert!(place.text("all.yaml").contains("active: false"));
    let refused = house.source.delete_user(&name(1), FieldManager::Api).await;
    assert!(matches!(refused, Err(DesiredError::NotEditable { .. })), "{refused:?}");
    place.swap("all.yaml", &list(&[item(2)]));
    house
        .users
        .until(|users| users[&name(1)].metadata.deletion_timestamp.is_some())
        .await;
    house.stop().await;
}

#[test]
fn a_check_warns_of_what_is_most_likely_not_meant() {
    let place = Place::new();
    let text = user(1, "").replace(
        "metadata:\n",
        "metadata:\n  annotations:\n    vpn-operator.io/pause: \"yes\"\n",
    );
    place.put("a.yaml", &text);
    let pin = "ab".repeat(32);
    place.put(
        "g.yaml",
        &format!("apiVersion: vpn-operator.io/v1alpha1\nkind: VpnGateway\nmetadata: {{name: g}}\nspec:\n  hysteria:\n    nodes:\n    - name: n1\n      address: a\n      pinSha256: {pin}\n"),
    );
    let report = check(&place.root()).unwrap();
    assert_eq!(report.problems, []);
    let lines: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].starts_with("a.yaml:5:5: metadata.annotations[vpn-operator.io/pause]: "),
        "{lines:#?}"
    );
    assert!(
        lines[1].starts_with("g.yaml:9:7: spec.hysteria.nodes[0].pinSha256: "),
        "{lines:#?}"
    );
}

#[test]
fn a_check_names_every_problem_and_touches_nothing() {
    let place = Place::new();
    place.put(
        "a.yaml",
        &join(&[user(1, "  validUntill: x\n"), user(2, ""), hold("h", 1)]),
    );
    place.put("b.yaml", &join(&[user(2, ""), "a: [\n".to_owned()]));
    let report = check(&place.root()).unwrap();
    assert_eq!(
        (report.files, report.users, report.holds, report.gateways),
        (2, 1, 1, 0)
    );
    let lines: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(lines[0].starts_with("a.yaml:7:3: spec.validUntill"), "{lines:#?}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("b.yaml:1:") && line.contains("a.yaml:9")),
        "{lines:#?}"
    );
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(!place.dir.path().join("data").exists());
    let one = check(&place.path("a.yaml")).unwrap();
    assert_eq!((one.files, one.problems.len()), (1, 1));
    assert!(check(Path::new("/no/such/folder")).is_err());
}

#[tokio::test]
async fn a_hold_does_not_wait_for_a_long_file_that_is_being_taken_over() {
    const PEOPLE: usize = 3000;
    let place = Place::new();
    let people = |owner: &str| {
        join(
            &(0..PEOPLE)
                .map(|n| user(n, &format!("  owner: {owner}\n")))
                .collect::<Vec<_>>(),
        )
    };
    place.put("people.yaml", &people("Anna"));
    let mut house = place.open().await;
    place.swap("people.yaml", &people("Boris"));
    house.users.next().await;
    let placed = house.order("api-deactivated-ab000001", 1);
    placed.await.unwrap();
    house.users.drain();
    assert!(house.users.count < PEOPLE, "the whole file came first");
    house
        .users
        .until(|users| users.values().all(|user| user.spec.owner.as_deref() == Some("Boris")))
        .await;
    house.no_problems().await;
    assert_eq!(house.users.now.len(), PEOPLE);
    house.stop().await;
}

#[tokio::test]
async fn an_edit_of_a_long_file_that_is_being_taken_over_is_not_lost() {
    const PEOPLE: usize = 1000;
    let place = Place::new();
    let people = |owner: &str| {
        join(
            &(0..PEOPLE)
                .map(|n| user(n, &format!("  owner: {owner}\n")))
                .collect::<Vec<_>>(),
        )
    };
    place.put("people.yaml", &people("Anna"));
    let mut house = place.open().await;
    place.swap("people.yaml", &people("Boris"));
    house.users.next().await;
    house
        .source
        .patch_user(&name(PEOPLE - 1), OFF, FieldManager::Api)
        .await
        .unwrap();
    let done = |user: &VpnUser| user.spec.owner.as_deref() == Some("Boris");
    house
        .users
        .until(|users| users.values().all(done) && !users[&name(PEOPLE - 1)].spec.active)
        .await;
    house.no_problems().await;
    assert_eq!(house.users.now.len(), PEOPLE);
    house.stop().await;
}
