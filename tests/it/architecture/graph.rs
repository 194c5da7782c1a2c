//! Who uses whom.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// By name: the names that it uses.
pub type Graph = BTreeMap<String, BTreeSet<String>>;

/// The shortest way from somewhere back to there, as it is told to people; of several the first by name.
pub fn circle(graph: &Graph) -> Option<String> {
    let circles = graph.keys().filter_map(|start| way_back(graph, start));
    circles.min_by_key(Vec::len).map(|names| names.join(" -> "))
}

fn way_back(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in way.last().and_then(|last| graph.get(last)).into_iter().flatten() {
            let mut longer = way.clone();
            longer.push(next.clone());
            if next == start {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push_back(longer);
            }
        }
    }
    None
}
