//! A damaged record of desired state is repaired from the folder, against an ordinary restart.

use std::{fs, path::Path, time::Duration};

use crate::{
    house::House,
    people::Layout,
    proc,
    report::{Report, median, ms, note},
    restart::{start, timed},
};

const ROUNDS: usize = 5;
const COUNT: usize = 10_000;

type Damage = fn(&Path);

pub fn measure(report: &mut Report) {
    let kinds: [(&str, Damage); 3] = [
        ("cut in half", cut_in_half),
        ("empty", |path| fs::write(path, "").unwrap()),
        ("no status can be read", break_statuses),
    ];
    for (what, damage) in kinds {
        note(&format!("repair: {COUNT} users, record {what}"));
        let house = House::with(Layout::Each, COUNT);
        let mut operator = start(&house, COUNT);
        let (mut ordinary, mut repaired) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            for (damaged, times) in [(false, &mut ordinary), (true, &mut repaired)] {
                proc::wait_idle(operator.pid());
                operator.stop();
                if damaged {
                    damage(&house.root().join("data/desired.db"));
                }
                let (next, took) = timed(|| start(&house, COUNT));
                operator = next;
                times.push(took);
            }
        }
        let ratios = repaired
            .iter()
            .zip(&ordinary)
            .map(|(repaired, ordinary)| repaired.as_secs_f64() / ordinary.as_secs_f64());
        let ratio = median(ratios.collect());
        let middle =
            |times: &[Duration]| Duration::from_secs_f64(median(times.iter().map(Duration::as_secs_f64).collect()));
        report.row(
            &format!("Restart, {COUNT} users, with a record that is damaged: {what}"),
            &ms(middle(&repaired)),
            &format!("{} (ordinary restart)", ms(middle(&ordinary))),
            &format!("{ratio:.2}"),
            "≤ 2",
            ratio <= 2.0,
        );
    }
}

fn cut_in_half(path: &Path) {
    let file = fs::File::options().write(true).open(path).unwrap();
    let len = file.metadata().unwrap().len();
    file.set_len(len / 2).unwrap();
}

fn break_statuses(path: &Path) {
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute("UPDATE objects SET status = '{broken'", []).unwrap();
}
