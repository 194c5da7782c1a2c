//! Random histories: whatever people, tools and thieves do to the objects, and whatever goes wrong meanwhile, nobody comes in
//! who must not, and in the end everything is as declared.

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use vpn_operator::{
    access::{Caller, NewHold, UseCases},
    desired::FieldManager,
    model::{corporate_id::CorporateId, gateway::VpnGateway, user::VpnUser},
};

use super::{
    oracle::{ANNA, BORIS, HOME, PARIS, object},
    process::OPERATOR,
    world::{Trouble, World, secret},
};
use crate::kubernetes::cluster::HEAD;
use crate::support::kube::faults::When;
use crate::support::kube::recorder::Call;

/// A small generator of its own, so that a seed tells the whole history.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

fn hold_name(id: &str) -> String {
    format!("hr-dismissed-{}", object(id))
}

/// Somebody does something.
async fn step(world: &mut World, dice: &mut Dice) {
    let id = [ANNA, BORIS][dice.roll(2)];
    let user = world.double.stored("vpnusers", "default", &object(id));
    let is_deleted = |object: &Value| !object["metadata"]["deletionTimestamp"].is_null();
    let living = user.as_ref().filter(|user| !is_deleted(user));
    let held = world.double.stored("vpnholds", "default", &hold_name(id));
    let paris = world.double.stored("vpngateways", "default", PARIS);
    match dice.roll(16) {
        0..=1 if user.is_none() => world.user(id, json!({ "gateways": [HOME, PARIS] })).await,
        0..=2 => {
            if let Some(user) = living {
                let active = user["spec"]["active"] != json!(true);
                world.edit(id, json!({ "active": active })).await;
            }
        }
        3 => {
            if let Some(user) = living {
                let generation = user["spec"]["credentialGeneration"].as_i64().unwrap();
                if generation < 3 {
                    world.edit(id, json!({ "credentialGeneration": generation + 1 })).await;
                }
            }
        }
        4 if living.is_some() => {
            let gateways = [json!([HOME]), json!([PARIS]), json!([HOME, PARIS])][dice.roll(3)].clone();
            world.edit(id, json!({ "gateways": gateways })).await;
        }
        5 if living.is_some() => {
            let until = Timestamp::now() + SignedDuration::from_millis(600);
            let until = [json!(until.to_string()), Value::Null][dice.roll(2)].clone();
            world.edit(id, json!({ "validUntil": until })).await;
        }
        6 if living.is_some() => world.delete::<VpnUser>(&object(id)).await,
        7..=8 => match held {
            None => world.hold(&hold_name(id), id).await,
            Some(hold) if !is_deleted(&hold) => world.lose(&hold_name(id), id).await,
            Some(_) => {}
        },
        9 => match paris {
            None => world.gateway(PARIS).await,
            Some(gateway) if !is_deleted(&gateway) => world.delete::<VpnGateway>(PARIS).await,
            Some(_) => {}
        },
        10 => {
            // Gone is fine: then there is nothing to steal.
            let _ = world.kubectl.delete::<Secret>(&secret(id)).await;
        }
        11 => {
            let patch = json!({ "data": { "password": "c3RvbGVu" } });
            let _ = world.kubectl.merge::<Secret>(&secret(id), patch).await;
        }
        12 => world.crash(),
        13 => {
            if world
                .double
                .stored("vpnholds", "default", &format!("api-audit-{}", object(id)))
                .is_some()
            {
                release(world, id).await;
            } else {
                place(world, id).await;
            }
        }
        14 => match dice.roll(4) {
            0 => world.double.cut_watches(),
            1 => world.double.compact(),
            2 => world.double.hold_watches(),
            _ => world.double.release(),
        },
        _ => {
            let trouble = Trouble::ALL[dice.roll(Trouble::ALL.len())];
            let when = When::request(1 + dice.roll(6)).by(OPERATOR).except(HEAD).or_watch();
            let fault = trouble.fault(&world.machine, &world.double);
            world.double.fault(when, fault);
        }
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

/// A client of the API asks once. Whether it was done is seen from what is declared.
async fn once<F>(world: &mut World, act: impl FnOnce(UseCases) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    if let Some(process) = &world.process {
        let _ = process.handle.spawn(act(process.use_cases.clone())).await;
    }
}

async fn place(world: &mut World, id: &'static str) {
    let hold = NewHold {
        corporate_id: CorporateId::parse(id).unwrap(),
        cause: "audit".to_owned(),
        why: vpn_operator::access::Why::default(),
        from: None,
        until: None,
    };
    let act = |use_cases: UseCases| async move { drop(use_cases.place_hold(caller(), hold).await) };
    once(world, act).await;
}

async fn release(world: &mut World, id: &'static str) {
    world.touch(id);
    let name = format!("api-audit-{}", object(id));
    let act = |use_cases: UseCases| async move { drop(use_cases.release_hold(caller(), name, None).await) };
    once(world, act).await;
}

/// Time passes.
async fn pass(world: &mut World, span: Duration) {
    let until = Instant::now() + span;
    loop {
        world.check();
        world.move_bytes();
        confirm(world);
        if Instant::now() >= until {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The guard lets ten denials pass in ten minutes; what it holds back is confirmed, as a person would.
fn confirm(world: &World) {
    if let Some(process) = &world.process
        && !world.machine.is_down()
    {
        let context = Arc::clone(&process.core);
        process
            .handle
            .spawn(async move { context.dispatch(context.roster.confirm(None)) });
    }
}

async fn history(seed: u64) {
    let mut world = World::new(format!("seed {seed}"), None, None).await;
    world.machine.findings().guarded = true;
    let mut dice = Dice(seed);
    world.gateway(PARIS).await;
    world.user(ANNA, json!({})).await;
    world.user(BORIS, json!({ "gateways": [HOME, PARIS] })).await;
    world.revive().await;
    for _ in 0..40 {
        if dice.roll(4) > 0 {
            world.revive().await;
        }
        step(&mut world, &mut dice).await;
        world.let_in();
        let pause = [0, 0, 10, 60, 200, 700][dice.roll(6)];
        pass(&mut world, Duration::from_millis(pause)).await;
    }
    world.double.faults().clear();
    world.double.release();
    // Who refers to a gateway that is being deleted keeps it: that is no rest.
    if world
        .double
        .stored("vpngateways", "default", PARIS)
        .is_some_and(|it| !it["metadata"]["deletionTimestamp"].is_null())
    {
        for id in [ANNA, BORIS] {
            let user = world.double.stored("vpnusers", "default", &object(id));
            if user.is_some_and(|user| user["metadata"]["deletionTimestamp"].is_null()) {
                world.edit(id, json!({ "gateways": [HOME] })).await;
            }
        }
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut written = (usize::MAX, Instant::now());
    loop {
        world.revive().await;
        pass(&mut world, Duration::ZERO).await;
        let counts = |call: &Call| call.user == OPERATOR && call.is_write() && call.resource != HEAD;
        let writes = world.double.recorder().count(counts);
        if writes != written.0 {
            written = (writes, Instant::now());
        }
        // A gateway that nobody uses any more goes with the next look at it.
        let leaving = world
            .picture()
            .values()
            .any(|object| object["metadata"]["deleted"] == json!(true));
        let good = !leaving && world.is_complete() && secrets_are_right(&world) && world.people_agree();
        if good && written.1.elapsed() > Duration::from_millis(600) {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "seed {seed}: it does not come to rest: open {:?}, {:#?}, pending {:?}",
            world.open(),
            world.picture(),
            world
                .process
                .as_ref()
                .map(|it| it.core.roster.guard(usize::MAX).pending)
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A process that dies now leaves nothing to do for the next one.
    world.start_anew().await;
    world.check();
    world.crash();
}

/// Whoever has a link has a Secret that belongs to nobody else, and nobody has one who is not declared.
fn secrets_are_right(world: &World) -> bool {
    let picture = world.picture();
    let owned = picture.iter().all(|(name, object)| {
        let Some(of) = name.strip_prefix("secrets/").and_then(|name| name.strip_suffix("-vpn")) else {
            return true;
        };
        object["metadata"]["owners"][0]["uid"] == json!(format!("vpnusers/{of}"))
            && object["data"]["password"] != json!("c3RvbGVu")
    });
    let all = [ANNA, BORIS].iter().all(|id| {
        let user = picture.get(&format!("vpnusers/{}", object(id)));
        let named = user.is_some_and(|user| user["status"]["secretName"].is_string());
        !named || picture.contains_key(&format!("secrets/{}", secret(id)))
    });
    owned && all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_history_in_a_cluster_breaks_a_promise() {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("HISTORY_SEED").unwrap_or(1);
    let count = number("HISTORIES").unwrap_or(6);
    let runs: Vec<_> = (first..first + count).map(|seed| tokio::spawn(history(seed))).collect();
    for run in runs {
        run.await.unwrap();
    }
}
