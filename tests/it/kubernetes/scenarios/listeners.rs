//! The guard where several processes answer logins: one judges, and all of them do as it says.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use serde_json::{Value, json};
use vpn_operator::model::user::VpnUser;

use crate::{
    end_to_end::operator::{Operator, derived, within},
    kubernetes::cluster::{Cluster, OPERATOR, UNTIL_TIMEOUT, name, user},
    support::kube::{
        faults::{Fault, When},
        recorder::Call,
    },
};

/// How long after the controller's word a listener may answer otherwise: on a machine that does nothing else this is far below
/// a second; in any case it is less than the silence after which a replica judges by itself.
const WORD_TIMEOUT: Duration = Duration::from_secs(4);
const PEOPLE: usize = 60;
const LEAVING: usize = 25;
/// What the guard lets through by default.
const LIMIT: usize = 10;

/// One controller and two replicas.
struct Listeners {
    cluster: Cluster,
    controller: Operator,
    replicas: Vec<Operator>,
}

fn id(number: usize) -> String {
    format!("AB{number:06}")
}

impl Listeners {
    /// With people, of whom some are labelled.
    async fn start() -> Self {
        let (cluster, controller) = Cluster::running().await;
        for number in 0..PEOPLE {
            let mut manifest = user(&id(number), json!({}));
            manifest["metadata"]["labels"] = json!({ "leaving": (number < LEAVING).to_string() });
            let manifest = manifest.to_string();
            cluster
                .kubectl
                .apply::<VpnUser>("kubectl", &manifest, false)
                .await
                .unwrap();
        }
        for number in 0..PEOPLE {
            cluster.current(&id(number)).await;
        }
        let replicas = vec![cluster.replica("replica-a").await, cluster.replica("replica-b").await];
        let listeners = Self {
            cluster,
            controller,
            replicas,
        };
        listeners.agree(UNTIL_TIMEOUT, &listeners.all(), &BTreeSet::new()).await;
        listeners
    }

    fn all(&self) -> Vec<&Operator> {
        self.replicas.iter().chain([&self.controller]).collect()
    }

    /// Whom a listener refuses.
    async fn refused(listener: &Operator) -> BTreeSet<usize> {
        let asked = (0..PEOPLE).map(async |number| {
            let good = listener.login(&derived(&id(number)), "192.0.2.1:1").await;
            (!good).then_some(number)
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Waits until each of these listeners refuses these people and nobody else.
    async fn agree(&self, timeout: Duration, listeners: &[&Operator], refused: &BTreeSet<usize>) {
        let mut seen = Vec::new();
        let waited = tokio::time::timeout(timeout, async {
            loop {
                seen = join_all(listeners.iter().map(|listener| Self::refused(listener))).await;
                if seen.iter().all(|it| it == refused) {
                    return;
                }
            }
        });
        let in_time = waited.await.is_ok();
        assert!(
            in_time,
            "not within {timeout:?}: expected {refused:?}, the listeners refuse {seen:?}"
        );
    }

    /// Waits until the objects tell what the controller decided about each of these, and answers who is denied or gone.
    async fn word(&self, about: impl Iterator<Item = usize> + Clone) -> BTreeSet<usize> {
        self.cluster
            .until("the objects tell what became of everybody", || {
                let word = |number| match self.cluster.user(&id(number)) {
                    None => Some(Some(number)),
                    Some(user) if user["status"]["access"] == "Denied" => Some(Some(number)),
                    Some(user) => (user["status"]["reason"] == "GuardHeldBack").then_some(None),
                };
                let words: Option<Vec<Option<usize>>> = about.clone().map(word).collect();
                Some(words?.into_iter().flatten().collect())
            })
            .await
    }

    /// Waits until the objects tell that each of these is denied or gone.
    async fn all_denied(&self, who: &BTreeSet<usize>) {
        self.cluster
            .until("the objects tell that all of them are denied", || {
                let is_denied = |number: &usize| {
                    let user = self.cluster.user(&id(*number));
                    user.is_none_or(|user| user["status"]["access"] == "Denied")
                };
                who.iter().all(is_denied).then_some(())
            })
            .await;
    }

    /// Says that these people are not active any more, one after the other.
    async fn deactivate(&self, who: impl Iterator<Item = usize>) {
        for number in who {
            self.cluster.edit(&id(number), json!({ "active": false })).await;
        }
    }

    async fn guard(&self, word: &str, who: Option<&[usize]>) {
        let body = who.map_or_else(
            || json!({ "all": true }),
            |who| json!({ "ids": who.iter().map(|it| id(*it)).collect::<Vec<_>>() }),
        );
        let (status, answer) = self.controller.post(&format!("/guard/{word}"), body).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// `kill -9` of the controller, this, and the next controller.
    async fn controller_dies(self, then: impl FnOnce(&Cluster)) -> Self {
        self.controller.kill();
        then(&self.cluster);
        self.cluster.free_lease().await;
        Self {
            controller: self.cluster.start().await,
            cluster: self.cluster,
            replicas: self.replicas,
        }
    }

    /// `kill -9` of a replica, and the next one.
    async fn replica_dies(&mut self, at: usize) {
        self.replicas.remove(at).kill();
        let user = format!("replica-{}", self.replicas.len());
        self.replicas.insert(at, self.cluster.replica(&user).await);
    }

    /// Waits until this is so of what the status of each of these says is held back.
    async fn held_back(&self, who: &[usize], what: &str, is: impl Fn(&Value) -> bool) {
        for number in who {
            self.cluster
                .until(what, || {
                    let user = self.cluster.user(&id(*number))?;
                    let causes = user["status"]["guard"].as_array()?;
                    causes.iter().any(&is).then_some(())
                })
                .await;
        }
    }
}

fn split(about: impl Iterator<Item = usize>, denied: &BTreeSet<usize>) -> Vec<usize> {
    about.filter(|number| !denied.contains(number)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listener_does_as_the_controller_says_about_people_who_are_deleted_one_by_one() {
    let mut listeners = Listeners::start().await;
    for number in 0..LEAVING {
        listeners
            .cluster
            .kubectl
            .delete::<VpnUser>(&name(&id(number)))
            .await
            .unwrap();
        if number == LEAVING / 2 {
            listeners.replica_dies(0).await;
        }
    }
    let denied = listeners.word(0..LEAVING).await;
    assert!(denied.len() <= LIMIT, "{denied:?}");
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;
    let held_back = split(0..LEAVING, &denied);
    let first = id(held_back[0]);
    listeners
        .held_back(&held_back, "the object says what is held back", |it| {
            it["cause"] == "Declared"
        })
        .await;
    let event = listeners.cluster.event(&first, "GuardHeldBack").await;
    let note = event.note.unwrap_or_default();
    assert!(note.contains(&format!("vpn-operator guard confirm {first}")), "{note}");

    listeners.replica_dies(1).await;
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;
    listeners.guard("cancel", None).await;
    listeners
        .held_back(&held_back, "it was rejected", |it| it["rejected"] == true)
        .await;
    listeners.replica_dies(0).await;
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;

    // Deleted objects go for good when somebody says so.
    listeners.guard("confirm", None).await;
    let leaving: BTreeSet<usize> = (0..LEAVING).collect();
    listeners.all_denied(&leaving).await;
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &leaving).await;
    for number in leaving {
        listeners.cluster.gone("vpnusers", &name(&id(number))).await;
    }
    for replica in ["replica-a", "replica-b", "replica-0", "replica-1"] {
        let calls = listeners.cluster.kube.recorder().of(replica);
        let wrong: Vec<&Call> = calls
            .iter()
            .filter(|call| call.is_write() || call.code == 403)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_of_the_help_desk_is_in_force_at_every_listener_although_the_budget_is_used_up() {
    let listeners = Listeners::start().await;
    listeners.deactivate(0..LEAVING).await;
    let mut denied = listeners.word(0..LEAVING).await;
    assert_eq!(denied.len(), LIMIT, "the budget is used up");
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;
    let lost = PEOPLE - 1;
    let hold = format!("helpdesk-stolen-{}", name(&id(lost)));
    listeners.cluster.hold(&hold, &id(lost)).await;
    denied.insert(lost);
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;
    listeners.cluster.becomes(&id(lost), "Held").await;
    let hold = listeners.cluster.object("vpnholds", &hold).unwrap();
    assert_ne!(hold["status"]["phase"], "HeldBack");
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_of_a_feed_beyond_the_limit_say_so_and_deny_at_no_listener() {
    let mut listeners = Listeners::start().await;
    let hold = |number| format!("hr-left-{}", name(&id(number)));
    for number in 0..LEAVING {
        listeners.cluster.hold(&hold(number), &id(number)).await;
    }
    let phase = |number| {
        let object = listeners.cluster.object("vpnholds", &hold(number))?;
        object["status"]["phase"].as_str().map(str::to_owned)
    };
    let phases = listeners
        .cluster
        .until("every hold has its phase", || {
            (0..LEAVING).map(phase).collect::<Option<Vec<_>>>()
        })
        .await;
    let live = |number: &usize| phases[*number] == "Live";
    let denied: BTreeSet<usize> = (0..LEAVING).filter(live).collect();
    assert!(denied.len() <= LIMIT, "{phases:?}");
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;
    for number in split(0..LEAVING, &denied) {
        assert_eq!(phases[number], "HeldBack");
        let object = listeners.cluster.object("vpnholds", &hold(number)).unwrap();
        assert!(object["status"]["heldBack"]["since"].is_string(), "{object}");
        let message = listeners.cluster.stalled(&id(number), "GuardHeldBack").await;
        assert!(message.contains(&hold(number)), "{message}");
    }
    let first = id(split(0..LEAVING, &denied)[0]);
    let event = listeners.cluster.event(&first, "GuardHeldBack").await;
    let note = event.note.unwrap_or_default();
    assert!(note.contains(&format!("vpn-operator guard confirm {first}")), "{note}");
    assert_eq!(listeners.word(0..LEAVING).await, denied, "the users say so too");
    listeners.replica_dies(0).await;
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;

    listeners.guard("confirm", None).await;
    let leaving: BTreeSet<usize> = (0..LEAVING).collect();
    listeners.all_denied(&leaving).await;
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &leaving).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_that_has_lost_its_volume_finds_every_verdict_on_the_objects() {
    let mut listeners = Listeners::start().await;
    listeners.deactivate(0..LEAVING).await;
    let mut denied = listeners.word(0..LEAVING).await;
    let held_back = split(0..LEAVING, &denied);
    let (rejected, rest) = held_back.split_at(5);
    let (confirmed, waiting) = rest.split_at(5);
    listeners.guard("cancel", Some(rejected)).await;
    listeners.guard("confirm", Some(confirmed)).await;
    denied.extend(confirmed);
    listeners
        .held_back(rejected, "it was rejected", |it| it["rejected"] == true)
        .await;
    for number in confirmed {
        listeners.cluster.becomes(&id(*number), "Inactive").await;
    }
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;

    let guard = |cluster: &Cluster| {
        for file in std::fs::read_dir(cluster.house.data()).unwrap() {
            let path = file.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("guard.db") {
                std::fs::remove_file(path).unwrap();
            }
        }
    };
    let volume = |cluster: &Cluster| std::fs::remove_dir_all(cluster.house.data()).unwrap();
    for lost in [&guard as &dyn Fn(&Cluster), &volume] {
        listeners = listeners.controller_dies(lost).await;
        listeners.cluster.rest().await;
        listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;
        listeners
            .held_back(rejected, "still rejected", |it| it["rejected"] == true)
            .await;
        listeners
            .held_back(waiting, "still waiting", |it| it["rejected"].is_null())
            .await;
        super::holds::pending(&listeners.controller, waiting.len()).await;
    }
    listeners.replica_dies(0).await;
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_denied_stays_denied_when_no_status_could_be_written_before_a_crash() {
    let mut listeners = Listeners::start().await;
    let statuses = When::every().by(OPERATOR).verb("patch").resource("vpnusers/status");
    listeners.cluster.kube.fault(statuses, Fault::Status(500));
    listeners.deactivate(0..LEAVING).await;
    // What was decided is kept before anybody is told, and nobody could be.
    let tried = |number: usize| {
        let calls = listeners.cluster.kube.recorder();
        let name = name(&id(number));
        let is = |call: &Call| call.subresource == "status" && call.name == name && call.code == 500;
        calls.count(is) > 0
    };
    listeners
        .cluster
        .until("every status was to be written", || {
            (0..LEAVING).all(tried).then_some(())
        })
        .await;
    let denied = Listeners::refused(&listeners.controller).await;
    assert_eq!(denied.len(), LIMIT);

    listeners = listeners.controller_dies(|cluster| cluster.kube.faults().clear()).await;
    listeners.agree(WORD_TIMEOUT, &[&listeners.controller], &denied).await;
    assert_eq!(listeners.word(0..LEAVING).await, denied);
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_leads_a_replica_denies_one_and_holds_back_many() {
    let Listeners {
        cluster,
        controller,
        replicas,
    } = Listeners::start().await;
    controller.kill();
    let agree = async |refused: &[usize]| {
        let refused: BTreeSet<usize> = refused.iter().copied().collect();
        within(UNTIL_TIMEOUT, &format!("the replicas refuse {refused:?}"), async || {
            let seen = join_all(replicas.iter().map(Listeners::refused)).await;
            seen.iter().all(|it| *it == refused).then_some(())
        })
        .await;
    };
    cluster.delete_all::<VpnUser>(Some("leaving=true")).await;
    agree(&(0..LEAVING).collect::<Vec<_>>()).await;
    // Nobody said anything for some seconds.
    agree(&[]).await;
    let (held, inactive) = (PEOPLE - 1, PEOPLE - 2);
    cluster
        .hold(&format!("helpdesk-lost-{}", name(&id(held))), &id(held))
        .await;
    cluster.edit(&id(inactive), json!({ "active": false })).await;
    agree(&[inactive, held]).await;
    let user = cluster.user(&id(0)).unwrap();
    assert!(user["status"]["guard"].is_null(), "nobody judged: {user}");

    // The one who leads again decides.
    cluster.free_lease().await;
    let controller = cluster.start().await;
    let listeners = Listeners {
        cluster,
        controller,
        replicas,
    };
    let mut denied = listeners.word((0..LEAVING).chain([inactive])).await;
    denied.insert(held);
    assert!(denied.len() <= LIMIT, "{denied:?}");
    listeners.agree(WORD_TIMEOUT, &listeners.all(), &denied).await;
}
