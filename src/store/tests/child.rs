//! A process that is killed at any moment has lost nothing that was answered.

use std::{
    io::{BufRead, BufReader, Write as _},
    process::{Command, Stdio},
};

use super::*;

const FOLDER: &str = "STORE_TEST_FOLDER";

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "started by kill_9_loses_nothing_that_was_answered"]
fn writes_until_it_is_killed() {
    let folder = PathBuf::from(std::env::var(FOLDER).expect("started without a folder"));
    let clock = ManualClock::at(NOON.parse().unwrap());
    let store = Store::open(&folder.join("notes.db"), NOTES, clock).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut written = store.read(count).await.unwrap();
        loop {
            written = store.write(note(written.to_string())).await.unwrap();
            writeln!(std::io::stdout(), "answered {written}").unwrap();
        }
    });
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_answered() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.db");
    let mut least = 0;
    for lines in [3, 40, 11] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::child::writes_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let last = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.split_once("answered ")?.1.trim().parse::<u64>().ok())
            .take(lines)
            .last();
        child.kill().unwrap();
        child.wait().unwrap();
        let last = last.expect("the child stopped by itself");
        assert!(last > least, "{last} after {least}");
        least = last;
        let store = Store::open(&path, NOTES, ManualClock::at(NOON.parse().unwrap())).unwrap();
        let kept = store.read(count).await.unwrap();
        assert!(kept >= last, "{kept} are there, {last} were answered");
        store.check().await.unwrap();
    }
}
