//! Makes the calls that the lane finds, one after the other, and takes what they come to where it belongs.

use std::{collections::HashMap, time::Duration};

use tokio::time::sleep;

use super::{
    Shared,
    call::{self, Call},
    client::{Entry, PanelError},
    lane::Next,
    links::Template,
    listed::Drift,
    lock,
    usage::PanelMeter,
};
use crate::gateway::{Call as Metered, NodeName};

/// The longest sleep, so that a clock that was set does not hold anything up.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

impl Shared {
    /// Makes one call after the other.
    pub(super) async fn work(&self) {
        let mut meter: Option<PanelMeter> = None;
        loop {
            let now = self.context.now();
            let next = self.lane().next(now);
            match next {
                Next::Wait(until) => {
                    let pause = until.saturating_duration_since(now.at).min(LONGEST_SLEEP);
                    tokio::select! {
                        () = self.wake.notified() => {}
                        () = sleep(pause) => {}
                    }
                }
                Next::Call(call) => self.make(call, &mut meter).await,
            }
        }
    }

    async fn make(&self, call: Call, meter: &mut Option<PanelMeter>) {
        let client = lock(&self.client).clone();
        let begun = self.context.clock.monotonic();
        let operation = call.operation();
        let outcome = match call {
            Call::List => match client.list().await {
                Ok(entries) => {
                    self.account(meter, &entries);
                    self.look_for_bypass(begun, &entries);
                    let listed = self.lane().listed(begun, entries, self.context.now());
                    self.tell_strangers();
                    self.tell(listed.drift);
                    self.context.complete(listed.completed);
                    "ok"
                }
                Err(error) => {
                    if self.lane().unreachable(error.clone(), self.context.now()) {
                        tracing::warn!(panel = %self.name, %error, "the panel cannot be called");
                    }
                    error.category()
                }
            },
            Call::Links(account) => match client.links(&[account.to_string()]).await {
                Ok(links) => {
                    let password = self.lane().password(&account);
                    let read = links.get(&*account).zip(password);
                    let template = read.and_then(|(links, password)| Template::read(links, &account, &password));
                    let understood = template.is_some();
                    if understood {
                        let mut known = lock(&self.template);
                        // The very same while nothing changes, so that what was made of it is found again.
                        if *known != template {
                            *known = template;
                        }
                    }
                    let waiting = self.lane().read_links(understood, self.context.now());
                    self.context.complete(waiting);
                    "ok"
                }
                Err(error) => {
                    self.lane().read_no_links(&error, self.context.now());
                    error.category()
                }
            },
            call => {
                let result = match &call {
                    Call::Block(account) => client.change(account, &call::block()).await,
                    Call::Add(account, new) => client.add(account, new).await,
                    Call::Change(account, change) => client.change(account, change).await,
                    Call::Delete(accounts) => client.delete(accounts).await,
                    Call::List | Call::Links(_) => Ok(()),
                };
                let outcome = result.as_ref().map_or_else(PanelError::category, |()| "ok");
                let completed = self.lane().wrote(&call, begun, result, self.context.now());
                self.context.complete(completed);
                // From a block on nobody comes back who is kicked.
                self.kick_wanted.notify_one();
                outcome
            }
        };
        let took = self.context.clock.monotonic().saturating_duration_since(begun);
        if outcome == "ok" {
            self.lane().took(operation, took);
        }
        (self.context.meter)(&Metered {
            node: &self.name,
            operation,
            outcome,
            took,
        });
    }

    /// Accounts for what the operator's accounts moved.
    fn account(&self, meter: &mut Option<PanelMeter>, entries: &HashMap<String, Entry>) {
        if meter.is_none() {
            let usage = &self.context.usage;
            let baselines = usage.baseline(&self.name).zip(usage.baseline(&NodeName::imported()));
            *meter = baselines.map(|(own, imported)| PanelMeter::new(own, imported));
        }
        let Some(meter) = meter else { return };
        let (mut deltas, mut changed) = (Vec::new(), HashMap::new());
        let ours = self.lane().ours(entries);
        for account in ours {
            let Some(entry) = entries.get(&*account) else { continue };
            if let Some(delta) = meter.read(&account, entry) {
                changed.insert(delta.account.clone(), entry.moved);
                deltas.push(delta);
            }
        }
        if !changed.is_empty() {
            self.context.usage.account(&self.name, deltas, changed, false);
        }
    }

    /// What somebody else changed is said as one, however many accounts it is.
    fn tell(&self, drift: Drift) {
        let Drift {
            gone,
            changed,
            returned,
        } = drift;
        if drift != Drift::default() {
            tracing::warn!(
                panel = %self.name,
                gone,
                changed,
                returned,
                "accounts are not as the operator left them: somebody changed them at the panel, or put an older backup back; \
                 they are brought in line again, and nobody is disconnected for that"
            );
        }
    }
}
