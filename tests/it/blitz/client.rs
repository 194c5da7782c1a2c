//! What the client makes of each of the panel's quirks.

use std::{collections::HashMap, time::Duration};

use secrecy::ExposeSecret as _;
use vpn_operator::{
    fence::Fence,
    gateway::blitz::client::{Change, Entry, NewAccount, PanelClient, PanelEndpoint, PanelError},
};

use crate::support::blitz::{BlitzPanel, Fault, GB, Op};

const TOKEN: &str = "panel-token-7f3a";
const PASSWORD: &str = "pw-0f8c2b-secret";

fn endpoint(url: &str, token: &str) -> PanelEndpoint {
    PanelEndpoint {
        url: url.parse().unwrap(),
        token: token.into(),
        ca_bundle: None,
    }
}

fn client(panel: &BlitzPanel) -> PanelClient {
    PanelClient::new(&endpoint(&panel.url(), TOKEN), Fence::always_open()).unwrap()
}

fn account() -> NewAccount {
    NewAccount {
        password: PASSWORD.into(),
        limit_gb: 50,
        days: 30,
        note: "a note".to_owned(),
    }
}

fn block(blocked: bool) -> Change {
    Change {
        blocked: Some(blocked),
        ..Change::default()
    }
}

async fn names(client: &PanelClient) -> Vec<String> {
    let mut names: Vec<String> = client.list().await.unwrap().into_keys().collect();
    names.sort_unstable();
    names
}

async fn entry(client: &PanelClient, name: &str) -> Entry {
    client.list().await.unwrap().remove(name).unwrap()
}

#[tokio::test]
async fn an_account_is_made_read_back_changed_and_deleted() {
    let panel = BlitzPanel::start(TOKEN).await;
    let client = client(&panel);
    client.add("Corp_A1", &account()).await.unwrap();
    let read = entry(&client, "corp_a1").await;
    assert_eq!(read.password.expose_secret(), PASSWORD);
    assert_eq!((read.limit, read.days), (Some(50 << 30), Some(30)));
    assert_eq!(
        (read.created, read.blocked, read.note.as_str()),
        (None, false, "a note")
    );
    let change = Change {
        password: Some("another".into()),
        limit_gb: Some(0),
        days: Some(0),
        note: Some(String::new()),
        ..block(true)
    };
    client.change("corp_a1", &change).await.unwrap();
    let read = entry(&client, "corp_a1").await;
    assert_eq!(read.password.expose_secret(), "another");
    assert_eq!((read.limit, read.days, read.blocked), (None, None, true));
    client.delete(&["corp_a1"]).await.unwrap();
    assert_eq!(names(&client).await, [""; 0]);
}

#[tokio::test]
async fn only_the_one_exact_answer_means_that_there_is_nobody() {
    let panel = BlitzPanel::start(TOKEN).await;
    let client = client(&panel);
    assert!(client.list().await.unwrap().is_empty());
    client.add("corp_a1", &account()).await.unwrap();
    for status in [400, 404, 500, 502, 204, 307] {
        panel.fail_next(Op::List, Fault::Status(status));
        assert!(client.list().await.is_err(), "{status}");
    }
    panel.set_database_down(true);
    assert_eq!(client.list().await.unwrap_err().category(), "database_down");
    panel.set_database_down(false);
    panel.fail_next(Op::List, Fault::Truncated);
    let error = client.list().await.unwrap_err();
    assert!(error.is_retryable() && error.may_be_done(), "{error}");
    panel.fail_next(Op::List, Fault::SlowBody(Duration::from_millis(50)));
    assert_eq!(names(&client).await, ["corp_a1"]);
}

#[tokio::test]
async fn what_the_panel_says_of_an_error_is_sorted_and_never_repeated() {
    let panel = BlitzPanel::start(TOKEN).await;
    let client = client(&panel);
    client.add("corp_a1", &account()).await.unwrap();
    let mut seen = HashMap::new();
    let mut note = |what: &'static str, result: Result<(), PanelError>| {
        let error = result.unwrap_err();
        let told = format!("{error} {error:?}");
        for secret in [PASSWORD, TOKEN, "rootpath", "python3", "another"] {
            assert!(!told.contains(secret), "{what}: {told}");
        }
        seen.insert(what, error.category());
    };
    note("exists", client.add("CORP_A1", &account()).await);
    note("bad name", client.add("corp-a1", &account()).await);
    note("change of nobody", client.change("nobody", &block(true)).await);
    note("deletion of nobody", client.delete(&["nobody"]).await);
    let dashed = Change {
        password: Some("-another".into()),
        ..Change::default()
    };
    note("a password like an option", client.change("corp_a1", &dashed).await);
    panel.set_database_down(true);
    note("add without database", client.add("corp_b2", &account()).await);
    note(
        "change without database",
        client.change("corp_a1", &dashed_less()).await,
    );
    note("delete without database", client.delete(&["corp_a1"]).await);
    note(
        "links without database",
        client.links(&["corp_a1".to_owned()]).await.map(drop),
    );
    panel.set_database_down(false);
    panel.node().take_down().await;
    note(
        "block without traffic API",
        client.change("corp_a1", &block(true)).await,
    );
    note("delete without traffic API", client.delete(&["corp_a1"]).await);
    assert!(!panel.account("corp_a1").unwrap().blocked, "nothing was changed");
    panel.node().bring_up().await;
    panel.fail_next(Op::Add, Fault::Status(500));
    note("500", client.add("corp_b2", &account()).await);
    let wrong = PanelClient::new(&endpoint(&panel.url(), "another-token"), Fence::always_open()).unwrap();
    note("token", wrong.list().await.map(drop));
    let bearer = PanelClient::new(
        &endpoint(&panel.url(), &format!("Bearer {TOKEN}")),
        Fence::always_open(),
    )
    .unwrap();
    note("bearer", bearer.list().await.map(drop));
    let elsewhere = format!("{}/elsewhere", panel.url());
    let elsewhere = PanelClient::new(&endpoint(&elsewhere, TOKEN), Fence::always_open()).unwrap();
    note("path", elsewhere.list().await.map(drop));
    panel.fail_next(Op::Patch, Fault::Dropped);
    note("broken connection", client.change("corp_a1", &block(true)).await);
    let expected = [
        ("exists", "exists"),
        ("bad name", "rejected"),
        ("change of nobody", "no_such_account"),
        ("deletion of nobody", "no_such_account"),
        ("a password like an option", "rejected"),
        ("add without database", "database_down"),
        ("change without database", "database_down"),
        ("delete without database", "database_down"),
        ("links without database", "database_down"),
        ("block without traffic API", "traffic_api_down"),
        ("delete without traffic API", "traffic_api_down"),
        ("500", "status"),
        ("token", "unauthorized"),
        ("bearer", "unauthorized"),
        ("path", "wrong_path"),
        ("broken connection", "unreachable"),
    ];
    assert_eq!(seen, HashMap::from(expected));
}

fn dashed_less() -> Change {
    Change {
        password: Some("another".into()),
        ..Change::default()
    }
}

#[tokio::test]
async fn links_come_for_all_nodes_and_those_of_nobody_are_left_out() {
    let panel = BlitzPanel::start(TOKEN).await;
    let client = client(&panel);
    client.add("corp_a1", &account()).await.unwrap();
    let links = client
        .links(&["corp_a1".to_owned(), "nobody".to_owned()])
        .await
        .unwrap();
    assert_eq!(links.len(), 1);
    let named: Vec<&str> = links["corp_a1"].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, ["IPv4", "node-a"]);
    assert!(links["corp_a1"][1].1.expose_secret().starts_with("hy2://corp_a1:"));
    assert!(!format!("{links:?}").contains(PASSWORD));
}

#[tokio::test]
async fn no_call_leaves_the_client_while_the_fence_is_closed() {
    let panel = BlitzPanel::start(TOKEN).await;
    let (_keeper, closed) = Fence::closed(std::sync::Arc::new(vpn_operator::clock::SystemClock));
    let client = PanelClient::new(&endpoint(&panel.url(), TOKEN), closed).unwrap();
    assert_eq!(client.list().await.unwrap_err().category(), "fenced");
    assert!(panel.calls().is_empty());
}

#[tokio::test]
async fn a_base_address_with_and_without_a_slash_at_its_end_is_the_same() {
    let panel = BlitzPanel::start(TOKEN).await;
    let slashed = PanelClient::new(&endpoint(&format!("{}/", panel.url()), TOKEN), Fence::always_open()).unwrap();
    assert!(slashed.list().await.unwrap().is_empty());
}

/// The double itself: a busy device survives the first block, as measured, and the second one cuts it.
#[tokio::test]
async fn a_busy_device_survives_the_first_block_and_not_the_second() {
    let panel = BlitzPanel::start(TOKEN).await;
    let client = client(&panel);
    client.add("corp_a1", &account()).await.unwrap();
    let credential = format!("corp_a1:{PASSWORD}");
    let session = panel.connect(&credential, "192.0.2.1:1").await.unwrap();
    panel.set_pace(0.2);
    panel.set_gap(0.5);
    let busy = async {
        let mut session = session;
        loop {
            if session.send(10, 10).is_err() {
                match panel.connect(&credential, "192.0.2.1:1").await {
                    Ok(again) => session = again,
                    Err(_) => return,
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let blocks = async {
        client.change("corp_a1", &block(true)).await.unwrap();
        let after_one = client.list().await.unwrap()["corp_a1"].online;
        client.change("corp_a1", &block(true)).await.unwrap();
        after_one
    };
    let (after_one, ()) = tokio::join!(blocks, busy);
    assert_eq!(after_one, 1, "it came back between the kick and the write");
    assert_eq!(client.list().await.unwrap()["corp_a1"].online, 0);
    assert_eq!(panel.account("corp_a1").unwrap().max_download_bytes, 50 * GB);
}
