//! What happens to people, gateways and Secrets, with rests in between.

use futures::{FutureExt as _, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use vpn_operator::{
    access::{AccessError, Caller, NewHold},
    desired::{DesiredError, FieldManager},
    model::{corporate_id::CorporateId, gateway::VpnGateway, user::VpnUser},
};

use super::{
    oracle::{ANNA, BORIS, HOME, PARIS, object},
    world::{World, secret},
};

/// A few steps in a world.
pub type Scenario = for<'a> fn(&'a mut World) -> BoxFuture<'a, ()>;

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        /// Every scenario with its name.
        pub const ALL: &[(&str, Scenario)] = &[$((stringify!($name), |world| $name(world).boxed())),*];
    };
}

scenarios![
    a_user_is_created,
    a_user_is_created_under_a_hold,
    active_is_flipped,
    a_hold_is_placed_and_released_through_the_api,
    a_user_is_deactivated_and_activated_through_the_api,
    a_hold_is_lost,
    a_user_is_deleted,
    a_user_is_deleted_and_created_again,
    a_password_is_rotated,
    a_secret_is_deleted_and_edited,
    a_gateway_comes_after_its_users,
    a_gateway_is_deleted_while_it_is_used,
    access_expires,
    gateways_are_narrowed,
    two_changes_come_at_once,
    things_change_while_the_operator_is_down,
];

const HOLD: &str = "hr-dismissed-ab123456";

async fn a_user_is_created(world: &mut World) {
    world.arm();
    world.revive().await;
    world.user(ANNA, json!({})).await;
    world.rest().await;
    world.expect_open(&["AB123456@1 default"]);
}

async fn a_user_is_created_under_a_hold(world: &mut World) {
    world.begin().await;
    world.hold(HOLD, ANNA).await;
    world.user(ANNA, json!({})).await;
    world.rest().await;
    world.expect_open(&[]);
}

async fn active_is_flipped(world: &mut World) {
    world.user(ANNA, json!({})).await;
    world.begin().await;
    for active in [false, true, false] {
        world.edit(ANNA, json!({ "active": active })).await;
        world.rest().await;
        world.expect_open(if active { &["AB123456@1 default"] } else { &[] });
    }
}

fn caller() -> Caller {
    Caller {
        actor: "192.0.2.1".to_owned(),
        source: "api".to_owned(),
        address: None,
        request_id: None,
        event: None,
        manager: FieldManager::Api,
    }
}

fn anna() -> CorporateId {
    CorporateId::parse(ANNA).unwrap()
}

async fn a_hold_is_placed_and_released_through_the_api(world: &mut World) {
    world.user(ANNA, json!({})).await;
    world.begin().await;
    let place = async |world: &mut World| {
        let act = |use_cases: vpn_operator::access::UseCases| async move {
            let hold = NewHold {
                corporate_id: anna(),
                cause: "audit".to_owned(),
                why: vpn_operator::access::Why {
                    reason: Some("a test".to_owned()),
                    ..Default::default()
                },
                from: None,
                until: None,
            };
            use_cases.place_hold(caller(), hold).await.map(drop)
        };
        world.ask(ANNA, act).await;
    };
    place(world).await;
    world.rest().await;
    world.expect_open(&[]);
    let release = |use_cases: vpn_operator::access::UseCases| async move {
        match use_cases
            .release_hold(caller(), "api-audit-ab123456".to_owned(), None)
            .await
        {
            // Done by an attempt whose answer was lost.
            Ok(_) | Err(AccessError::UnknownHold(_) | AccessError::Desired(DesiredError::NotFound { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    };
    world.ask(ANNA, release).await;
    world.rest().await;
    world.expect_open(&["AB123456@1 default"]);
}

async fn a_user_is_deactivated_and_activated_through_the_api(world: &mut World) {
    world.user(ANNA, json!({})).await;
    world.begin().await;
    let deactivate = |use_cases: vpn_operator::access::UseCases| async move {
        let done = use_cases
            .deactivate(caller(), anna(), vpn_operator::access::Why::default())
            .await?;
        // What could not be done is said, and asked for again.
        match done.note {
            None => Ok(()),
            Some(note) => Err(DesiredError::Unavailable(note).into()),
        }
    };
    world.ask(ANNA, deactivate).await;
    world.rest().await;
    world.expect_open(&[]);
    let activate = |use_cases: vpn_operator::access::UseCases| async move {
        use_cases.activate(caller(), anna(), None).await.map(drop)
    };
    world.ask(ANNA, activate).await;
    world.rest().await;
    world.expect_open(&["AB123456@1 default"]);
}

async fn a_hold_is_lost(world: &mut World) {
    world.user(ANNA, json!({})).await;
    world.hold(HOLD, ANNA).await;
    world.begin().await;
    world.expect_open(&[]);
    world.lose(HOLD, ANNA).await;
    world.gone("vpnholds", HOLD).await;
    world.rest().await;
    world.expect_open(&["AB123456@1 default"]);
}

async fn a_user_is_deleted(world: &mut World) {
    world.user(ANNA, json!({})).await;
    world.user(BORIS, json!({})).await;
    world.begin().await;
    world.delete::<VpnUser>(&object(ANNA)).await;
    world.gone("vpnusers", &object(ANNA)).await;
    world.gone("secrets", &secret(ANNA)).await;
    world.rest().await;
    world.expect_open(&["AB123457@1 default"]);
}

async fn a_user_is_deleted_and_created_again(world: &mut World) {
    world.user(ANNA, json!({})).await;
    world.user(BORIS, json!({})).await;
    world.begin().await;
    world.delete::<VpnUser>(&object(ANNA)).await;
    world.gone("vpnusers", &object(ANNA)).await;
    world.user(ANNA, json!({ "owner": "another" })).await;
    world.rest().await;
    world.expect_open(&["AB123456@1 default", "AB123457@1 default"]);
}

async fn a_password_is_rotated(world: &mut World) {
    world.user(ANNA, json!({})).await;
    world.begin().await;
    world.edit(ANNA, json!({ "credentialGeneration": 2 })).await;
    world.rest().await;
    world.expect_open(&["AB123456@2 default"]);
}

async fn a_secret_is_deleted_and_edited(world: &mut World) {
    world.user(ANNA, json!({})).await;
    world.begin().await;
    world.delete::<Secret>(&secret(ANNA)).await;
    world.rest().await;
    let patch = json!({ "data": { "password": "c3RvbGVu" }, "metadata": { "ownerReferences": null } });
    world.kubectl.merge::<Secret>(&secret(ANNA), patch).await.unwrap();
    world.rest().await;
    world.expect_open(&["AB123456@1 default"]);
}

async fn a_gateway_comes_after_its_users(world: &mut World) {
    world.begin().await;
    world.user(ANNA, json!({ "gateways": [HOME, PARIS] })).await;
    world.rest().await;
    world.expect_open(&["AB123456@1 default"]);
    world.gateway(PARIS).await;
    world.rest().await;
    world.expect_open(&["AB123456@1 default", "AB123456@1 paris"]);
}

async fn a_gateway_is_deleted_while_it_is_used(world: &mut World) {
    world.gateway(PARIS).await;
    world.user(ANNA, json!({ "gateways": [PARIS] })).await;
    world.begin().await;
    world.delete::<VpnGateway>(PARIS).await;
    world.rest().await;
    world.expect_open(&["AB123456@1 paris"]);
    world.delete::<VpnUser>(&object(ANNA)).await;
    world.gone("vpnusers", &object(ANNA)).await;
    world.gone("vpngateways", PARIS).await;
    world.gone("secrets", &secret(ANNA)).await;
    world.rest().await;
}

async fn access_expires(world: &mut World) {
    world.user(ANNA, json!({})).await;
    world.begin().await;
    let soon = Timestamp::now() + SignedDuration::from_millis(1500);
    world.edit(ANNA, json!({ "validUntil": soon.to_string() })).await;
    let left = || u64::try_from(soon.as_millisecond() - Timestamp::now().as_millisecond()).unwrap_or(0);
    while left() > 0 {
        world.revive().await;
        world.check();
        tokio::time::sleep(std::time::Duration::from_millis(left().min(20))).await;
    }
    world.rest().await;
    world.expect_open(&[]);
}

async fn gateways_are_narrowed(world: &mut World) {
    world.gateway(PARIS).await;
    world.user(ANNA, json!({ "gateways": [HOME, PARIS] })).await;
    world.begin().await;
    world.expect_open(&["AB123456@1 default", "AB123456@1 paris"]);
    world.edit(ANNA, json!({ "gateways": [HOME] })).await;
    world.rest().await;
    world.expect_open(&["AB123456@1 default"]);
}

async fn two_changes_come_at_once(world: &mut World) {
    world.user(ANNA, json!({})).await;
    world.user(BORIS, json!({})).await;
    world.begin().await;
    world.double.hold_watches();
    world.edit(ANNA, json!({ "active": false })).await;
    world
        .edit(ANNA, json!({ "active": true, "credentialGeneration": 2 }))
        .await;
    world.edit(BORIS, json!({ "owner": "somebody else" })).await;
    world.hold("hr-dismissed-ab123457", BORIS).await;
    world.double.release();
    world.rest().await;
    world.expect_open(&["AB123456@2 default"]);
}

async fn things_change_while_the_operator_is_down(world: &mut World) {
    world.gateway(PARIS).await;
    world.user(ANNA, json!({ "gateways": [HOME, PARIS] })).await;
    world.user(BORIS, json!({})).await;
    world.rest().await;
    world.crash();
    world.edit(ANNA, json!({ "gateways": [PARIS] })).await;
    world.hold("hr-dismissed-ab123457", BORIS).await;
    world.delete::<Secret>(&secret(BORIS)).await;
    world.arm();
    world.rest().await;
    world.expect_open(&["AB123456@1 paris"]);
}
