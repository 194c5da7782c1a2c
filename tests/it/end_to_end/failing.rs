//! What happens when history cannot be written: access and denials work, nothing is granted.

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use serde_json::{Value, json};

use super::operator::{House, Operator, eventually, user};
use crate::support::hysteria_node::HysteriaNode;

const ANNA: &str = "AB123456";

/// Logins are decided, a deactivation denies, a grant is refused with 503 and leaves nothing behind.
async fn only_history_is_missing(house: &House, operator: &Operator, what: &str) {
    let secret = operator.credential("CD234567").await;
    assert!(operator.login(&secret, "192.0.2.1:1").await);
    let files = std::fs::read_dir(house.folder()).unwrap().count();
    let (status, problem) = operator
        .post("/access/grant", json!({ "corporate_id": "EF345678" }))
        .await;
    assert_eq!(status, 503, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("nothing was changed"), "{detail}");
    assert_eq!(
        std::fs::read_dir(house.folder()).unwrap().count(),
        files,
        "half a grant was left behind"
    );
    let shown = operator.check("history").await;
    assert!(shown[0].contains(what), "{shown:?}");

    let (status, answer) = operator
        .post("/user/AB123456/deactivate", json!({ "reason": "left" }))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(operator.verdict(ANNA).await, "Held");
    let (status, problem) = operator.post("/user/AB123456/activate", json!({})).await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(operator.verdict(ANNA).await, "Held");
}

/// A house with two people, after a first run.
async fn used() -> (House, Arc<HysteriaNode>) {
    let (house, [node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, ""));
    house.write("chris.yaml", &user("CD234567", ""));
    house.start().await.stop().await;
    (house, node)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_history_stands_in_nobodys_way_and_is_not_overwritten() {
    let (house, _node) = used().await;
    let path = house.data().join("history.db");
    std::fs::write(&path, "this was a database").unwrap();
    let operator = house.start().await;
    only_history_is_missing(&house, &operator, "history.db").await;
    operator.stop().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "this was a database");
    // Put right by hand: what was denied meanwhile reaches the audit.
    std::fs::remove_file(&path).unwrap();
    let operator = house.start().await;
    eventually("the audit catches up", async || {
        let (_, audit) = operator.get("/audit?corporate_id=AB123456").await;
        audit.to_string().contains("\"deactivate\"").then_some(())
    })
    .await;
    assert_eq!(operator.verdict(ANNA).await, "Held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_history_stands_in_nobodys_way_and_heals_by_itself() {
    let (house, _node) = used().await;
    let database = rusqlite::Connection::open(house.data().join("history.db")).unwrap();
    database.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let operator = house.start().await;
    only_history_is_missing(&house, &operator, "lock").await;
    database.execute_batch("ROLLBACK").unwrap();
    drop(database);
    eventually("it heals", async || {
        operator.check("history").await.is_empty().then_some(())
    })
    .await;
    let (status, answer) = operator
        .post("/access/grant", json!({ "corporate_id": "EF345678" }))
        .await;
    assert_eq!(status, 200, "{answer}");
    eventually("the denial is in the audit", async || {
        let (_, audit) = operator.get("/audit?corporate_id=AB123456").await;
        audit.to_string().contains("\"deactivate\"").then_some(())
    })
    .await;
}

/// Every check of the operator's own as `doctor` shows it, and its exit code.
async fn doctor(house: &House, operator: &Operator) -> (i32, Value) {
    let auth = operator.auth.to_string();
    let args = [
        "doctor",
        "-o",
        "json",
        "--desired",
        "folder:vpn",
        "--auth-listen",
        &auth,
    ];
    let (code, said, _) = operator.cli(house, &args).await;
    (code, serde_json::from_str(&said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_shows_what_the_operator_says_of_itself() {
    let (house, _node) = used().await;
    let operator = house.start().await;
    let (code, found) = doctor(&house, &operator).await;
    assert_eq!(code, 0, "{found}");

    // Nobody asks for anything meanwhile: the operator finds out by itself.
    let database = rusqlite::Connection::open(house.data().join("history.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    eventually("readiness says it", async || {
        (!operator.check("history").await.is_empty()).then_some(())
    })
    .await;
    house.write("typo.yaml", &user("GH456789", "  activ: false\n"));
    eventually("the typo is read", async || {
        (!operator.check("documents").await.is_empty()).then_some(())
    })
    .await;
    let (_, ready) = operator.get("/readyz?verbose").await;
    let (code, found) = doctor(&house, &operator).await;
    assert_eq!(code, 1, "{found}");
    let shown = found["checks"].as_array().unwrap();
    for check in ready["checks"].as_array().unwrap() {
        let same = shown.iter().find(|finding| finding["name"] == check["name"]);
        let same = same.unwrap_or_else(|| panic!("{check} is missing: {found}"));
        assert_eq!(same["result"], check["result"], "{found}");
        for detail in check["details"].as_array().unwrap() {
            assert!(
                same["message"].as_str().unwrap().contains(detail.as_str().unwrap()),
                "{same}"
            );
        }
    }
    for (name, words) in [("history", "lock"), ("documents", "activ")] {
        let finding = shown.iter().find(|finding| finding["name"] == name).unwrap();
        assert_eq!(finding["result"], "failed");
        assert!(finding["message"].as_str().unwrap().contains(words), "{finding}");
    }

    database.execute_batch("ROLLBACK").unwrap();
    house.remove("typo.yaml");
    eventually("all is well again", async || {
        (doctor(&house, &operator).await.0 == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_may_not_grow_refuses_grants_and_denies() {
    let (house, _node) = used().await;
    // No file of the operator may become larger than this: what a full disk is to SQLite. Writes fail instead of a signal.
    let limit = std::fs::metadata(house.data().join("history.db")).unwrap().len() / 512;
    let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\"");
    let operator = house
        .launch_in("sh", &["-c", &script, env!("CARGO_BIN_EXE_vpn-operator")], &[])
        .await;
    operator.ready().await;
    let secret = operator.credential("CD234567").await;
    let mut refused = None;
    for number in 0..200 {
        let (status, answer) = operator
            .post("/access/grant", json!({ "corporate_id": format!("EF{number:06}") }))
            .await;
        if status != 200 {
            refused = Some((number, status, answer));
            break;
        }
    }
    let (number, status, problem) = refused.unwrap();
    assert_eq!(status, 503, "{problem}");
    assert!(operator.login(&secret, "192.0.2.1:1").await);
    let (status, answer) = operator.post("/user/AB123456/deactivate", json!({})).await;
    assert_eq!((status, answer["hold"].is_string()), (200, true), "{answer}");
    let id = format!("EF{number:06}");
    assert_eq!(
        operator.get(&format!("/user/{id}")).await.0,
        404,
        "half a grant was left behind"
    );
    operator.kill();

    let operator = house.start().await;
    assert_eq!(operator.verdict(ANNA).await, "Held");
    let (status, answer) = operator.post("/access/grant", json!({ "corporate_id": id })).await;
    assert_eq!(status, 200, "{answer}");
}

/// A file system that is full after a few hundred kilobytes; `None` where mounting is not permitted.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"]).arg(at);
        let done = mount.output().is_ok_and(|output| output.status.success());
        done.then_some(Self(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Nothing to do about it when it fails.
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_that_was_answered() {
    let (house, [node]) = House::with_nodes().await;
    house.write("anna.yaml", &user(ANNA, ""));
    house.write("chris.yaml", &user("CD234567", ""));
    house.write("gina.yaml", &user("GH456789", ""));
    let data = house.data();
    let Some(_disk) = SmallDisk::mount(&data) else {
        println!("mounting is not permitted here: not tried");
        return;
    };
    let operator = house.start().await;
    let secret = operator.credential(ANNA).await;
    let mut device = operator.connect(&node, &secret, "192.0.2.1:1").await.unwrap();
    let filler = data.join("filler");
    let mut bytes = vec![0; 2 << 20];
    while !bytes.is_empty() && std::fs::write(&filler, &bytes).is_err() {
        bytes.truncate(bytes.len() - 4096);
    }
    let mut refused = None;
    for number in 0..200 {
        let (status, answer) = operator
            .post("/access/grant", json!({ "corporate_id": format!("EF{number:06}") }))
            .await;
        if status != 200 {
            refused = Some((number, status, answer));
            break;
        }
    }
    let (number, status, problem) = refused.unwrap();
    assert_eq!(status, 503, "{problem}");
    let (code, found) = doctor(&house, &operator).await;
    assert_eq!(code, 1, "{found}");
    for name in ["history", "data folder"] {
        let checks = found["checks"].as_array().unwrap();
        let finding = checks.iter().find(|finding| finding["name"] == name).unwrap();
        assert_eq!(finding["result"], "failed", "{found}");
    }
    assert!(operator.login(&secret, "192.0.2.1:2").await);
    // Room for the hold of one, and for nothing else. What the operator writes beside it may be faster.
    let deactivated = eventually("a hold has room", async || {
        let file = std::fs::File::options().write(true).open(&filler).unwrap();
        file.set_len(file.metadata().unwrap().len() - 4096).unwrap();
        drop(file);
        let why = json!({ "reason": "the laptop was stolen" });
        let (status, answer) = operator.post("/user/GH456789/deactivate", why).await;
        assert!(status == 200 || status == 503, "{status} {answer}");
        (status == 200).then_some(())
    });
    deactivated.await;
    assert!(operator.check("history").await.join("").contains("no space"));
    // No room for a hold, so it is not answered as kept. The flip in the folder, which is on another disk, denies all the same.
    let (status, answer) = operator.post("/user/AB123456/deactivate", json!({})).await;
    assert_eq!(status, 503, "{answer}");
    assert!(
        answer["detail"].as_str().unwrap().contains("spec.active is false"),
        "{answer}"
    );
    assert!(!operator.login(&secret, "192.0.2.1:3").await);
    eventually("the session is cut", async || device.send(1, 1).is_err().then_some(())).await;

    operator.kill();
    let operator = house.start().await;
    assert!(
        !operator.login(&secret, "192.0.2.1:4").await,
        "a restart without room lets a leaver in"
    );
    assert_eq!(operator.verdict("CD234567").await, "Granted");
    operator.kill();

    std::fs::remove_file(&filler).unwrap();
    let operator = house.start().await;
    let id = format!("EF{number:06}");
    eventually("grants work again", async || {
        let (status, _) = operator.post("/access/grant", json!({ "corporate_id": id })).await;
        (status == 200).then_some(())
    })
    .await;
    // Who ordered the denials, and why, stands as the denials do.
    eventually("the orders are in the audit", async || {
        let (_, gina) = operator.get("/audit?corporate_id=GH456789").await;
        let (_, anna) = operator.get("/audit?corporate_id=AB123456").await;
        let (gina, anna) = (gina.to_string(), anna.to_string());
        let told = gina.contains("\"deactivate\"") && gina.contains("the laptop was stolen");
        (told && anna.contains("\"deactivate.failed\"")).then_some(())
    })
    .await;
    operator.kill();
    let operator = house.start().await;
    assert_ne!(operator.verdict(ANNA).await, "Granted");
    assert_ne!(operator.verdict("GH456789").await, "Granted");
    for number in 0..number {
        assert_eq!(operator.verdict(&format!("EF{number:06}")).await, "Granted");
    }
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_may_not_be_written_is_no_reason_to_let_a_leaver_in() {
    let (house, _node) = used().await;
    let operator = house.start().await;
    // An anchor makes the edit unsafe; the hold stands alone, and the answer says so.
    house.write("anna.yaml", &user(ANNA, "  role: Anna\n  active: &yes true\n"));
    eventually("it is read", async || {
        let (_, page) = operator.get("/user/AB123456").await;
        (page["role"] == "Anna").then_some(())
    })
    .await;
    let before = house.read("anna.yaml");
    let (status, answer) = operator.post("/user/AB123456/deactivate", json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("deactivated")), "{answer}");
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .contains("spec.active could not be set"),
        "{answer}"
    );
    assert_eq!(house.read("anna.yaml"), before);
    let mode = std::fs::metadata(house.data().join("holds"))
        .unwrap()
        .permissions()
        .mode()
        & 0o077;
    assert_eq!(mode & 0o022, 0, "nobody else may lift holds");
}
