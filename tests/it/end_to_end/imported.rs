//! Passwords that exist already: `credentialsFrom`, from a file, a variable, or sealed.

use std::io::Write;

use serde_json::json;

use super::operator::{House, eventually, user};

const ANNA: &str = "AB123456";

async fn seal(house: &House, id: &str, password: &str) -> (i32, String, String) {
    let mut child = house
        .command(&["seal", id, "--data", "data"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap())
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn from_file(id: &str, path: &str) -> String {
    user(id, &format!("  credentialsFrom: {{ file: \"{path}\" }}\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_password_works_and_a_changed_one_cuts_the_old() {
    let (mut house, [node]) = House::with_nodes().await;
    house.set("CHRIS_PASSWORD", "chris: his own");
    let path = house.path("anna-password");
    std::fs::write(&path, "correct horse\n").unwrap();
    house.write("anna.yaml", &from_file(ANNA, path.to_str().unwrap()));
    house.write(
        "chris.yaml",
        &user("CD234567", "  credentialsFrom: { env: CHRIS_PASSWORD }\n"),
    );
    let operator = house.start().await;
    eventually("both are read", async || {
        let anna = operator.login("corp_ab123456:correct horse", "192.0.2.1:1").await;
        (anna && operator.login("corp_cd234567:chris: his own", "192.0.2.2:1").await).then_some(())
    })
    .await;
    let (_, config) = operator.get("/user/AB123456/config").await;
    assert!(
        config["hy2_url"]
            .as_str()
            .unwrap()
            .contains("corp_ab123456:correct%20horse@"),
        "{config}"
    );
    let mut device = operator
        .connect(&node, "corp_ab123456:correct horse", "192.0.2.1:2")
        .await
        .unwrap();
    operator.kill();

    std::fs::write(&path, "battery staple").unwrap();
    let operator = house.start().await;
    eventually("the new one counts", async || {
        operator
            .login("corp_ab123456:battery staple", "192.0.2.1:3")
            .await
            .then_some(())
    })
    .await;
    assert!(!operator.login("corp_ab123456:correct horse", "192.0.2.1:4").await);
    let _ = device.send(1, 1);
    let (status, problem) = operator
        .post("/user/AB123456/rotate", json!({ "what": "password" }))
        .await;
    assert_eq!(status, 409, "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_password_opens_for_its_person_and_no_other() {
    let (house, [_node]) = House::with_nodes().await;
    let (code, sealed, stderr) = seal(&house, ANNA, "correct horse\n").await;
    assert_eq!(code, 0, "{stderr}");
    assert!(
        sealed.starts_with("sealed:v1.") && sealed.lines().count() == 1,
        "{sealed}"
    );
    assert!(!house.data().exists(), "sealing with a given key makes nothing");
    let path = house.folder().join("anna.sealed");
    std::fs::write(&path, sealed).unwrap();
    house.write("anna.yaml", &from_file(ANNA, "vpn/anna.sealed"));
    house.write("chris.yaml", &from_file("CD234567", "vpn/anna.sealed"));
    let operator = house.start().await;
    eventually("it is read", async || {
        operator
            .login("corp_ab123456:correct horse", "192.0.2.1:1")
            .await
            .then_some(())
    })
    .await;
    eventually("the other is refused, and why is said", async || {
        operator.log().contains("sealed for something else").then_some(())
    })
    .await;
    assert!(!operator.login("corp_cd234567:correct horse", "192.0.2.2:1").await);
    let (status, problem) = operator.get("/user/CD234567/config").await;
    assert!(
        status >= 400 && problem["detail"].as_str().unwrap().contains("cannot be read"),
        "{status} {problem}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_without_a_key_or_a_password_says_what_to_do() {
    let mut house = House::new();
    for password in ["", "\n", "two\nlines\n"] {
        let (code, stdout, stderr) = seal(&house, ANNA, password).await;
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains("stdin") && !stderr.contains("two"), "{stderr}");
    }
    house.unset("MASTER_KEY");
    let (code, _, stderr) = seal(&house, ANNA, "hunter2").await;
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("vpn-operator run") && !stderr.contains("hunter2"),
        "{stderr}"
    );
    assert!(!house.data().exists());
}
