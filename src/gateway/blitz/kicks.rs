//! Sessions that are ended at the panel's own server, beside the lane.
//!
//! The panel's calls take a second each, and up to 70 s while something is wrong with it; its server's statistics API takes none. One
//! loop looks who is online and kicks those whose sessions must go, all of them in one call. A kick waits in the server's set
//! until one connection of that id moves its next byte, so five busy devices take five kicks in a row: as long as they become fewer
//! the loop is quick, and for who is silent it looks once a second. Nobody is kicked who is not shown online, because a kick that
//! nobody consumes meets whoever comes next.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{Shared, lock};
use crate::gateway::{
    Call as Metered,
    hysteria::client::{StatsClient, StatsError},
    retry::Backoff,
};

/// Pause between two looks while sessions become fewer.
const QUICK: Duration = Duration::from_millis(15);
/// The longest pause while sessions are to go.
const SLOW: Duration = Duration::from_secs(1);
/// Pause between two looks while none are.
const QUIET: Duration = Duration::from_secs(5);

/// How the panel's server answers.
#[derive(Debug, Default)]
pub(super) struct ServerHealth {
    /// When the last look that was answered was begun.
    pub(super) looked: Option<Instant>,
    /// What is wrong with it, without secrets.
    pub(super) error: Option<String>,
}

/// How long to wait before the next look.
struct Pace {
    wait: Duration,
    /// Devices that were to go at the last look.
    devices: u32,
}

impl Pace {
    const fn new() -> Self {
        Self {
            wait: QUICK,
            devices: 0,
        }
    }

    /// After a look that showed so many devices that are to go.
    fn after(&mut self, devices: u32) -> Duration {
        let wait = if devices < self.devices { QUICK } else { self.wait };
        self.devices = devices;
        self.wait = wait.mul_f32(1.5).min(SLOW);
        wait
    }

    /// Something came that is to go at once.
    const fn hurry(&mut self) {
        self.wait = QUICK;
    }
}

/// The last kick of each account: how many devices it had, and when.
#[derive(Default)]
struct Kicked(HashMap<String, (u32, Instant)>);

impl Kicked {
    /// Of those that are to go, with so many devices, those that need a kick: the last one was consumed, or is long ago.
    fn need(&mut self, ending: &HashMap<String, u32>, now: Instant) -> Vec<String> {
        self.0.retain(|name, _| ending.contains_key(name));
        let waits = |name: &String, devices: u32| {
            let last = self.0.get(name);
            last.is_some_and(|(had, at)| *had == devices && now.saturating_duration_since(*at) < SLOW)
        };
        let due = ending.iter().filter(|(name, devices)| !waits(name, **devices));
        due.map(|(name, _)| name.clone()).collect()
    }

    fn made(&mut self, names: &[String], ending: &HashMap<String, u32>, at: Instant) {
        for name in names {
            let devices = ending.get(name).copied().unwrap_or(0);
            self.0.insert(name.clone(), (devices, at));
        }
    }
}

impl Shared {
    /// Looks and kicks, for ever.
    pub(super) async fn kicks(&self) {
        let (mut pace, mut kicked) = (Pace::new(), Kicked::default());
        let mut backoff = Backoff::new(Duration::from_millis(50), SLOW);
        loop {
            let stats = lock(&self.stats).clone();
            let wait = match stats {
                None => Duration::MAX,
                Some(stats) => match self.look_and_kick(&stats, &mut kicked).await {
                    Ok(devices) => {
                        backoff.reset();
                        if self.lane().ends_sessions() {
                            pace.after(devices)
                        } else {
                            pace.hurry();
                            QUIET.min(self.context.poll_interval)
                        }
                    }
                    Err(error) if error.is_retryable() && self.lane().ends_sessions() => backoff.wait(),
                    Err(_) => QUIET,
                },
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.kick_wanted.notified() => pace.hurry(),
            }
        }
    }

    /// Answers how many devices are online that are to go.
    async fn look_and_kick(&self, stats: &StatsClient, kicked: &mut Kicked) -> Result<u32, StatsError> {
        let begun = self.context.clock.monotonic();
        let online = self.measured("online", stats.online()).await;
        self.note_server(begun, online.as_ref().err());
        let online = online?;
        let (completed, ending) = {
            let mut lane = self.lane();
            let completed = lane.served(&online, begun, self.context.now());
            // As late as can be: who is permitted by now is not kicked.
            (completed, lane.ending(&online))
        };
        self.context.complete(completed);
        let begun = self.context.clock.monotonic();
        let due = kicked.need(&ending, begun);
        if !due.is_empty() {
            self.measured("kick", stats.kick(&due)).await?;
            kicked.made(&due, &ending, begun);
            let completed = self.lane().kicked(&due, begun, self.context.now());
            self.context.complete(completed);
        }
        Ok(ending.values().sum())
    }

    async fn measured<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StatsError>>,
    ) -> Result<T, StatsError> {
        let begun = Instant::now();
        let answer = call.await;
        if !matches!(answer, Err(StatsError::Fenced(_))) {
            (self.context.meter)(&Metered {
                node: &self.name,
                operation,
                outcome: answer.as_ref().err().map_or("ok", StatsError::category),
                took: begun.elapsed(),
            });
        }
        answer
    }

    /// Remembers how the server answers, and says it when that is another than before.
    fn note_server(&self, begun: Instant, error: Option<&StatsError>) {
        if matches!(error, Some(StatsError::Fenced(_))) {
            return;
        }
        let mut health = lock(&self.server);
        match (&health.error, error) {
            (None, Some(error)) => {
                tracing::warn!(panel = %self.name, %error, "the statistics of the panel's server do not answer as they should");
            }
            (Some(_), None) => tracing::info!(panel = %self.name, "the statistics of the panel's server answer again"),
            _ => {}
        }
        health.error = error.map(ToString::to_string);
        if error.is_none() {
            health.looked = Some(begun);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_kicked_again_while_the_last_kick_may_wait() {
        let (mut kicked, begin) = (Kicked::default(), Instant::now());
        let devices = |devices| HashMap::from([("corp_a".to_owned(), devices)]);
        let kick = |kicked: &mut Kicked, had, millis| {
            let at = begin + Duration::from_millis(millis);
            let due = kicked.need(&devices(had), at);
            kicked.made(&due, &devices(had), at);
            !due.is_empty()
        };
        assert!(kick(&mut kicked, 2, 0) && !kick(&mut kicked, 2, 20));
        assert!(kick(&mut kicked, 1, 40), "it was consumed");
        assert!(
            !kick(&mut kicked, 1, 1000) && kick(&mut kicked, 1, 1040),
            "or may have been"
        );
        kicked.need(&HashMap::new(), begin);
        assert!(kick(&mut kicked, 1, 1050), "another time");
    }

    #[test]
    fn the_loop_is_quick_while_sessions_become_fewer_and_slow_for_who_is_silent() {
        let mut pace = Pace::new();
        for devices in (0..5).rev() {
            pace.after(devices + 1);
            assert_eq!(pace.after(devices), QUICK);
        }
        let mut pace = Pace::new();
        let waits: Vec<Duration> = (0..20).map(|_| pace.after(1)).collect();
        assert_eq!((waits[0], waits[19]), (QUICK, SLOW));
        assert!(waits.is_sorted());
        pace.hurry();
        assert_eq!(pace.after(1), QUICK);
    }
}
