//! An ID is issued once, whoever issues: two controllers by mistake, or one whose registry was lost.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tempfile::TempDir;
use vpn_operator::{
    clock::ManualClock,
    desired::{DesiredError, id_claims::IdClaims, kubernetes::ConfigMapClaims},
    fence::Fence,
    model::corporate_id::CorporateId,
    registry::{
        Added, By, FindError, NewEntry, Owner, REGISTRY_FILE, Registrar, Registry, Status,
        draw::{Draw, NoRandomness},
    },
};

use super::cluster::{OPERATOR, role};
use crate::support::kube::{
    KubeDouble,
    faults::{Fault, When},
};

fn id(text: &str) -> CorporateId {
    CorporateId::parse(text).unwrap()
}

/// Draws the same IDs in the same order, each twice, with few letters.
#[derive(Default)]
struct Same(AtomicU32);

impl Draw for Same {
    fn draw(&self) -> Result<CorporateId, NoRandomness> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) / 2;
        Ok(id(&format!(
            "A{}{number:06}",
            if number.is_multiple_of(3) { 'B' } else { 'C' }
        )))
    }
}

/// A controller, as far as it issues IDs.
struct Controller {
    registrar: Registrar,
    _dir: TempDir,
}

impl Controller {
    fn new(kube: &KubeDouble, draw: Same) -> Self {
        kube.restrict(OPERATOR, role("controller"));
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2026-05-01T12:00:00Z".parse().unwrap());
        let registry = Registry::open_or_retry(&dir.path().join(REGISTRY_FILE), clock.clone()).unwrap();
        let claims = ConfigMapClaims::new(&kube.client(OPERATOR), "default", &Fence::always_open(), clock);
        Self {
            registrar: Registrar::new(registry, claims, Arc::new(draw)),
            _dir: dir,
        }
    }

    async fn issue(&self) -> Result<String, FindError> {
        loop {
            let found = self.registrar.find(|_| false).await?;
            let new = NewEntry {
                id: found.clone(),
                status: Status::Issued,
                owner: Owner::default(),
                request_key: None,
                action: "issue",
            };
            if let Added::Entered(entry) = self.registrar.registry().add(new, By::default()).await.unwrap() {
                return Ok(entry.id.to_string());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_controllers_that_draw_the_same_ids_at_once_issue_none_twice() {
    let kube = KubeDouble::start().await;
    let (one, two) = (
        Controller::new(&kube, Same::default()),
        Controller::new(&kube, Same::default()),
    );
    let asked = (0..12).flat_map(|_| [one.issue(), two.issue()]);
    let issued: Vec<String> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    let different: BTreeSet<&String> = issued.iter().collect();
    assert_eq!(different.len(), 24, "{issued:?}");
    // Each registry has its own, and every one is claimed.
    let mut claimed = BTreeSet::new();
    for letters in ["ab", "ac"] {
        let map = kube
            .stored("configmaps", "default", &format!("vpn-operator-ids-{letters}"))
            .unwrap();
        assert_eq!(
            map["metadata"]["labels"]["app.kubernetes.io/managed-by"],
            "vpn-operator"
        );
        let data = map["data"].as_object().unwrap();
        claimed.extend(data.keys().map(|number| format!("{}{number}", letters.to_uppercase())));
    }
    assert!(different.iter().all(|id| claimed.contains(*id)));
    assert_eq!(kube.names("configmaps").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_not_issued_again_when_the_registry_is_lost() {
    let kube = KubeDouble::start().await;
    let first = Controller::new(&kube, Same::default());
    let before = [first.issue().await.unwrap(), first.issue().await.unwrap()];
    drop(first);
    // An empty volume, or one of before the two were issued.
    let again = Controller::new(&kube, Same::default());
    let after = again.issue().await.unwrap();
    assert!(!before.contains(&after), "{before:?} {after}");
    // The other way round: claims are lost, and made anew from the registry.
    for map in kube.names("configmaps") {
        kube.kubectl()
            .delete::<ConfigMap>(map.strip_prefix("default/").unwrap())
            .await
            .unwrap();
    }
    let ids = again.registrar.registry().standard_ids().await.unwrap();
    again.registrar.keep(&ids).await.unwrap();
    let third = Controller::new(&kube, Same::default());
    assert_ne!(third.issue().await.unwrap(), after);
}

fn claims(kube: &KubeDouble, fence: &Fence) -> Arc<ConfigMapClaims> {
    let clock = ManualClock::at("2026-05-01T12:00:00Z".parse().unwrap());
    ConfigMapClaims::new(&kube.client(OPERATOR), "default", fence, clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_answer_is_lost_is_never_given_away_again() {
    let kube = KubeDouble::start().await;
    let open = Fence::always_open();
    for (verb, number) in [("create", "AB000001"), ("patch", "AB000002")] {
        kube.fault(When::request(1).verb(verb).resource("configmaps"), Fault::AnswerLost);
        // The client may have tried it again by itself, and found it done.
        assert!(
            !matches!(claims(&kube, &open).claim(&id(number)).await, Ok(true)),
            "{verb}"
        );
        assert!(!claims(&kube, &open).claim(&id(number)).await.unwrap(), "{verb}");
    }
    let map = kube.stored("configmaps", "default", "vpn-operator-ids-ab").unwrap();
    assert_eq!(map["data"].as_object().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_claimed_is_not_written_again_and_strangers_keep_what_is_theirs() {
    let kube = KubeDouble::start().await;
    let claims = claims(&kube, &Fence::always_open());
    let ids = ["AB000001", "ab000002", "CD000001", "old-style"].map(id);
    claims.keep(&ids).await.unwrap();
    assert_eq!(
        kube.names("configmaps"),
        ["default/vpn-operator-ids-ab", "default/vpn-operator-ids-cd"]
    );
    let version = kube.version();
    claims.keep(&ids).await.unwrap();
    assert!(!claims.claim(&ids[1]).await.unwrap());
    assert_eq!(kube.version(), version, "nothing is written that is there");

    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "vpn-operator-ids-ef" }, "data": { "123456": "mine" },
    });
    kube.put("configmaps", "default", "vpn-operator-ids-ef", theirs);
    let refused = claims.claim(&id("EF000001")).await;
    assert!(matches!(refused, Err(DesiredError::NotEditable { .. })), "{refused:?}");
    let map = kube.stored("configmaps", "default", "vpn-operator-ids-ef").unwrap();
    assert_eq!(map["data"], json!({ "123456": "mine" }));
    assert!(matches!(claims.claim(&ids[3]).await, Err(DesiredError::Invalid(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_lease_claims_nothing() {
    let kube = KubeDouble::start().await;
    let clock = ManualClock::at("2026-05-01T12:00:00Z".parse().unwrap());
    let (keeper, fence) = Fence::closed(clock);
    let claims = claims(&kube, &fence);
    let refused = claims.claim(&id("AB000001")).await;
    assert!(matches!(refused, Err(DesiredError::Unavailable(_))), "{refused:?}");
    assert_eq!(kube.names("configmaps"), [""; 0]);
    keeper.open_until(Duration::MAX);
    assert!(claims.claim(&id("AB000001")).await.unwrap());
}
