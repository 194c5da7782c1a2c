//! Resident memory after the load and some seconds of rest.

use std::{thread, time::Duration};

use crate::{
    house::House,
    people::Layout,
    proc,
    report::{Report, note},
};

pub fn measure(report: &mut Report) {
    for (count, limit) in [(10_000, 60.0), (100_000, 400.0)] {
        for layout in [Layout::Each, Layout::One] {
            note(&format!("memory: {count} users, {}", layout.name()));
            let house = House::with(layout, count);
            let first = settled_rss(&house, count);
            let again = settled_rss(&house, count);
            let worse = first.max(again);
            report.row(
                &format!("Memory with {count} users, {}", layout.name()),
                &format!("first start {first:.0} MB, restart {again:.0} MB"),
                "",
                &format!("{worse:.0} MB"),
                &format!("≤ {limit:.0} MB"),
                worse <= limit,
            );
        }
    }
}

fn settled_rss(house: &House, count: usize) -> f64 {
    let operator = house.start();
    house.wait_usable(count - 1);
    proc::wait_idle(operator.pid());
    thread::sleep(Duration::from_secs(10));
    let rss = proc::rss(operator.pid());
    operator.stop();
    rss
}
