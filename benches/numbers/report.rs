//! The table.

use std::time::Duration;

/// Rows so far. Each is also printed when it is known.
#[derive(Default)]
pub struct Report(Vec<[String; 6]>);

impl Report {
    /// A number with a reach: `good` says whether it is within.
    pub fn row(&mut self, what: &str, ours: &str, peer: &str, value: &str, reach: &str, good: bool) {
        let verdict = if good { "ok" } else { "MISS" };
        self.push([what, ours, peer, value, reach, verdict]);
    }

    /// A number that is only told.
    pub fn told(&mut self, what: &str, ours: &str, peer: &str, value: &str) {
        self.push([what, ours, peer, value, "", ""]);
    }

    fn push(&mut self, cells: [&str; 6]) {
        println!("| {} |", cells.join(" | "));
        self.0.push(cells.map(str::to_owned));
    }

    /// The whole table, as Markdown.
    pub fn print(&self) {
        println!("\n| What | Ours | Peer or limit | Ratio or value | Reach | |\n|---|---|---|---|---|---|");
        for cells in &self.0 {
            println!("| {} |", cells.join(" | "));
        }
    }
}

/// What goes on, on stderr's behalf: the table alone is worth keeping.
pub fn note(text: &str) {
    println!("# {text}");
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value that so large a share of the values does not exceed.
pub fn percentile(values: &[Duration], share: f64) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.max(1) - 1).copied().unwrap_or(Duration::MAX)
}

/// Milliseconds, as many digits as mean something.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 10.0 {
        format!("{ms:.2} ms")
    } else {
        format!("{ms:.0} ms")
    }
}
