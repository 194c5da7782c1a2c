//! What people try who want what is not theirs.

use super::{ADMIN, ANNA, DESK, PERSON, code, house, link, yes};
use crate::{
    end_to_end::{
        linking::with_mail,
        operator::{eventually, user},
    },
    support::{smtp::Begins, telegram::Said},
};

const BORIS: i64 = 43;
/// Most answers that a flood has: the one that is being given, and those that wait.
const FLOODED: usize = 21;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_floods_waits_alone_and_loses_what_is_too_much() {
    let (house, telegram) = house().await;
    let operator = house.start().await;
    telegram.asks(ANNA, "en", "/help").await;
    let before = telegram.chats().len();
    for _ in 0..300 {
        telegram.writes(BORIS, "en", "/help");
    }
    for other in 0..20 {
        telegram.writes(1000 + other, "en", "/help");
    }
    for other in 0..20 {
        telegram.nth(1000 + other, 1).await;
    }
    let flooded = |chats: &[i64]| chats.iter().filter(|chat| **chat == BORIS).count();
    let chats = telegram.chats();
    let last = chats.iter().rposition(|chat| *chat >= 1000).unwrap();
    let meanwhile = flooded(&chats[before..last]);
    // One message a second a chat: twenty others have theirs in less than one second, on a slow machine in a few.
    assert!(
        meanwhile < 10,
        "{meanwhile} answers to the flood went before those of others"
    );
    eventually("all of the flood is confirmed", async || {
        (telegram.confirmed() == telegram.last_update()).then_some(())
    })
    .await;
    telegram.sound();
    operator.stop().await;
    let answered = flooded(&telegram.chats());
    assert!((1..=FLOODED).contains(&answered), "{answered}");
}

fn is_linked(said: &Said) -> bool {
    said.text.contains('✅') && said.text.contains(PERSON)
}

/// What a chat was told of that its link went to another account.
fn replaced(said: &[Said]) -> usize {
    said.iter()
        .filter(|said| said.text.contains("linked to another Telegram account"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_accounts_that_race_for_one_id_one_has_it_and_the_other_is_told_so() {
    let (mut house, telegram) = house().await;
    let mail = with_mail(&mut house, Begins::StartTls).await;
    house.write("anna.yaml", &user(PERSON, "  email: anna@example.com\n"));
    let operator = house.start().await;
    let mut codes = Vec::new();
    for (number, account) in [ANNA, BORIS].into_iter().enumerate() {
        telegram.asks(account, "en", "/start").await;
        telegram.asks(account, "en", PERSON).await;
        codes.push(mail.letters(number + 1).await[number].code());
    }
    // Each tries the code of the other first: it is good in the chat alone that asked for it.
    for (account, code) in [(ANNA, &codes[1]), (BORIS, &codes[0])] {
        let said = telegram.asks(account, "en", code).await;
        assert!(!is_linked(&said), "{said:?}");
    }
    telegram.writes(ANNA, "en", &codes[0]);
    telegram.writes(BORIS, "en", &codes[1]);
    telegram.nth(ANNA, 4).await;
    telegram.nth(BORIS, 4).await;
    let (status, linked) = operator.get(&format!("/user/{PERSON}/telegram")).await;
    let winner = linked["account"].as_i64().unwrap();
    assert!(status == 200 && [ANNA, BORIS].contains(&winner), "{linked}");
    let loser = ANNA + BORIS - winner;
    eventually("the other one is told", async || {
        (replaced(&telegram.said(loser)) == 1).then_some(())
    })
    .await;
    let shown = telegram.asks(loser, "en", "/get_config").await;
    assert!(shown.photo.is_none() && !shown.secret, "{shown:?}");
    let shown = telegram.asks(winner, "en", "/get_config").await;
    assert!(shown.photo.is_some(), "{shown:?}");
    assert_eq!(replaced(&telegram.said(winner)), 0);
    telegram.sound();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_somebody_overheard_links_no_other_chat() {
    let (house, telegram) = house().await;
    let operator = house.start().await;
    telegram.asks(ANNA, "en", "/start").await;
    telegram.asks(ANNA, "en", PERSON).await;
    let code = code(&telegram, DESK).await;
    telegram.asks(BORIS, "en", "/start").await;
    telegram.asks(BORIS, "en", PERSON).await;
    let said = telegram.asks(BORIS, "en", &code).await;
    assert!(!is_linked(&said), "{said:?}");
    // Nor does it link the right one, if somebody else wrote it and it was forwarded.
    telegram.forwards(ANNA, &code);
    let said = telegram.nth(ANNA, 3).await;
    assert!(!is_linked(&said), "{said:?}");
    assert_eq!(operator.get(&format!("/user/{PERSON}/telegram")).await.0, 404);
    let said = telegram.asks(ANNA, "en", &code).await;
    assert!(is_linked(&said), "{said:?}");
    let said = telegram.asks(BORIS, "en", &code).await;
    assert!(!is_linked(&said), "it is used up: {said:?}");
    telegram.sound();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_that_nobody_made_that_are_anothers_or_that_were_pressed_do_nothing() {
    let (house, telegram) = house().await;
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    link(&telegram, ANNA, "en", DESK).await;
    let forged = [
        "y:",
        "n:",
        "y",
        "",
        "y:AAAAAAAAAAAAAAAA",
        "l:xx",
        "l:",
        "g:",
        "g:drop",
        "x:1",
        ":",
        "y:' OR 1=1 --",
        "й:й",
        &"y".repeat(64),
    ];
    // Those that name no language are passed over; each of the others is answered.
    let answers = forged.len() - 2 + 1;
    let before = [ANNA, ADMIN].map(|account| telegram.said(account).len());
    for account in [ANNA, ADMIN] {
        for data in forged {
            telegram.presses(account, "en", data);
        }
        telegram.writes(account, "en", "/help");
    }
    for (account, before) in [ANNA, ADMIN].into_iter().zip(before) {
        telegram.nth(account, before + answers).await;
        for said in &telegram.said(account)[before..] {
            assert!(said.buttons.is_empty() && !said.secret, "{said:?}");
        }
    }
    // The buttons about the guard are known to everybody, and answer admins alone.
    for data in ["g:look", "g:confirm", "g:cancel"] {
        for account in [ANNA, DESK, BORIS] {
            let said = telegram.answers(account, "en", data).await;
            assert!(
                said.text.contains("This is for") && said.buttons.is_empty(),
                "{data}: {said:?}"
            );
        }
        let said = telegram.answers(ADMIN, "en", data).await;
        assert!(said.text.contains("nothing back"), "{said:?}");
    }
    // Pressed twice, and by somebody else in between: one order.
    let asked = telegram.asks(ADMIN, "en", &format!("/hold {PERSON} once")).await;
    telegram.answers(DESK, "en", &yes(&asked)).await;
    operator.becomes(PERSON, "Granted").await;
    telegram.presses(ADMIN, "en", &yes(&asked));
    telegram.answers(ADMIN, "en", &yes(&asked)).await;
    operator.becomes(PERSON, "Held").await;
    telegram.answers(ADMIN, "en", &yes(&asked)).await;
    let (_, audit) = operator.get(&format!("/audit?corporate_id={PERSON}")).await;
    assert_eq!(audit.to_string().matches("hold.create").count(), 1, "{audit}");
    telegram.sound();
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_shown_as_they_are_written_and_pass_for_nothing_else() {
    let (house, telegram) = house().await;
    house.write(
        "eve.yaml",
        &user("CD123456", "  owner: '</code><a href=\"http://x\">&amp;<script>'\n"),
    );
    let operator = house.start().await;
    operator.becomes(PERSON, "Granted").await;
    let name = ("</b>A) telegram:1 (<i>", "x&y".repeat(40));
    telegram.writes_as(ADMIN, name.0, &name.1, &format!("/code {PERSON}"));
    telegram.nth(ADMIN, 1).await;
    let asked = telegram.asks(ADMIN, "en", &format!("/hold {PERSON} <b>&\"'")).await;
    telegram.answers(ADMIN, "en", &yes(&asked)).await;
    operator.becomes(PERSON, "Held").await;
    let story = telegram.asks(ADMIN, "en", &format!("/story {PERSON}")).await;
    assert!(
        story.text.contains("telegram:7 (&lt;/b&gt;A telegram:1 &lt;i&gt;"),
        "{story:?}"
    );
    assert!(story.text.contains("&lt;b&gt;&amp;"), "{story:?}");
    for command in [
        "/show CD123456",
        "/search CD",
        "/hold CD123456 x",
        "/search <b>&",
        "/issue <i>&Anna",
    ] {
        telegram.asks(ADMIN, "en", command).await;
    }
    telegram.sound();
    operator.stop().await;
}
