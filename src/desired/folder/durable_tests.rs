//! When a hold is in force, and when it is on the disk.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt as _;
use tempfile::TempDir;

use super::*;
use crate::{
    clock::SystemClock,
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
        let root = dir.path().join("vpn");
        fs::create_dir(&root).unwrap();
        let options = FolderOptions {
            root,
            data_dir: dir.path().join("data"),
            last_known_max_age: Duration::from_secs(3600),
            clock: Arc::new(SystemClock),
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
