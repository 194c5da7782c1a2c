//! A replica over a source in memory: what it watches, whom it looks at, and that it needs nobody.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vpn_operator::{
    access::{Health, ProcessChecks},
    auth::{index::Verdict, listener::AuthEndpoint},
    clock::SystemClock,
    credentials::{MasterKey, SecretLookup, Sources},
    desired::{DesiredState, memory::MemorySource},
    gateway::{NodeName, declared::Environment},
    metrics::Metrics,
    model::{
        access::{Access, Reason},
        corporate_id::CorporateId,
        secret_source::SecretKeyRef,
        user::{AccountPresence, GatewayState, VpnUser, VpnUserStatus},
    },
    reconcile::{
        follow::{
            Follower, intake,
            nodes::{self, Nodes},
        },
        imported::{self, Imported},
    },
    roster::Roster,
};

use super::world::{STATS_SECRET, until};
use crate::support::{
    blitz::BlitzPanel,
    hysteria_node::{HysteriaNode, Mode},
};

struct Replica {
    follower: Arc<Follower>,
    key: MasterKey,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
    looks: TaskTracker,
    endpoint: Arc<AuthEndpoint>,
    _data: tempfile::TempDir,
}

impl Replica {
    /// Starts on this source, and does not wait.
    fn start(source: &Arc<MemorySource>) -> Self {
        Self::start_reading(source, Sources::local)
    }

    /// As [`Self::start`], with other sources of secrets.
    fn start_reading(source: &Arc<MemorySource>, sources: impl FnOnce(&Path) -> Sources) -> Self {
        let data = tempfile::tempdir().unwrap();
        let key = MasterKey::from_bytes(SecretBox::new(Box::new([7; 32])));
        let clock = Arc::new(SystemClock);
        let metrics = Arc::new(Metrics::new());
        let sources = sources(&data.path().join("own"));
        let (imported, to_import) = Imported::new(sources.clone(), key.clone());
        let known = Arc::clone(&imported);
        let roster = Roster::follower(key.clone(), Arc::new(move |user| known.password(user)), clock.clone());
        let roster = Arc::new(roster);
        let (cancel, looks) = (CancellationToken::new(), TaskTracker::new());
        let endpoint = AuthEndpoint::new(roster.index(), Arc::clone(&metrics));
        let nodes = Nodes::new(nodes::Dependencies {
            environment: Environment {
                spec: serde_json::from_value(json!({ "hysteria": { "nodes": [] } })).unwrap(),
                known: Vec::new(),
                auth_token: "auth-token".into(),
                stats_secret: STATS_SECRET.into(),
                undeclared: false,
                poll_interval: Duration::from_millis(50),
            },
            sources,
            index: roster.index(),
            endpoint: Arc::clone(&endpoint),
            clock,
            metrics: Arc::clone(&metrics),
            tasks: looks.clone(),
            cancel: cancel.clone(),
        });
        let watches = source.watch();
        let follower = Follower::new(Arc::clone(source) as _, roster, imported, nodes, metrics);
        let mut tasks = JoinSet::new();
        tasks.spawn(intake::run(watches, Arc::clone(&follower), cancel.clone()));
        tasks.spawn(Nodes::run(Arc::clone(&follower), cancel.clone()));
        tasks.spawn(imported::run(Arc::clone(&follower), to_import, cancel.clone()));
        Self {
            follower,
            key,
            cancel,
            tasks,
            looks,
            endpoint,
            _data: data,
        }
    }

    async fn started(source: &Arc<MemorySource>) -> Self {
        let replica = Self::start(source);
        until("the replica is ready", || replica.follower.is_ready()).await;
        replica
    }

    fn login_with(&self, id: &str, password: &str) -> Verdict {
        let index = self.follower.roster.index();
        let node = index.node(&NodeName::new("default", "a"));
        let account = CorporateId::parse(id).unwrap().account();
        index.login(&node, &format!("{account}:{password}"))
    }

    fn login(&self, id: &str) -> Verdict {
        let password = self.key.password(&CorporateId::parse(id).unwrap(), 1);
        self.login_with(id, password.expose_secret())
    }

    fn is_in(&self, id: &str) -> bool {
        matches!(self.login(id), Verdict::Granted(_))
    }

    /// Everything that was started ends.
    async fn stop(mut self) {
        self.cancel.cancel();
        self.looks.close();
        self.looks.wait().await;
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

fn declare(source: &MemorySource, id: &str, more: &serde_json::Value) -> VpnUser {
    let mut spec = more.clone();
    spec["corporateId"] = json!(id);
    let name = CorporateId::parse(id).unwrap().object_name();
    source.put_user(&name, serde_json::from_value(spec).unwrap())
}

fn gateway(source: &MemorySource, node: &serde_json::Value) {
    let spec = json!({ "hysteria": { "nodes": [node] } });
    source.put_gateway("default", serde_json::from_value(spec).unwrap());
}

#[tokio::test]
async fn the_word_of_the_controller_is_followed_and_nothing_is_written() {
    let source = MemorySource::new();
    let user = declare(&source, "AB123456", &json!({}));
    let replica = Replica::started(&source).await;
    assert!(replica.is_in("AB123456"), "nobody has to have said anything yet");
    let denied = VpnUserStatus {
        observed_generation: user.metadata.generation.unwrap(),
        access: Some(Access::Denied),
        reason: Some(Reason::Held),
        epoch: Some(7_000),
        ..VpnUserStatus::default()
    };
    source.report_user(&user, denied.clone()).await.unwrap();
    until("the denial is followed", || !replica.is_in("AB123456")).await;
    let granted = VpnUserStatus {
        access: Some(Access::Granted),
        reason: Some(Reason::Active),
        ..denied
    };
    source.report_user(&user, granted).await.unwrap();
    until("access is back", || replica.is_in("AB123456")).await;
    match replica.login("AB123456") {
        Verdict::Granted(session) => assert_eq!(session.id().epoch.0, 7_000),
        other => panic!("{other:?}"),
    }
    let user = source.get_user("ab123456").await.unwrap().unwrap();
    assert_eq!(
        user.metadata.resource_version.as_deref(),
        Some("3"),
        "only this test wrote"
    );
    replica.stop().await;
}

#[tokio::test]
async fn devices_that_nodes_show_count_and_a_dead_node_stops_nobody() {
    let node = HysteriaNode::start(STATS_SECRET, Duration::from_secs(30)).await;
    let source = MemorySource::new();
    gateway(
        &source,
        &json!({ "name": "a", "address": "vpn.example.com", "statsUrl": node.stats_url() }),
    );
    declare(&source, "AB123456", &json!({ "maxDevices": 1 }));
    declare(&source, "AB222222", &json!({}));
    // Two devices that other processes let in: the one that is allowed, and the one that a change of networks leaves.
    let devices = [
        node.register("corp_ab123456.0.0".into(), "192.0.2.7:1"),
        node.register("corp_ab123456.0.1".into(), "192.0.2.7:2"),
    ];
    let replica = Replica::started(&source).await;
    // A login before the node was looked at would take a place of its own.
    until("the node is looked at", || {
        replica.follower.nodes.health().iter().any(|it| it.polled_at.is_some())
    })
    .await;
    until("the devices are counted", || {
        matches!(replica.login("AB123456"), Verdict::TooManyDevices { .. })
    })
    .await;
    node.set_mode("/online", Mode::Hang);
    assert!(replica.is_in("AB222222"));
    node.take_down().await;
    until("the fault is shown", || {
        replica.follower.nodes.health().iter().any(|it| it.error.is_some())
    })
    .await;
    let health = Health::of_replica(&replica.follower, &no_checks());
    assert!(health.ready, "{health:?}");
    assert!(
        health
            .checks
            .iter()
            .any(|check| check.name == "node/default/a" && !check.is_ok())
    );
    assert!(replica.is_in("AB222222"));
    node.bring_up().await;
    node.set_mode("/online", Mode::Normal);
    for device in devices {
        device.close();
    }
    until("the devices are gone", || replica.is_in("AB123456")).await;
    assert!(
        node.calls().iter().all(|call| call.path == "/online"),
        "looking is all it does"
    );
    replica.stop().await;
}

#[tokio::test]
async fn a_replica_without_any_token_is_not_ready_until_it_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let source = MemorySource::new();
    gateway(
        &source,
        &json!({ "name": "a", "address": "vpn.example.com", "authToken": { "file": token } }),
    );
    let replica = Replica::start(&source);
    until("everything is listed", || replica.follower.roster.is_loaded()).await;
    assert!(!replica.follower.is_ready());
    let health = Health::of_replica(&replica.follower, &no_checks());
    assert!(
        !health.ready
            && health
                .checks
                .iter()
                .any(|check| check.name == "tokens" && !check.is_ok()),
        "{health:?}"
    );
    std::fs::write(&token, "the-token\n").unwrap();
    // An edit is one of the things that make it look again.
    gateway(
        &source,
        &json!({ "name": "a", "address": "vpn2.example.com", "authToken": { "file": token } }),
    );
    until("the token is read", || replica.follower.is_ready()).await;
    std::fs::remove_file(&token).unwrap();
    gateway(
        &source,
        &json!({ "name": "a", "address": "vpn3.example.com", "authToken": { "file": token } }),
    );
    source
        .delete_user("nobody", vpn_operator::desired::FieldManager::Api)
        .await
        .unwrap_err();
    assert!(replica.follower.is_ready(), "what was known goes on");
    replica.stop().await;
}

/// Secrets of a cluster, of which the password is read only when it is let through.
struct Cluster {
    gate: Semaphore,
    token: Mutex<&'static str>,
    /// Every token that was read.
    tokens: Mutex<Vec<&'static str>>,
}

impl Cluster {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Semaphore::new(0),
            token: Mutex::new("token-1"),
            tokens: Mutex::default(),
        })
    }
}

#[async_trait]
impl SecretLookup for Cluster {
    async fn lookup(&self, key: &SecretKeyRef) -> Result<SecretString, String> {
        match &*key.name {
            "tokens" => {
                let token = *self.token.lock().unwrap();
                self.tokens.lock().unwrap().push(token);
                Ok(token.into())
            }
            "passwords" => {
                let _open = self.gate.acquire().await.unwrap();
                Ok("of old".into())
            }
            other => Err(format!("no Secret {other}")),
        }
    }
}

#[tokio::test]
async fn a_replica_is_not_ready_before_the_imported_passwords_are_read() {
    let (source, cluster) = (MemorySource::new(), Cluster::new());
    let of = |name: &str| json!({ "credentialsFrom": { "secretKeyRef": { "name": name, "key": "password" } } });
    declare(&source, "AB123456", &of("passwords"));
    declare(&source, "AB123457", &of("nowhere"));
    let secrets = Arc::clone(&cluster);
    let replica = Replica::start_reading(&source, |own| Sources::cluster(own, secrets));
    until("everything is listed", || replica.follower.roster.is_loaded()).await;
    assert!(!replica.follower.is_ready());
    let health = Health::of_replica(&replica.follower, &no_checks());
    assert!(
        !health.ready
            && health
                .checks
                .iter()
                .any(|check| check.name == "passwords" && !check.is_ok()),
        "{health:?}"
    );
    cluster.gate.add_permits(1);
    until("what can be read was read", || replica.follower.is_ready()).await;
    until("the password counts", || {
        matches!(replica.login_with("AB123456", "of old"), Verdict::Granted(_))
    })
    .await;
    replica.stop().await;
}

#[tokio::test]
async fn a_token_that_changes_while_a_replica_loads_is_read_again() {
    let (source, cluster) = (MemorySource::new(), Cluster::new());
    let secret = |name: &str| json!({ "secretKeyRef": { "name": name, "key": "value" } });
    declare(&source, "AB123456", &json!({ "credentialsFrom": secret("passwords") }));
    gateway(
        &source,
        &json!({ "name": "a", "address": "vpn.example.com", "authToken": secret("tokens") }),
    );
    let secrets = Arc::clone(&cluster);
    let replica = Replica::start_reading(&source, |own| Sources::cluster(own, secrets));
    until("the token is read", || !cluster.tokens.lock().unwrap().is_empty()).await;
    // The load waits for the password.
    *cluster.token.lock().unwrap() = "token-2";
    replica.follower.secret_changed("tokens");
    until("the new token is read", || {
        cluster.tokens.lock().unwrap().last() == Some(&"token-2")
    })
    .await;
    cluster.gate.add_permits(1);
    replica.stop().await;
}

#[tokio::test]
async fn an_imported_password_is_read_and_nothing_else_lets_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "of old\n").unwrap();
    let source = MemorySource::new();
    declare(&source, "AB123456", &json!({ "credentialsFrom": { "file": file } }));
    let replica = Replica::started(&source).await;
    assert!(matches!(replica.login_with("AB123456", "of old"), Verdict::Granted(_)));
    assert!(!replica.is_in("AB123456"), "the derived password is not the person's");
    declare(&source, "AB123456", &json!({}));
    until("the derived password counts", || replica.is_in("AB123456")).await;
    assert!(matches!(replica.login_with("AB123456", "of old"), Verdict::BadPassword));
    replica.stop().await;
}

/// A process that finds nothing around it.
fn no_checks() -> ProcessChecks {
    Arc::new(Vec::new)
}

#[tokio::test]
async fn a_replica_guards_a_panel_and_leaves_strangers_accounts_to_it() {
    let panel = BlitzPanel::start("token").await;
    panel.set_penalty(Duration::from_millis(100));
    let source = MemorySource::new();
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str, value: &str| {
        std::fs::write(files.path().join(name), value).unwrap();
        json!({ "file": files.path().join(name) })
    };
    let spec = json!({ "blitz": {
        "url": panel.url(), "token": file("token", "token"),
        "authGuard": { "token": file("auth", "path-secret"), "upstream": panel.auth_url() },
    } });
    source.put_gateway("panel", serde_json::from_value(spec).unwrap());
    let anna = declare(&source, "AB123456", &json!({ "gateways": ["panel"] }));
    declare(&source, "AB654321", &json!({ "gateways": ["panel"], "active": false }));
    let replica = Replica::started(&source).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/auth/path-secret", listener.local_addr().unwrap());
    let router = replica.endpoint.router();
    let served = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let credential = |id: &str| {
        let id = CorporateId::parse(id).unwrap();
        format!("{}:{}", id.account(), replica.key.password(&id, 1).expose_secret())
    };
    let account = |password: &str| crate::support::blitz::Account::by_hand(password);
    for id in ["AB123456", "AB654321"] {
        let credential = credential(id);
        let (name, password) = credential.split_once(':').unwrap();
        panel.database().accounts.insert(name.to_owned(), account(password));
    }
    let lets_in = async |credential: &str| panel.connect_through(&url, credential, "192.0.2.1:1").await.is_ok();
    assert!(lets_in(&credential("AB123456")).await);
    let asked = panel.asked();
    assert!(!lets_in(&credential("AB654321")).await);
    assert_eq!(panel.asked(), asked, "a replica refuses by itself");

    // Somebody else's account of that name, as the controller found.
    panel
        .database()
        .accounts
        .insert("corp_ab123456".to_owned(), account("theirs"));
    assert!(!lets_in("corp_ab123456:theirs").await);
    let foreign = VpnUserStatus {
        observed_generation: anna.metadata.generation.unwrap(),
        gateways: vec![GatewayState {
            name: "panel".to_owned(),
            account: AccountPresence::Foreign,
        }],
        ..VpnUserStatus::default()
    };
    source.report_user(&anna, foreign).await.unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !lets_in("corp_ab123456:theirs").await {
        assert!(std::time::Instant::now() < deadline, "it stays refused");
    }
    served.abort();
    replica.stop().await;
}
