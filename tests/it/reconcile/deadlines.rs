//! What time alone changes takes effect at its moment, and not at the next look at the clock.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use vpn_operator::auth::index::Verdict;

use super::world::{Operator, Source, node, until};

const ANNA: &str = "AB123456";

/// So long that nothing here ever waits for it.
const NEVER: Duration = Duration::from_secs(100_000);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_at_valid_until_and_at_the_beginning_of_a_hold_without_any_tick() {
    let (data, source) = (tempfile::tempdir().unwrap(), Arc::new(Source::default()));
    let n1 = node().await;
    source.gateway("default", &[("n1", &n1)]);
    let people = [ANNA, "CD234567"];
    for id in people {
        source.declare(id, |_| {});
    }
    let operator = Operator::start_ticking(&source, data.path(), NEVER).await;
    let mut devices = Vec::new();
    for (number, id) in people.iter().enumerate() {
        let address = format!("192.0.2.{number}:1000");
        devices.push(operator.connect(&n1, ("default", "n1"), id, &address).await.unwrap());
    }
    let soon = Timestamp::now() + Duration::from_millis(400);
    source.declare(ANNA, |spec| spec.valid_until = Some(soon));
    source.hold_from("hr-leaves-cd234567", "CD234567", soon);
    for (device, id) in devices.iter_mut().zip(people) {
        until("it is cut", || device.send(1, 1).is_err()).await;
        assert!(Timestamp::now() >= soon, "not before");
        let verdict = operator.login("default", "n1", id, 1);
        assert!(matches!(verdict, Verdict::Denied(_)), "{verdict:?}");
    }
    operator.kill().await;
}
