//! What is wrong with the folder now, kept so that asking is cheap.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::desired::SourceHealth;

/// Most lines that are given out.
const MAX_LINES: usize = 1000;

/// Problems of files and of the source itself.
#[derive(Debug, Default)]
pub(super) struct SourceStatus(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    synced: bool,
    unreadable_since: Option<Timestamp>,
    /// Problems of the source itself, by what they concern.
    source: BTreeMap<&'static str, Arc<str>>,
    files: BTreeMap<String, Vec<Arc<str>>>,
    lines: usize,
    /// Edits of who may have access that are not in force, by file.
    refused: BTreeMap<String, Vec<Arc<str>>>,
}

impl SourceStatus {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_synced(&self) {
        self.lock().synced = true;
    }

    /// Sets since when the folder cannot be read; keeps the first moment.
    pub fn set_unreadable(&self, since: Option<Timestamp>) {
        let mut state = self.lock();
        state.unreadable_since = since.map(|now| state.unreadable_since.unwrap_or(now));
    }

    /// Sets or clears a problem of the source itself. Logs it when it is new.
    pub fn set_source(&self, topic: &'static str, problem: Option<String>) {
        let mut state = self.lock();
        match problem {
            None => drop(state.source.remove(topic)),
            Some(line) if state.source.get(topic).is_some_and(|known| **known == *line) => {}
            Some(line) => {
                tracing::error!("{line}");
                state.source.insert(topic, line.into());
            }
        }
    }

    /// Sets the problems of a file, and those of its edits of access that are not in force. Logs what is new.
    pub fn set_file(&self, file: &str, lines: Vec<String>, refused: Vec<String>) {
        let mut state = self.lock();
        let old = state.refused.remove(file).unwrap_or_default();
        if !refused.is_empty() {
            let refused: Vec<Arc<str>> = refused.into_iter().map(Arc::from).collect();
            for line in refused.iter().filter(|line| !old.contains(line)).take(MAX_LINES) {
                tracing::error!("{line}");
            }
            state.refused.insert(file.to_owned(), refused);
        }
        let old = state.files.remove(file).unwrap_or_default();
        state.lines -= old.len();
        if lines.is_empty() {
            return;
        }
        let lines: Vec<Arc<str>> = lines.into_iter().map(Arc::from).collect();
        for line in lines.iter().filter(|line| !old.contains(line)).take(MAX_LINES) {
            tracing::warn!("{line}");
        }
        state.lines += lines.len();
        state.files.insert(file.to_owned(), lines);
    }

    /// The health of the source; `record` is what the record has to say.
    pub fn health(&self, record: Vec<Arc<str>>) -> SourceHealth {
        let state = self.lock();
        let own = state.source.values().cloned().chain(record);
        let mut problems: Vec<Arc<str>> = own.collect();
        problems.extend(state.files.values().flatten().take(MAX_LINES).cloned());
        if state.lines > MAX_LINES {
            problems.push(format!("and {} more problems: run vpn-operator check", state.lines - MAX_LINES).into());
        }
        SourceHealth {
            synced: state.synced,
            unreadable_since: state.unreadable_since,
            problems,
            refused_edits: state.refused.values().flatten().take(MAX_LINES).cloned().collect(),
        }
    }
}
