//! `import blitz`: from the accounts of a panel to people, of whom nobody is disconnected.

use std::sync::Arc;

use jiff::{ToSpan, Zoned};
use serde_json::{Value, json};

use super::{
    legacy::files,
    operator::{House, eventually, run, user},
};
use crate::support::blitz::{Account, BlitzPanel, GB, Op, PanelCall};

pub const TOKEN: &str = "the-token-of-the-panel";
const MARK: &str = "[vpn-operator]";
/// The panel writes it into links as it is, and the shell would not.
pub const ODD_PASSWORD: &str = "old-password of p@ss:w/o?r#d %41 пароль";

pub fn password(account: &str) -> String {
    format!("old-password-of-{account}")
}

/// An account as people make it in the panel.
pub fn by_hand(account: &str) -> Account {
    let created = Zoned::now().date().checked_sub(10.days()).unwrap();
    Account {
        password: password(account),
        max_download_bytes: 0,
        expiration_days: 0,
        account_creation_date: Some(created.to_string()),
        blocked: false,
        unlimited_user: false,
        note: Some("by hand".to_owned()),
        upload_bytes: None,
        download_bytes: None,
        online_count: 0,
    }
}

fn used(bytes: i64) -> (Option<u64>, Option<u64>) {
    (Some(0), u64::try_from(bytes).ok())
}

/// A panel with accounts of which names tell some IDs, and what the file says of others.
pub fn accounts(panel: &BlitzPanel, house: &House) {
    let mut database = panel.database();
    let mut add = |name: &str, account| {
        database.accounts.insert(name.to_owned(), account);
    };
    add("corp_ab123456", by_hand("corp_ab123456"));
    let (upload_bytes, download_bytes) = used(40 * GB);
    add(
        "cd234567",
        Account {
            max_download_bytes: 50 * GB,
            expiration_days: 30,
            upload_bytes,
            download_bytes,
            ..by_hand("cd234567")
        },
    );
    add(
        "anna",
        Account {
            password: ODD_PASSWORD.to_owned(),
            ..by_hand("anna")
        },
    );
    add(
        "corp_gh456789",
        Account {
            blocked: true,
            ..by_hand("corp_gh456789")
        },
    );
    let (upload_bytes, download_bytes) = used(2 * GB);
    add(
        "corp_jk567890",
        Account {
            max_download_bytes: GB,
            unlimited_user: true,
            upload_bytes,
            download_bytes,
            ..by_hand("corp_jk567890")
        },
    );
    add(
        "corp_lm678901",
        Account {
            max_download_bytes: 3 * GB / 2,
            upload_bytes,
            download_bytes,
            ..by_hand("corp_lm678901")
        },
    );
    add("guest", by_hand("guest"));
    add("nl\n", by_hand("nl"));
    std::fs::write(
        house.path("accounts.csv"),
        "account,corporate_id\nAnna,EF345678\nguest,\n",
    )
    .unwrap();
}

async fn house() -> (House, Arc<BlitzPanel>) {
    let panel = BlitzPanel::start(TOKEN).await;
    let mut house = House::new();
    house.set("BLITZ_API_URL", &panel.url());
    house.set("BLITZ_API_TOKEN", TOKEN);
    (house, panel)
}

async fn import(house: &House, more: &[&str]) -> (i32, String, String) {
    let mut args = vec!["import", "blitz", "--to", "folder:vpn", "--data", "data"];
    args.extend(more);
    let done = run(house.command(&args)).await;
    for text in [&done.1, &done.2] {
        for secret in ["old-password", TOKEN, "rootpath"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    done
}

async fn report(house: &House, more: &[&str]) -> (i32, Value) {
    let (code, stdout, stderr) = import(house, &[&["-o", "json"], more].concat()).await;
    let report = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    (code, report)
}

fn counts(report: &Value) -> [(i64, i64); 2] {
    ["people", "holds"].map(|what| {
        let count = |key: &str| report[what][key].as_i64().unwrap();
        (count("made"), count("there"))
    })
}

/// Calls that change something.
fn writes(panel: &BlitzPanel) -> Vec<PanelCall> {
    let mut calls = panel.calls();
    calls.retain(|call| !matches!(call.op, Op::List | Op::UriBulk));
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn the_panel_is_only_asked_and_a_second_run_changes_nothing() {
    let (house, panel) = house().await;
    accounts(&panel, &house);
    let before = panel.database().accounts.clone();
    let with_file = ["--match", "accounts.csv"];

    let (code, told) = report(&house, &[&with_file[..], &["--dry-run"]].concat()).await;
    assert_eq!((code, counts(&told)), (1, [(6, 0), (1, 0)]), "{told}");
    assert!(
        !house.data().exists() && files(&house.folder()).is_empty(),
        "a dry run makes nothing"
    );
    let (code, told) = report(&house, &with_file).await;
    assert_eq!((code, counts(&told)), (1, [(6, 0), (1, 0)]), "{told}");
    assert_eq!(told["left"], json!(["guest"]));
    assert_eq!(told["skipped"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["skipped"][0]["account"], "nl\n");
    let made = (files(&house.folder()), files(&house.data().join("holds")));
    let (code, told) = report(&house, &with_file).await;
    assert_eq!((code, counts(&told)), (1, [(0, 6), (0, 0)]), "{told}");
    let again = (files(&house.folder()), files(&house.data().join("holds")));
    assert_eq!(again, made, "a second run changes nothing");
    assert!(panel.calls().iter().all(|call| call.op == Op::List));
    assert_eq!(panel.database().accounts, before, "the panel is only asked");
    for (path, (_, content)) in made.0 {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains("old-password"), "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_disconnected_when_the_operator_begins_with_imported_accounts() {
    let (house, panel) = house().await;
    accounts(&panel, &house);
    assert_eq!(import(&house, &["--match", "accounts.csv"]).await.0, 1);
    // Two are connected meanwhile.
    let odd = format!("anna:{ODD_PASSWORD}");
    let mut anna = panel.connect(&odd, "192.0.2.1:1").await.unwrap();
    let plain = format!("cd234567:{}", password("cd234567"));
    let mut dora = panel.connect(&plain, "192.0.2.2:1").await.unwrap();
    let operator = house.start().await;
    for (id, verdict) in [
        ("AB123456", "Granted"),
        ("CD234567", "Granted"),
        ("EF345678", "Granted"),
        ("GH456789", "Held"),
        ("JK567890", "Granted"),
        ("LM678901", "OverQuota"),
    ] {
        operator.becomes(id, verdict).await;
    }
    let noted = |account: &str| panel.account(account).unwrap().note.unwrap() == format!("by hand {MARK}");
    for offline in ["corp_ab123456", "corp_jk567890"] {
        eventually("it has the mark", async || noted(offline).then_some(())).await;
    }
    eventually("who is over the limit is blocked", async || {
        panel.account("corp_lm678901").unwrap().blocked.then_some(())
    })
    .await;
    for id in ["GH456789", "LM678901"] {
        eventually("proved out", async || {
            let (_, page) = operator.get(&format!("/user/{id}")).await;
            page["revocation"]["sessions_zero_at"].as_str().map(|_| ())
        })
        .await;
    }
    // Who is connected has the link that they had, and is ready.
    let page = eventually("a link", async || {
        let (status, body) = operator.get("/user/EF345678/config").await;
        (status == 200).then_some(body)
    })
    .await;
    let link = page["hy2_url"].as_str().unwrap();
    assert!(
        link.starts_with("hysteria2://anna:old-password%20of%20p%40ss"),
        "{link}"
    );
    eventually("ready", async || {
        let (_, page) = operator.get("/user/EF345678").await;
        let ready = page["conditions"].as_array()?.iter().find(|it| it["type"] == "Ready")?;
        (ready["status"] == "True").then_some(())
    })
    .await;
    anna.send(1, 1).unwrap();
    dora.send(1, 1).unwrap();
    let of = |account: &str| {
        let calls = writes(&panel).into_iter().filter(|call| call.name == account);
        calls.map(|call| call.body).collect::<Vec<_>>()
    };
    assert_eq!(of("corp_ab123456"), [json!({ "note": format!("by hand {MARK}") })]);
    for untouched in ["anna", "cd234567", "corp_gh456789", "guest", "nl\n"] {
        assert_eq!(of(untouched), [json!(null); 0], "{untouched}");
        assert!(!panel.node().kicked().contains(&untouched.to_owned()), "{untouched}");
    }
    let (_, page) = operator.get("/user/CD234567").await;
    let used = page.to_string();
    assert!(used.contains("40Gi") || used.contains(&(40 * GB).to_string()), "{used}");

    // Once they are gone their accounts are brought in line, and they log in as before.
    anna.close();
    dora.close();
    eventually("the others have it, too", async || {
        (noted("anna") && noted("cd234567")).then_some(())
    })
    .await;
    let dora = panel.account("cd234567").unwrap();
    assert!(
        dora.max_download_bytes > 50 * GB && dora.expiration_days > 30,
        "the operator cuts first: {dora:?}"
    );
    for credential in [&odd, &plain] {
        panel.connect(credential, "192.0.2.3:1").await.unwrap().close();
    }
    let everything = operator.log() + &operator.stdout();
    assert!(!everything.contains("old-password"));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_file_is_named_line_by_line_and_nothing_is_done() {
    let (house, panel) = house().await;
    accounts(&panel, &house);
    let with = async |text: &str| {
        std::fs::write(house.path("accounts.csv"), text).unwrap();
        let (code, _, stderr) = import(&house, &["--match", "accounts.csv"]).await;
        assert!(stderr.contains("Nothing was imported"), "{stderr}");
        (code, stderr)
    };
    let (code, stderr) = with("anna,EF345678\nguest,not an ID\nANNA,GH456789\n").await;
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("accounts.csv:2: guest: the corporate ID") && stderr.contains("accounts.csv:3: anna stands"),
        "{stderr}"
    );
    assert_eq!(panel.calls().len(), 0);
    let (code, stderr) = with("anna,EF345678\nboris,GH456789\n").await;
    assert!(
        code == 2 && stderr.contains("accounts.csv:2: the panel has no account boris"),
        "{code} {stderr}"
    );
    assert!(!house.data().exists() && files(&house.folder()).is_empty());
    let (code, _, stderr) = import(&house, &["--match", "nowhere.csv"]).await;
    assert!(code == 3 && stderr.contains("nowhere.csv"), "{code} {stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_declared_already_stays_so_and_an_account_has_one_person() {
    let (house, panel) = house().await;
    accounts(&panel, &house);
    house.write("people.yaml", &user("GH456789", ""));
    house.write("others.yaml", &user("XY999999", "  username: cd234567\n"));
    let (code, stdout, stderr) = import(&house, &["--match", "accounts.csv"]).await;
    assert!(
        code == 1 && stderr.contains("nothing was made of 2 accounts"),
        "{code} {stderr}"
    );
    for said in [
        "GH456789: declared in people.yaml:1 already: that stays as it is, and no hold is placed",
        "skipped: CD234567: its account cd234567 is that of VpnUser xy999999 (others.yaml:1)",
        "Left at the panel as they are: guest",
    ] {
        assert!(stdout.contains(said), "{said}: {stdout}");
    }
    assert!(!house.folder().join("imported/cd234567.yaml").exists());
    let anna = house.read("imported/ef345678.yaml");
    assert!(
        anna.contains("username: anna") && anna.contains("adopt: IfExists"),
        "{anna}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_that_cannot_be_asked_is_not_taken_for_an_empty_one() {
    let (mut house, panel) = house().await;
    let (code, told) = report(&house, &[]).await;
    assert_eq!((code, counts(&told)), (0, [(0, 0), (0, 0)]), "{told}");
    accounts(&panel, &house);
    panel.set_database_down(true);
    let (code, _, stderr) = import(&house, &[]).await;
    assert!(
        code == 5 && stderr.contains("cannot reach its database"),
        "{code} {stderr}"
    );
    panel.set_database_down(false);
    panel.take_down().await;
    let (code, _, stderr) = import(&house, &[]).await;
    assert!(code == 5 && stderr.contains("Nothing was imported"), "{code} {stderr}");
    panel.bring_up();
    house.set("BLITZ_API_TOKEN", "another");
    let (code, _, stderr) = import(&house, &[]).await;
    assert!(code == 2 && stderr.contains("refused the token"), "{code} {stderr}");
    house.unset("BLITZ_API_TOKEN");
    let (code, _, stderr) = import(&house, &[]).await;
    assert!(code == 2 && stderr.contains("BLITZ_API_TOKEN_FILE"), "{code} {stderr}");
    house.unset("BLITZ_API_URL");
    let (code, _, stderr) = import(&house, &[]).await;
    assert!(code == 2 && stderr.contains("--blitz-api-url"), "{code} {stderr}");
    assert!(files(&house.folder()).is_empty());
}
