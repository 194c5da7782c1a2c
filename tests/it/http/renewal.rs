//! People renew their own link and password on their page.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::Router;
use serde_json::json;
use vpn_operator::{
    access::Journal,
    clock::Clock as _,
    config::SelfService,
    history::{AuditEntry, HistoryError},
    http::Settings,
};

use super::{
    Answer, World, ask, bare,
    page::{PATH, keep, seen},
    world::{id, link, password, sub},
};

const HOUR: Duration = Duration::from_secs(3600);
static NEW_PATH: LazyLock<String> = LazyLock::new(|| sub("AB123456", 2));

fn world() -> Arc<World> {
    let world = World::new();
    world.declare("AB123456", |_| {});
    world
}

fn router(world: &Arc<World>) -> Router {
    world.router_with(Settings {
        self_service: SelfService::ALL.to_vec(),
        ..Settings::default()
    })
}

async fn sent(router: &Router, path: &str, form: &str) -> Answer {
    let form = form.to_owned();
    let request = bare("POST", path).header("content-type", "application/x-www-form-urlencoded");
    let request = request
        .header("accept-language", "en")
        .header("sec-fetch-site", "same-origin");
    request.body(form).of(router).await
}

/// Present generations of the password and the link.
fn generations(world: &World) -> (i64, i64) {
    let inner = world.lock();
    let spec = &inner.users[&id("AB123456").object_name()].spec;
    (spec.credential_generation, spec.subscription_generation)
}

#[tokio::test]
async fn where_it_is_not_allowed_nothing_is_offered_and_nothing_is_renewed() {
    let world = world();
    let link_only = world.router_with(Settings {
        self_service: vec![SelfService::Link],
        ..Settings::default()
    });
    for (router, refused) in [
        (world.router(), &["link", "password"][..]),
        (link_only.clone(), &["password"]),
    ] {
        let page = seen(&router, &PATH, "en").await.text;
        for what in refused {
            assert!(!page.contains(&format!("value=\"{what}\"")));
            for form in [format!("renew={what}"), format!("renew={what}&confirmed=1")] {
                let answer = sent(&router, &PATH, &form).await;
                assert_eq!(answer.status, 403, "{form}");
                assert!(answer.text.contains("Nothing was changed"), "{}", answer.text);
            }
        }
    }
    assert!(!seen(&world.router(), &PATH, "en").await.text.contains("<form"));
    assert!(seen(&link_only, &PATH, "en").await.text.contains("value=\"link\""));
    assert_eq!((generations(&world), world.lock().writes), ((1, 1), 0));
}

#[tokio::test]
async fn a_new_link_is_confirmed_once_and_carries_the_person_on_to_the_new_page() {
    let world = world();
    let router = router(&world);
    let page = seen(&router, &PATH, "en").await;
    assert!(page.text.contains("<form method=\"post\"") && page.text.contains("name=\"renew\" value=\"link\""));
    assert!(page.header("content-security-policy").contains("form-action 'self'"));

    let question = sent(&router, &PATH, "renew=link").await;
    assert_eq!(question.status, 200, "{}", question.text);
    keep("renew-link", &question.text);
    assert!(
        question.text.contains("name=\"confirmed\" value=\"1\"") && question.text.contains("import the subscription")
    );
    assert_eq!(world.lock().writes, 0, "asking changes nothing");

    let done = sent(&router, &PATH, "renew=link&confirmed=1").await;
    assert_eq!(done.status, 303, "{}", done.text);
    assert_eq!(
        done.header("location"),
        format!("./{}?format=html&lang=en&done=link", link("AB123456", 2))
    );
    assert_eq!(generations(&world), (1, 2));

    let new = seen(&router, &format!("{}?format=html&lang=en&done=link", *NEW_PATH), "en").await;
    assert_eq!(new.status, 200);
    keep("renewed-link", &new.text);
    assert!(
        new.text.contains("import the subscription into your apps again"),
        "{}",
        new.text
    );
    assert!(new.text.contains(&password("AB123456", 1)), "the password is as it was");
    // The old address is dead, for forms too.
    assert_eq!(seen(&router, &PATH, "en").await.status, 404);
    assert_eq!(sent(&router, &PATH, "renew=link&confirmed=1").await.status, 404);
    assert_eq!(generations(&world), (1, 2));

    let rows = world.audit().await;
    let row = rows.iter().find(|row| row.entry.action == "rotate").unwrap();
    let entry = &row.entry;
    assert_eq!(
        (entry.source.as_str(), entry.actor.as_str()),
        ("subscription", "AB123456")
    );
    assert_eq!(entry.corporate_id.as_deref(), Some("AB123456"));
    assert_eq!(
        (entry.address.as_deref(), entry.request_id.is_some()),
        (Some("192.0.2.1"), true)
    );
    assert_eq!(
        entry.after.as_deref(),
        Some("{\"credentialGeneration\":1,\"subscriptionGeneration\":2}")
    );

    // With a slash at its end the address is one step deeper.
    let done = sent(&router, &format!("{}/", *NEW_PATH), "renew=link&confirmed=2").await;
    assert_eq!(
        done.header("location"),
        format!("../{}?format=html&lang=en&done=link", link("AB123456", 3))
    );
}

#[tokio::test]
async fn a_confirmation_that_is_sent_twice_renews_the_password_once() {
    let world = world();
    let router = router(&world);
    let question = sent(&router, &format!("{}?lang=ru", *PATH), "renew=password").await;
    keep("renew-password-ru", &question.text);
    assert!(question.text.contains("Создать новый пароль"), "{}", question.text);
    let done = sent(&router, &PATH, "renew=password&confirmed=1").await;
    assert_eq!(
        done.header("location"),
        format!("./{}?format=html&lang=en&done=password", link("AB123456", 1))
    );
    let again = sent(&router, &PATH, "renew=password&confirmed=1").await;
    assert_eq!(again.status, 409);
    keep("renew-outdated", &again.text);
    assert!(
        again.text.contains("renewed already") && again.text.contains("href=\"?format=html&#38;lang=en\""),
        "{}",
        again.text
    );
    assert_eq!(generations(&world), (2, 1));
    let page = seen(&router, &format!("{}?done=password", *PATH), "en").await.text;
    assert!(page.contains("You have a new password") && page.contains(&password("AB123456", 2)));
    // Two that come at the same moment renew once as well.
    let (one, two) = tokio::join!(
        sent(&router, &PATH, "renew=password&confirmed=2"),
        sent(&router, &PATH, "renew=password&confirmed=2")
    );
    assert!([one, two].iter().any(|answer| answer.status == 303));
    assert_eq!(generations(&world), (3, 1));
}

#[tokio::test]
async fn asking_with_get_or_head_changes_nothing() {
    let world = world();
    let router = router(&world);
    for method in ["GET", "HEAD"] {
        for query in [
            "renew=link&confirmed=1",
            "format=html&renew=password&confirmed=1&done=password",
        ] {
            let asked = bare(method, &format!("{}?{query}", *PATH)).header("accept", "text/html");
            assert_eq!(asked.of(&router).await.status, 200);
        }
    }
    assert_eq!((generations(&world), world.lock().writes), ((1, 1), 0));
}

#[tokio::test]
async fn a_form_of_another_site_and_a_body_that_is_no_form_are_refused() {
    let world = world();
    let router = router(&world);
    let form = "renew=link&confirmed=1";
    let from = async |name: &str, value: &str| {
        let request = bare("POST", &PATH).header("content-type", "application/x-www-form-urlencoded");
        request.header(name, value).body(form.to_owned()).of(&router).await
    };
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let answer = from(name, value).await;
        assert_eq!(answer.status, 403, "{name}");
        assert!(answer.header("content-type").starts_with("text/html"));
    }
    let json = bare("POST", &PATH).json(&json!({ "renew": "link", "confirmed": 1 }));
    json.of(&router).await.problem(415);
    let wrong = sent(&router, &PATH, "renew=everything").await;
    assert!(wrong.problem(422).contains("renew: give link or password"));
    assert_eq!((generations(&world), world.lock().writes), ((1, 1), 0));
    assert_eq!(from("sec-fetch-site", "same-origin").await.status, 303);
}

#[tokio::test]
async fn the_sixth_renewal_of_a_day_is_refused_until_the_first_is_a_day_old_whatever_else_is_noted() {
    let world = world();
    let router = router(&world);
    for generation in 1..=5 {
        let form = format!("renew=password&confirmed={generation}");
        assert_eq!(sent(&router, &PATH, &form).await.status, 303, "{generation}");
        world.clock.advance(HOUR);
    }
    // However much else is noted of the person in between.
    let shown = AuditEntry {
        source: "api".to_owned(),
        action: "credentials.handed-out".to_owned(),
        corporate_id: Some("AB123456".to_owned()),
        ..AuditEntry::default()
    };
    Journal::audit(&*world, vec![shown; 1_000]).await.unwrap();
    let sixth = sent(&router, &PATH, "renew=password&confirmed=6").await;
    assert_eq!(sixth.status, 429);
    keep("renew-too-often", &sixth.text);
    assert_eq!(sixth.header("retry-after"), (19 * 3600 + 1).to_string());
    assert!(sixth.text.contains("Try again in 20 hours"), "{}", sixth.text);
    // Both kinds count together, and what others rotate does not.
    assert_eq!(sent(&router, &PATH, "renew=link&confirmed=1").await.status, 429);
    assert_eq!(generations(&world), (6, 1));
    world.clock.advance(19 * HOUR);
    assert_eq!(sent(&router, &PATH, "renew=password&confirmed=6").await.status, 303);
    let other = world.router();
    for _ in 0..6 {
        let rotated = ask("POST", "/user/AB123456/rotate").json(&json!({ "what": "password" }));
        assert_eq!(rotated.of(&other).await.status, 200);
    }
    world.clock.advance(HOUR);
    assert_eq!(sent(&router, &PATH, "renew=password&confirmed=13").await.status, 303);
    // Nobody else renews in the name of the page.
    let claimed = ask("POST", "/user/AB123456/rotate").header("x-vpn-operator-source", "subscription");
    claimed
        .json(&json!({ "what": "password" }))
        .of(&other)
        .await
        .problem(422);
    assert!(world.clock.now() > "2026-05-02T00:00:00Z".parse().unwrap());
}

#[tokio::test]
async fn who_is_denied_or_unknown_or_has_a_password_from_elsewhere_renews_nothing() {
    let world = world();
    let router = router(&world);
    world.edit("AB123456", |spec| {
        spec.credentials_from = Some(serde_json::from_value(json!({ "env": "PASSWORD" })).unwrap());
    });
    let page = seen(&router, &PATH, "en").await.text;
    assert!(page.contains("value=\"link\"") && !page.contains("value=\"password\""));
    for form in ["renew=password", "renew=password&confirmed=1"] {
        let answer = sent(&router, &PATH, form).await;
        assert_eq!(answer.status, 409, "{form}");
        assert!(answer.text.contains("is not made here"), "{}", answer.text);
    }
    world.edit("AB123456", |spec| (spec.credentials_from, spec.active) = (None, false));
    for form in ["renew=link", "renew=link&confirmed=1", "renew=password&confirmed=1"] {
        let answer = sent(&router, &PATH, form).await;
        assert_eq!(answer.status, 403, "{form}");
        assert!(answer.text.contains("switched off"), "{}", answer.text);
    }
    let mut last = None;
    for _ in 0..11 {
        last = Some(sent(&router, "/sub/ab123456.guess", "renew=link&confirmed=1").await);
    }
    let last = last.unwrap();
    assert_eq!(last.status, 429, "guesses are counted");
    assert_eq!(generations(&world), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn while_the_audit_cannot_be_read_nothing_is_renewed_and_what_takes_long_is_told() {
    let world = world();
    let router = router(&world);
    world.lock().history_error = Some(HistoryError::Unavailable("no disk".to_owned()));
    let answer = sent(&router, &PATH, "renew=link&confirmed=1").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("cannot be renewed at present"), "{}", answer.text);
    assert_eq!(generations(&world), (1, 1));

    world.lock().history_error = None;
    world.lock().lag = true;
    let answer = sent(&router, &PATH, "renew=link&confirmed=1").await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert!(
        answer
            .text
            .contains(&format!("href=\"https://vpn.example.com{}\"", *NEW_PATH)),
        "{}",
        answer.text
    );
    world.catch_up();
    assert_eq!(seen(&router, &NEW_PATH, "en").await.status, 200);
}
