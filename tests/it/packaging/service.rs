//! The unit of systemd, as systemd reads it.

use std::process::Command;

use super::read;

const UNIT: &str = "examples/systemd/vpn-operator.service";

/// Runs `systemd-analyze`; `None`, and a word about it, on a machine that has none.
fn analyze(what: &str, args: &[&str]) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("vpn-operator.service");
    // The command that it starts has to exist.
    let text = read(UNIT).replace("/usr/local/bin/vpn-operator", env!("CARGO_BIN_EXE_vpn-operator"));
    std::fs::write(&unit, text).unwrap();
    let mut command = Command::new("systemd-analyze");
    match command.arg(what).args(args).arg(&unit).output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
        }
        Err(error) => {
            println!("skipped: systemd-analyze cannot be run on this machine: {error}");
            None
        }
    }
}

#[test]
fn systemd_takes_the_unit_without_a_word() {
    let Some((good, said)) = analyze("verify", &["--man=no"]) else {
        return;
    };
    let own: Vec<_> = said
        .lines()
        .filter(|line| line.contains("vpn-operator.service"))
        .collect();
    assert!(good && own.is_empty(), "{said}");
}

#[test]
fn systemd_calls_the_unit_well_protected() {
    // Two of ten, where ten is everything that root may do.
    let Some((good, said)) = analyze("security", &["--offline=yes", "--threshold=20", "--no-pager"]) else {
        return;
    };
    assert!(good, "{said}");
}

#[test]
fn the_unit_sets_only_what_the_operator_reads_and_room_for_connections() {
    let unit = read(UNIT);
    let values = |key: &str| -> Vec<String> {
        let lines = unit.lines().filter_map(|line| line.strip_prefix(key));
        lines.map(str::to_owned).collect()
    };
    let known = super::settings();
    let set = values("Environment=");
    assert!(!set.is_empty());
    for setting in set {
        let (name, _) = setting.split_once('=').unwrap();
        assert!(known.contains(name), "{name} is not in .env.example");
    }
    let limit = values("LimitNOFILE=");
    assert!(limit[0].parse::<u32>().unwrap() >= 65_536, "{limit:?}");
    // The signal that drains is the one that systemd sends, and it waits for the end of what is under way.
    assert!(unit.contains("TimeoutStopSec=60") && !unit.contains("KillSignal="));
}
