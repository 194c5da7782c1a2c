//! What the kernel knows of a process.

use std::{
    collections::HashMap,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Resident memory in MB (of 10^6 bytes).
pub fn rss(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse().unwrap();
    kib * 1024.0 / 1e6
}

/// A counter of `/proc/PID/io`.
pub fn io(pid: u32, counter: &str) -> u64 {
    let counters = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let value = counters
        .lines()
        .find_map(|line| line.strip_prefix(counter)?.strip_prefix(": "));
    value.unwrap().parse().unwrap()
}

/// Time on a CPU by thread, to the nanosecond.
pub struct Cpu(HashMap<String, u64>);

impl Cpu {
    pub fn of(pid: u32) -> Self {
        let mut threads = HashMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            if let Ok(stat) = fs::read_to_string(task.path().join("schedstat")) {
                let used = stat.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0);
                threads.insert(task.file_name().to_string_lossy().into_owned(), used);
            }
        }
        Self(threads)
    }

    /// What was used from then to now; what threads used that ended meanwhile is missing.
    pub fn until(&self, now: &Self) -> Duration {
        let used = now
            .0
            .iter()
            .map(|(thread, used)| used - self.0.get(thread).unwrap_or(&0));
        Duration::from_nanos(used.sum())
    }
}

/// Waits until a process does next to nothing for a second.
pub fn wait_idle(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(180);
    let mut quiet = 0;
    while quiet < 4 {
        assert!(Instant::now() < deadline, "the process does not come to rest");
        let before = Cpu::of(pid);
        thread::sleep(Duration::from_millis(250));
        let used = before.until(&Cpu::of(pid));
        quiet = if used < Duration::from_millis(5) { quiet + 1 } else { 0 };
    }
}

/// Number of CPUs; servers get the first half, the load the second.
fn halves() -> (String, String) {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let half = cpus / 2;
    if half == 0 {
        return ("0".to_owned(), "0".to_owned());
    }
    (format!("0-{}", half - 1), format!("{half}-{}", cpus - 1))
}

/// A command that runs on the servers' CPUs.
pub fn on_server_cpus(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &halves().0, program]);
    command
}

/// Moves the calling thread to the CPUs of the load.
pub fn move_to_load_cpus() {
    let thread = fs::read_link("/proc/thread-self").unwrap();
    let thread = thread.file_name().unwrap().to_string_lossy().into_owned();
    let moved = Command::new("taskset").args(["-cp", &halves().1, &thread]).output();
    assert!(
        moved.is_ok_and(|moved| moved.status.success()),
        "taskset (of util-linux) is needed"
    );
}
