//! What admins and the help desk do in the chat.

use serde_json::json;

use super::{ADMIN, ANNA, DESK, PERSON, house, house_and_node, no, yes};
use crate::end_to_end::{
    handover::press,
    operator::{eventually, user},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_deactivates_after_a_confirmation_and_the_audit_names_the_account() {
    let (house, telegram) = house().await;
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    let asked = telegram
        .asks(ADMIN, "en", &format!("/deactivate {PERSON} left <b>today"))
        .await;
    assert!(
        asked.text.contains("Anna &lt;b&gt;") && asked.text.contains("left &lt;b&gt;today"),
        "{asked:?}"
    );
    // Somebody else has seen the button.
    telegram.answers(DESK, "en", &yes(&asked)).await;
    telegram.answers(ANNA, "en", &yes(&asked)).await;
    operator.becomes(PERSON, "Granted").await;
    telegram.answers(ADMIN, "en", &yes(&asked)).await;
    operator.becomes(PERSON, "Held").await;
    let story = telegram.asks(ADMIN, "en", &format!("/story {PERSON}")).await;
    assert!(story.text.contains("telegram:7"), "{story:?}");
    let asked = telegram.asks(ADMIN, "en", &format!("/activate {PERSON} back")).await;
    telegram.answers(ADMIN, "en", &yes(&asked)).await;
    operator.becomes(PERSON, "Granted").await;
    telegram.sound();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_desk_holds_and_releases_and_nobody_does_more_than_their_role() {
    let (house, telegram) = house().await;
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    for (account, command) in [
        (DESK, "/deactivate AB123456 x"),
        (DESK, "/guard"),
        (DESK, "/issue Anna"),
        (DESK, "/grant AB123456"),
        (ANNA, "/hold AB123456 x"),
        (ANNA, "/code AB123456"),
        (ANNA, "/link AB123456"),
        (ANNA, "/show AB123456"),
    ] {
        let said = telegram.asks(account, "en", command).await;
        assert!(
            said.text.contains("This is for") && said.buttons.is_empty(),
            "{command}: {said:?}"
        );
    }
    let asked = telegram.asks(DESK, "en", "/hold AB123456 lost phone").await;
    telegram.answers(DESK, "en", &yes(&asked)).await;
    operator.becomes(PERSON, "Held").await;
    let asked = telegram.asks(DESK, "en", "/release AB123456 found").await;
    telegram.answers(DESK, "en", &yes(&asked)).await;
    operator.becomes(PERSON, "Granted").await;
    let shown = telegram.asks(DESK, "en", "/show AB123456").await;
    assert!(
        shown.text.contains("Anna &lt;b&gt;") && !shown.text.contains("hysteria2"),
        "{shown:?}"
    );
    telegram.sound();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_released_names_its_reason_in_the_audit_and_who_is_online_is_listed() {
    let (house, telegram, node) = house_and_node().await;
    house.write("boris.yaml", &user("CD123456", ""));
    let operator = house.start().await;
    for person in [PERSON, "CD123456"] {
        operator.becomes(person, "Granted").await;
    }
    let credential = operator.credential(PERSON).await;
    let _device = operator.connect(&node, &credential, "192.0.2.1:1").await.unwrap();
    eventually("the poll has seen the device", async || {
        let (_, online) = operator.get("/users?online=true").await;
        (online["users"].as_array()?.len() == 1).then_some(())
    })
    .await;
    let (_, others) = operator.get("/users?online=false").await;
    assert!(others["users"].to_string().contains("CD123456") && !others["users"].to_string().contains(PERSON));
    let online = telegram.asks(ADMIN, "en", "/online").await;
    assert!(
        online.text.contains(PERSON) && !online.text.contains("CD123456"),
        "{online:?}"
    );
    let asked = telegram.asks(DESK, "en", &format!("/hold {PERSON} lost phone")).await;
    telegram.answers(DESK, "en", &yes(&asked)).await;
    operator.becomes(PERSON, "Held").await;
    let asked = telegram
        .asks(DESK, "en", &format!("/release {PERSON} found it again"))
        .await;
    assert!(asked.text.contains("found it again"), "{asked:?}");
    telegram.answers(DESK, "en", &yes(&asked)).await;
    operator.becomes(PERSON, "Granted").await;
    let (_, audit) = operator.get(&format!("/audit?corporate_id={PERSON}")).await;
    let rows = audit["rows"].as_array().unwrap();
    let released = rows.iter().find(|row| row["action"] == "hold.release");
    assert_eq!(released.unwrap()["reason"], json!("found it again"), "{audit}");
    telegram.sound();
    operator.stop().await;
}

/// The help desk hands a link over, which it can copy although the message is protected, and which is deleted like other secrets.
#[tokio::test(flavor = "multi_thread")]
async fn the_help_desk_hands_a_link_over_that_opens_the_page_once_and_is_deleted_from_the_chat() {
    let (mut house, telegram) = house().await;
    house.set("BOT_DELETE_AFTER", "1s");
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    for (account, language, words) in [(DESK, "en", "once, until"), (ADMIN, "ru", "один раз откроет")] {
        let said = telegram.asks(account, language, &format!("/link {PERSON}")).await;
        assert!(said.secret && said.text.contains(words), "{said:?}");
        for never in ["hysteria2", "/sub/ab123456"] {
            assert!(!said.text.contains(never), "{said:?}");
        }
        let link = said.text.split("<code>").nth(1).unwrap().split('<').next().unwrap();
        let [(_, copied)] = &said.buttons[..] else {
            panic!("one button: {said:?}")
        };
        assert_eq!(copied, link);
        assert_eq!(press(&operator, link).await, 303);
        assert_eq!(press(&operator, link).await, 410, "once");
        let (chat, message) = (said.chat, said.message);
        eventually("it is deleted", async || {
            telegram.deleted().contains(&(chat, message)).then_some(())
        })
        .await;
    }
    let (_, audit) = operator.get(&format!("/audit?corporate_id={PERSON}")).await;
    let rows = audit["rows"].as_array().unwrap();
    let made: Vec<&str> = rows
        .iter()
        .filter(|row| row["action"] == "handover.made")
        .map(|row| row["actor"].as_str().unwrap())
        .collect();
    assert!(
        made.len() == 2 && made[0].starts_with("telegram:7") && made[1].starts_with("telegram:8"),
        "{audit}"
    );
    assert_eq!(rows.iter().filter(|row| row["action"] == "handover.opened").count(), 2);
    let said = telegram.asks(DESK, "en", "/link ZZ999999").await;
    assert!(
        said.text.contains("nobody is declared") && said.buttons.is_empty(),
        "{said:?}"
    );
    let said = telegram.asks(DESK, "en", "/link").await;
    assert!(said.text.contains("/link AB123456"), "{said:?}");
    let help = telegram.asks(DESK, "en", "/help").await;
    assert!(help.text.contains("/link ID"), "{help:?}");
    let hold = json!({ "corporate_id": PERSON, "reason": "lost" });
    assert_eq!(operator.post("/holds", hold).await.0, 201);
    let said = telegram.asks(DESK, "en", &format!("/link {PERSON}")).await;
    assert!(said.text.contains("no access at present"), "{said:?}");
    telegram.sound();
    operator.stop().await;
}

/// The buttons of the word about the guard work for whoever is told, however late, and each asks again.
#[tokio::test(flavor = "multi_thread")]
async fn admins_are_told_what_is_held_back_and_confirm_it_from_there() {
    let (mut house, telegram) = house().await;
    house.set("GUARD_LIMIT", "1");
    house.set("GUARD_SHARE", "0%");
    let ids: Vec<String> = (0..4).map(|number| format!("EF10000{number}")).collect();
    for id in &ids {
        house.write(&format!("{id}.yaml"), &user(id, ""));
    }
    let operator = house.start().await;
    for id in &ids {
        operator.becomes(id, "Granted").await;
    }
    for id in &ids {
        house.write(&format!("{id}.yaml"), &user(id, "  active: false\n"));
    }
    let told = telegram.nth(ADMIN, 1).await;
    let words: Vec<&str> = told.buttons.iter().map(|(_, data)| data.as_str()).collect();
    assert_eq!(words, ["g:look", "g:confirm", "g:cancel"], "{told:?}");
    let shown = telegram.answers(ADMIN, "en", words[0]).await;
    assert!(ids.iter().any(|id| shown.text.contains(id)), "{shown:?}");
    let asked = telegram.answers(ADMIN, "en", words[1]).await;
    telegram.answers(ADMIN, "en", &no(&asked)).await;
    let (_, guard) = operator.get("/guard").await;
    assert!(guard["pending_total"].as_u64().unwrap() > 0, "{guard}");
    let asked = telegram.answers(ADMIN, "en", words[1]).await;
    telegram.answers(ADMIN, "en", &yes(&asked)).await;
    for id in &ids {
        operator.becomes(id, "Inactive").await;
    }
    telegram.sound();
    operator.stop().await;
}
