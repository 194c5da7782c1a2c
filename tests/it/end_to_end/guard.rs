//! Too many denials at once wait for a person.

use serde_json::json;

use super::operator::{House, Operator, eventually, user};

fn id(number: usize) -> String {
    format!("AB{number:06}")
}

/// A hundred people in two files, thirty of them in `leaving.yaml`.
async fn a_hundred() -> (House, Operator) {
    let house = House::new();
    let people = |range: std::ops::Range<usize>| range.map(|n| user(&id(n), "")).collect::<Vec<_>>().join("---\n");
    house.write("leaving.yaml", &people(0..30));
    house.write("staying.yaml", &people(30..100));
    let operator = house.start().await;
    (house, operator)
}

async fn pending(operator: &Operator) -> usize {
    operator.get("/guard").await.1["pending"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_of_a_hundred_wait_over_a_restart_until_confirmed() {
    let (house, operator) = a_hundred().await;
    let secret = operator.credential(&id(3)).await;
    house.remove("leaving.yaml");
    eventually("they are held back", async || {
        (pending(&operator).await == 30).then_some(())
    })
    .await;
    assert_eq!(operator.get("/guard").await.1["pending"][0]["from"], "leaving.yaml");
    assert!(operator.login(&secret, "192.0.2.1:1").await);
    let (code, table, hint) = operator.cli(&house, &["guard", "show"]).await;
    assert_eq!(code, 6, "{hint}");
    assert!(
        table.contains("AB000003") && !table.contains("AB000030") && hint.contains("guard confirm"),
        "{table}{hint}"
    );
    assert!(operator.check("guard").await[0].contains("30 denials"));
    operator.kill();

    let operator = house.start().await;
    assert_eq!(pending(&operator).await, 30);
    assert!(operator.login(&secret, "192.0.2.1:2").await);
    let (code, _, stderr) = operator.cli(&house, &["guard", "confirm", "AB000003"]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(!operator.login(&secret, "192.0.2.1:3").await);
    assert_eq!(pending(&operator).await, 29);
    let (code, _, stderr) = operator.cli(&house, &["guard", "confirm", "--all"]).await;
    assert_eq!(code, 0, "{stderr}");
    for number in 0..30 {
        assert_ne!(operator.verdict(&id(number)).await, "Granted");
    }
    assert_eq!(operator.verdict(&id(30)).await, "Granted");
    let (code, _, _) = operator.cli(&house, &["guard", "show"]).await;
    assert_eq!(code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_cancelled_stays_in_over_a_restart() {
    let (house, operator) = a_hundred().await;
    let secret = operator.credential(&id(3)).await;
    let text = house.read("leaving.yaml");
    house.remove("leaving.yaml");
    eventually("they are held back", async || {
        (pending(&operator).await == 30).then_some(())
    })
    .await;
    let (code, _, stderr) = operator.cli(&house, &["guard", "cancel", "--all"]).await;
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(pending(&operator).await, 0);
    operator.kill();
    let operator = house.start().await;
    assert_eq!(pending(&operator).await, 0);
    assert!(operator.login(&secret, "192.0.2.1:1").await);
    house.write("leaving.yaml", &text);
    eventually("declared again", async || {
        let (_, page) = operator.get(&format!("/user/{}", id(3))).await;
        (page["declared"] == true && page["reason"] == "Active").then_some(())
    })
    .await;
    assert!(
        operator.login(&secret, "192.0.2.1:2").await,
        "the credentials are the same"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_emptied_denies_nobody() {
    let house = House::new();
    for number in 0..4 {
        house.write(&format!("{number}.yaml"), &user(&id(number), ""));
    }
    let operator = house.start().await;
    for number in 0..4 {
        house.remove(&format!("{number}.yaml"));
    }
    eventually("all are held back", async || {
        (pending(&operator).await == 4).then_some(())
    })
    .await;
    for number in 0..4 {
        assert_eq!(operator.verdict(&id(number)).await, "Granted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_deactivates_everybody_is_held_back_and_taken_back() {
    let (house, operator) = a_hundred().await;
    let text = house.read("leaving.yaml");
    house.write("leaving.yaml", &text.replace("spec:\n", "spec:\n  active: false\n"));
    eventually("they are held back", async || {
        (pending(&operator).await == 30).then_some(())
    })
    .await;
    let (status, answer) = operator.post(&format!("/user/{}/deactivate", id(3)), json!({})).await;
    assert_eq!(
        status, 200,
        "one more by hand goes through or says that it waits: {answer}"
    );
    house.write("leaving.yaml", &text);
    eventually("nothing waits", async || (pending(&operator).await <= 1).then_some(())).await;
    assert_eq!(operator.verdict(&id(4)).await, "Granted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_says_it_again_after_a_rejection_means_it() {
    let mut house = House::new();
    house.set("GUARD_LIMIT", "10,hr=1");
    house.set("GUARD_SHARE", "0");
    house.set("GUARD_WINDOW", "2s");
    house.write("people.yaml", &[user(&id(0), ""), user(&id(1), "")].join("---\n"));
    let operator = house.start().await;
    let secret = operator.credential(&id(1)).await;
    let fired = async |number: usize| {
        operator
            .post_as("hr", &format!("/user/{}/deactivate", id(number)), json!({}))
            .await
    };
    assert_eq!(fired(0).await.0, 200);
    let (status, answer) = fired(1).await;
    assert_eq!((status, &answer["status"]), (202, &json!("held_back")), "{answer}");
    assert!(operator.login(&secret, "192.0.2.1:1").await);
    let (status, answer) = operator.post("/guard/cancel", json!({ "all": true })).await;
    assert_eq!(status, 200, "{answer}");
    eventually("there is room in the budget", async || {
        let (_, guard) = operator.get("/guard").await;
        let budgets = guard["budgets"].as_array()?.clone();
        budgets
            .iter()
            .any(|it| it["budget"] == "Hr" && it["used"] == 0)
            .then_some(())
    })
    .await;
    assert!(operator.login(&secret, "192.0.2.1:2").await);
    let (status, answer) = fired(1).await;
    assert_eq!((status, &answer["status"]), (200, &json!("deactivated")), "{answer}");
    assert!(!operator.login(&secret, "192.0.2.1:3").await);
    let again = answer["hold"].clone();
    eventually("a second later it is the same", async || {
        let (status, answer) = fired(1).await;
        assert_eq!((status, &answer["hold"]), (200, &again), "{answer}");
        let (_, holds) = operator.get(&format!("/holds?corporate_id={}", id(1))).await;
        assert_eq!(holds["holds"].as_array()?.len(), 2, "{holds}");
        Some(())
    })
    .await;
    operator.kill();
    let operator = house.start().await;
    assert!(!operator.login(&secret, "192.0.2.1:4").await);
}
