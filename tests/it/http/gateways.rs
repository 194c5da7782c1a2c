//! How the gateways are.

use serde_json::json;

use super::{World, ask, bare};

#[tokio::test]
async fn gateways_are_listed_with_what_waits_there_and_those_that_do_not_run_with_the_cause() {
    let world = World::new();
    world.lock().nodes = 2;
    let router = world.router();
    let answer = ask("GET", "/gateways").of(&router).await.json();
    let [panel, refused] = answer["gateways"].as_array().unwrap().as_slice() else {
        panic!("{answer}");
    };
    assert_eq!(panel["name"], "default", "in the order of their names");
    assert_eq!((&panel["kind"], &panel["seconds_left"]), (&json!("blitz"), &json!(61)));
    let waiting = json!({ "block": 2, "prove": 0, "delete": 0, "add": 40, "change": 0, "compare": 0, "total": 42 });
    assert_eq!(panel["waiting"], waiting);
    assert_eq!((&panel["reachable_nodes"], &panel["error"]), (&json!(0), &json!(null)));
    let node = &panel["nodes"][1];
    assert_eq!((&node["name"], &node["reachable"]), (&json!("node1"), &json!(null)));
    assert_eq!((&refused["kind"], &refused["nodes"]), (&json!(null), &json!([])));
    assert_eq!(refused["error"], "its token cannot be read");

    assert_eq!(&ask("GET", "/gateways/default").of(&router).await.json(), panel);
    let detail = ask("GET", "/gateways/nowhere").of(&router).await.problem(404);
    assert!(detail.contains("no gateway named nowhere"), "{detail}");
    bare("GET", "/gateways").of(&router).await.problem(403);

    world.lock().nodes_down = true;
    let answer = ask("GET", "/gateways/default").of(&router).await.json();
    assert_eq!(answer["error"], "connection refused");
}
