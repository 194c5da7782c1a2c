//! When a hold is in force, and when it is on the disk.

use std::sync::{
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use futures::StreamExt as _;
use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::{
    clock::{ManualClock, SystemClock},
    desired::{Event, Events},
    model::corporate_id::CorporateId,
};

const NAME: &str = "api-deactivated-ab123456";

struct House {
    dir: TempDir,
    source: Arc<FolderSource>,
}

impl House {
    fn with(sync: SyncFile) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("vpn")).unwrap();
        Self::of(dir, Arc::new(SystemClock), sync)
    }

    fn of(dir: TempDir, clock: SharedClock, sync: SyncFile) -> Self {
        let root = dir.path().join("vpn");
        let options = FolderOptions {
            root,
            data_dir: dir.path().join("data"),
            last_known_max_age: Duration::from_secs(3600),
            clock,
            rescan_interval: Duration::from_secs(3600),
        };
        let source = FolderSource::open_with(options, sync).unwrap();
        Self { dir, source }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("data/holds").join(format!("{NAME}.yaml"))
    }
}

/// Waits until the hold is told of, as one that stands or as one that was lifted.
async fn until(holds: &mut Events<VpnHold>, lifted: bool) {
    loop {
        match holds.next().await.unwrap() {
            Event::Apply(hold) | Event::InitApply(hold)
                if hold.name_any() == NAME && hold.metadata.deletion_timestamp.is_some() == lifted =>
            {
                return;
            }
            _ => {}
        }
    }
}

fn spec(id: &str) -> VpnUserSpec {
    serde_json::from_value(serde_json::json!({ "corporateId": id })).unwrap()
}

async fn order(source: Arc<FolderSource>) -> Result<VpnHold> {
    let spec = VpnHoldSpec {
        corporate_id: CorporateId::parse("AB123456").unwrap(),
        source: "api".to_owned(),
        reason: None,
        from: None,
        until: None,
    };
    source
        .create_hold(NAME, spec, HoldNotes::by("anna"), FieldManager::Api)
        .await
}

#[tokio::test]
async fn a_hold_denies_before_it_is_durable_and_is_answered_when_it_is() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let house = House::with(Arc::new(move |path| {
        assert!(path.exists());
        released.lock().unwrap().recv().unwrap();
        Ok(())
    }));
    let mut holds = house.source.watch().holds;
    let ordered = tokio::spawn(order(house.source.clone()));
    until(&mut holds, false).await;
    assert!(!ordered.is_finished(), "nothing is on the disk");
    release.send(()).unwrap();
    ordered.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_hold_that_cannot_be_made_durable_is_lifted_and_said() {
    let failing = Arc::new(AtomicBool::new(true));
    let fails = failing.clone();
    let house = House::with(Arc::new(move |path| {
        if fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is ill"));
        }
        files::sync(path)
    }));
    let mut holds = house.source.watch().holds;
    let error = order(house.source.clone()).await.unwrap_err().to_string();
    assert!(error.contains("holds") && error.contains("the disk is ill"), "{error}");
    assert!(!house.file().exists());
    until(&mut holds, true).await;
    // Whoever orders it again orders something new.
    failing.store(false, Ordering::SeqCst);
    order(house.source.clone()).await.unwrap();
    until(&mut holds, false).await;
    assert!(house.file().exists());
}

#[tokio::test]
async fn a_hold_that_is_ordered_during_the_load_is_placed_behind_it() {
    let House { dir, source } = House::with(Arc::new(files::sync));
    source
        .create_user("ab123456", spec("AB123456"), FieldManager::Api)
        .await
        .unwrap();
    drop(source);
    // The record knows the file: a load that misses it looks a second time after a while.
    fs::remove_file(dir.path().join("vpn/ab123456.yaml")).unwrap();
    let clock = ManualClock::at(Timestamp::now());
    let house = House::of(dir, clock.clone(), Arc::new(files::sync));
    let ordered = tokio::spawn(order(house.source.clone()));
    let patience = Duration::from_secs(60);
    let waits = async {
        while house.source.shared.mailbox.waiting() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(patience, waits).await.unwrap();
    assert!(!house.file().exists(), "what is half-written is removed meanwhile");
    let placed = async {
        while !ordered.is_finished() {
            clock.advance(Duration::from_millis(50));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(patience, placed).await.unwrap();
    ordered.await.unwrap().unwrap();
    assert!(house.file().exists());
}
