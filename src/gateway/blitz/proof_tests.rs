//! What is claimed is so, whatever order things happen in.

use proptest::prelude::*;

use super::*;

/// A panel with its server, by what is really so.
struct World {
    begin: Instant,
    millis: u64,
    /// Devices online.
    devices: u32,
    /// A kick waits in the server's set.
    kick: bool,
    blocked: bool,
    /// Devices that the panel permitted, and that arrive after so many milliseconds.
    arriving: Vec<u64>,
    proof: Proof,
}

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// The panel kicks, takes some time, and blocks.
    Block(u64),
    /// A list: the panel counts at the end of it.
    List,
    /// A look at the server.
    Look,
    /// The server is kicked.
    Kick,
    /// A device moves a byte, and comes back when it is cut and let in.
    Move,
    /// A device goes by itself.
    Leave,
    /// A device logs in, and arrives after so many milliseconds.
    LogIn(u64),
    Pass(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => (1u64..1000).prop_map(Event::Block),
        3 => Just(Event::List),
        5 => Just(Event::Look),
        4 => Just(Event::Kick),
        5 => Just(Event::Move),
        1 => Just(Event::Leave),
        2 => (0u64..450).prop_map(Event::LogIn),
        2 => (0u64..1500).prop_map(Event::Pass),
    ];
    prop::collection::vec(event, 0..60)
}

impl World {
    fn new(devices: u32, server: bool) -> Self {
        let revoke = Revoke {
            below: Epoch(1),
            denied_at: Timestamp::UNIX_EPOCH,
            known: Vec::new(),
            left_out: Vec::new(),
        };
        Self {
            begin: Instant::now(),
            millis: 0,
            devices,
            kick: false,
            blocked: false,
            arriving: Vec::new(),
            proof: Proof::open(&revoke, devices, server),
        }
    }

    fn now(&self) -> Moment {
        let since = Duration::from_millis(self.millis);
        Moment {
            at: self.begin + since,
            utc: Timestamp::UNIX_EPOCH + since,
        }
    }

    fn pass(&mut self, millis: u64) {
        self.millis += millis;
        let before = self.arriving.len();
        self.arriving.retain(|at| *at > self.millis);
        self.devices += u32::try_from(before - self.arriving.len()).unwrap();
    }

    fn happens(&mut self, event: Event) {
        let begun = self.now().at;
        match event {
            Event::Block(took) => {
                self.kick = true;
                self.pass(took);
                self.blocked = true;
                self.pass(1);
                self.proof.blocked(begun, self.now());
            }
            Event::List => {
                self.pass(600);
                let now = self.now();
                self.proof.looked(Some(self.devices), self.blocked, begun, now);
            }
            Event::Look => {
                let now = self.now();
                self.proof.served(self.devices, begun, now);
                self.pass(1);
            }
            Event::Kick => {
                self.kick = true;
                self.proof.kicked(begun, self.now());
                self.pass(1);
            }
            Event::Move if self.kick && self.devices > 0 => {
                self.kick = false;
                self.devices -= 1;
                if !self.blocked {
                    self.arriving.push(self.millis + 5);
                }
            }
            Event::Leave => self.devices = self.devices.saturating_sub(1),
            Event::LogIn(after) if !self.blocked => self.arriving.push(self.millis + after),
            Event::Move | Event::LogIn(_) => {}
            Event::Pass(millis) => self.pass(millis),
        }
    }

    /// Devices that can pass a byte more, now or later.
    fn free(&self) -> u32 {
        let all = self.devices + u32::try_from(self.arriving.len()).unwrap();
        all - u32::from(self.kick).min(all)
    }
}

proptest! {
    #[test]
    fn what_is_claimed_with_the_word_of_the_server_is_so(devices in 0u32..5, events in events()) {
        let mut world = World::new(devices, true);
        for (at, event) in events.iter().enumerate() {
            world.happens(*event);
            let claims = world.proof.progress("default/panel");
            let seen = format!("after {at}: {event:?}, {} devices", world.devices);
            prop_assert!(claims.contained_at.is_none() || world.free() == 0, "contained {}", seen);
            prop_assert!(claims.sessions_zero_at.is_none() || world.devices == 0, "zero {}", seen);
            prop_assert!(claims.sessions_zero_at.is_none() || world.blocked, "the panel lets people in {}", seen);
            prop_assert_eq!(claims.sessions_zero_at.is_none(), claims.waiting_for.len() == 1);
        }
    }

    #[test]
    fn who_is_blocked_kicked_and_looked_at_is_proved_gone(devices in 0u32..5, before in events(), server in any::<bool>()) {
        let mut world = World::new(devices, server);
        for event in before {
            world.happens(event);
        }
        for _ in 0..100 {
            let next = match world.proof.need(false) {
                Need::Block => Event::Block(300),
                Need::Look => Event::List,
                Need::Nothing => break,
            };
            world.happens(next);
            if server {
                for event in [Event::Pass(600), Event::Look, Event::Kick] {
                    world.happens(event);
                }
            }
            world.happens(Event::Move);
        }
        prop_assert!(world.proof.is_over() && world.devices == 0);
    }
}

#[test]
fn one_word_is_not_enough() {
    for (list, look) in [(true, false), (false, true)] {
        let mut world = World::new(0, true);
        for event in [Event::Block(300), Event::Block(300), Event::Pass(600)] {
            world.happens(event);
        }
        if list {
            world.happens(Event::List);
        }
        if look {
            world.happens(Event::Look);
        }
        assert!(!world.proof.is_over(), "list {list}, look {look}");
        world.happens(Event::List);
        world.happens(Event::Look);
        assert!(world.proof.is_over());
    }
}

#[test]
fn nothing_is_claimed_before_the_panel_refuses_whatever_the_server_shows() {
    let mut world = World::new(0, true);
    for event in [Event::Look, Event::Kick, Event::Pass(5000), Event::Look, Event::Kick] {
        world.happens(event);
    }
    let claims = world.proof.progress("default/panel");
    assert_eq!((claims.contained_at, claims.sessions_zero_at), (None, None));
    assert_eq!(claims.waiting_for, ["default/panel"]);
}

#[test]
fn a_server_that_shows_somebody_again_takes_back_what_was_claimed() {
    let mut world = World::new(0, true);
    for event in [
        Event::Block(300),
        Event::Block(300),
        Event::Pass(600),
        Event::List,
        Event::Look,
    ] {
        world.happens(event);
    }
    assert!(world.proof.is_over());
    world.devices = 2;
    world.happens(Event::Look);
    let claims = world.proof.progress("default/panel");
    assert!(claims.contained_at.is_none() && claims.sessions_zero_at.is_none() && claims.withdrawn_at.is_some());
}
