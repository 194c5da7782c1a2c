//! What runs, by the name of the gateway: started, replaced and stopped, until it is what is declared.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

use super::{
    declared::{Asking, Refusal, Wanted},
    running::{self, Running, StartError},
};

struct Member<M: ?Sized> {
    runs: Arc<M>,
    as_wanted: Wanted,
}

/// What runs. Reading is lock-free.
pub struct Fleet<M: ?Sized> {
    snapshot: ArcSwap<HashMap<String, Arc<M>>>,
    running: Mutex<HashMap<String, Member<M>>>,
    refused: ArcSwap<BTreeMap<String, Refusal>>,
}

/// What became of what was wanted.
#[derive(Debug, Default)]
pub struct Replaced {
    /// Gateways that run in another way than before, or not any more.
    pub changed: Vec<String>,
    /// Something cannot run as it is declared.
    pub incomplete: bool,
}

impl<M: ?Sized> Default for Fleet<M> {
    fn default() -> Self {
        Self {
            snapshot: ArcSwap::default(),
            running: Mutex::default(),
            refused: ArcSwap::default(),
        }
    }
}

impl<M: Running + ?Sized> Fleet<M> {
    /// What runs under this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<M>> {
        self.snapshot.load().get(name).cloned()
    }

    /// Everything that runs.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<M>> {
        self.snapshot.load().values().cloned().collect()
    }

    /// The gateways that do not run as they are declared as a whole, and why.
    #[must_use]
    pub fn refused(&self) -> Arc<BTreeMap<String, Refusal>> {
        self.refused.load_full()
    }

    /// Makes what runs equal to `wanted`. What is refused, already or here, stays as it is. `tell` hears who asks before anything
    /// that is gone is stopped.
    pub fn replace(
        &self,
        wanted: impl IntoIterator<Item = (String, Wanted)>,
        mut refused: BTreeMap<String, Refusal>,
        start: impl Fn(&str, &running::Wanted) -> Result<Arc<M>, StartError>,
        tell: impl FnOnce(Asking),
    ) -> Replaced {
        let mut replaced = Replaced::default();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = std::mem::take(&mut *running);
        for (name, mut wanted) in wanted {
            let mut present = gone.remove(&name);
            let known = present.as_ref().map(|present| &present.as_wanted);
            replaced.incomplete |= !wanted.take_over(&name, known);
            match bring_about(&name, wanted, &mut present, &start) {
                Ok(false) => {}
                Ok(true) => replaced.changed.push(name.clone()),
                Err(error) => {
                    let (reason, message) = (error.reason(), error.to_string());
                    refused.insert(name.clone(), Refusal { reason, message });
                }
            }
            running.extend(present.map(|present| (name, present)));
        }
        running.extend(gone.extract_if(|name, _| refused.contains_key(name)));
        let wanted = running.iter().map(|(name, member)| (name.as_str(), &member.as_wanted));
        tell(Asking::of(&wanted));
        let runs = running
            .iter()
            .map(|(name, member)| (name.clone(), Arc::clone(&member.runs)));
        self.snapshot.store(Arc::new(runs.collect()));
        for (name, member) in gone {
            member.runs.leave();
            replaced.changed.push(name);
        }
        let known = self.refused.load();
        for (name, refusal) in &refused {
            if known.get(name) != Some(refusal) {
                tracing::warn!(
                    gateway = name,
                    reason = refusal.reason,
                    "the gateway cannot run as declared: {}",
                    refusal.message
                );
                replaced.changed.push(name.clone());
            }
        }
        let over = known.keys().filter(|name| !refused.contains_key(*name));
        replaced.changed.extend(over.cloned());
        replaced.incomplete |= !refused.is_empty();
        self.refused.store(Arc::new(refused));
        replaced
    }
}

/// Has something run as is wanted: what is there goes on, or makes room for something of another kind. Answers whether anything
/// changed. After an error what is there is as it was.
fn bring_about<M: Running + ?Sized>(
    name: &str,
    wanted: Wanted,
    present: &mut Option<Member<M>>,
    start: impl Fn(&str, &running::Wanted) -> Result<Arc<M>, StartError>,
) -> Result<bool, StartError> {
    if let Some(present) = present {
        let same = present.as_wanted.run == wanted.run;
        if same || present.runs.update(&wanted.run)? {
            present.as_wanted = wanted;
            return Ok(!same);
        }
    }
    let runs = start(name, &wanted.run)?;
    let member = Member {
        runs,
        as_wanted: wanted,
    };
    if let Some(former) = present.replace(member) {
        former.runs.leave();
    }
    Ok(true)
}
