//! A minute in which nothing happens: polls of the nodes only, and nothing written.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use tokio::runtime::Runtime;

use crate::{
    house::{House, STATS_SECRET},
    hysteria_node::{Auth, HysteriaNode},
    people::{self, Layout},
    proc,
    report::{Report, note},
};

const USERS: usize = 10_000;
/// Devices that are connected and silent.
const ONLINE: usize = 50;
const MINUTE: Duration = Duration::from_secs(60);

pub fn measure(report: &mut Report) {
    note("quiet: a minute with 10,000 users");
    let runtime = Runtime::new().unwrap();
    let node = runtime.block_on(HysteriaNode::start(STATS_SECRET, Duration::from_secs(30)));
    let mut house = House::with(Layout::Each, USERS);
    house.nodes = node.stats_url();
    let operator = house.start();
    house.wait_usable(USERS - 1);
    let sessions: Vec<_> = (0..ONLINE)
        .map(|number| {
            let (url, credential) = (house.auth_url(), people::credential(&house.key, number));
            let session = runtime.block_on(node.connect(Auth::Url(&url), &credential, "198.51.100.7:4433"));
            session.unwrap()
        })
        .collect();
    // Long enough for everything that follows from the start and from the logins.
    thread::sleep(Duration::from_secs(20));
    let (pid, before) = (operator.pid(), files(house.root()));
    let (bytes, calls) = (proc::io(pid, "write_bytes"), proc::io(pid, "syscw"));
    let (polls, cpu) = (node.calls().len(), proc::Cpu::of(pid));
    thread::sleep(MINUTE);
    let asked: Vec<String> = node
        .calls()
        .split_off(polls)
        .into_iter()
        .map(|call| call.path)
        .collect();
    let cpu = cpu.until(&proc::Cpu::of(pid));
    let (bytes, calls) = (proc::io(pid, "write_bytes") - bytes, proc::io(pid, "syscw") - calls);
    let after = files(house.root());
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, stamp)| before.get(*path) != Some(stamp))
        .collect();
    for (path, _) in &changed {
        note(&format!("written: {}", path.display()));
    }
    let mut by_path: BTreeMap<&str, usize> = BTreeMap::new();
    for path in &asked {
        *by_path.entry(path).or_default() += 1;
    }
    let polls: Vec<String> = by_path
        .iter()
        .map(|(path, count)| format!("{count} × {path}"))
        .collect();
    let only_polls = by_path.keys().all(|path| matches!(*path, "/online" | "/traffic"));
    report.row(
        "A quiet minute with 10,000 users, 50 silent devices: calls of a node",
        &polls.join(", "),
        "",
        &format!("{} ms of CPU", cpu.as_millis()),
        "polls only",
        only_polls,
    );
    report.row(
        "A quiet minute: what is written",
        &format!("{} files changed, {bytes} bytes to disk", changed.len()),
        "",
        &format!("{calls} write calls, all of them wake-ups and sockets if no file changed"),
        "0",
        changed.is_empty() && bytes == 0,
    );
    drop((operator, sessions));
}

/// Every file with what changes when it is written.
fn files(root: &Path) -> BTreeMap<PathBuf, (u64, u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
            }
            found.insert(entry.path(), (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()));
        }
    }
    found
}
