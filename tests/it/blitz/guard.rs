//! The auth guard: the operator's listener in front of the panel's own auth service.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio_util::sync::{CancellationToken, DropGuard};
use vpn_operator::{
    auth::listener::{Asker, AuthEndpoint},
    clock::{Clock, SystemClock},
    gateway::{Gateway as _, NodeName, TargetAccess, blitz::config::PanelConfig},
    metrics::{Listener, Metrics},
    model::user::AccountPresence,
    roster::Roster,
    serve::{Connections, serve},
};

use super::house::{ADDRESS, Busy, House, TOKEN, config_with_stats, eventually};
use crate::{
    roster::{held, hold_of, in_time_of, said, user},
    support::blitz::{Account, BlitzPanel, Fault, Op},
};

const SECRET: &str = "path-secret-of-the-panel";
/// The account of `AB123456`, and what its person sends.
const ANNA: &str = "corp_ab123456";
const ANNAS: &str = "corp_ab123456:pw-ab123456-1";

/// The machine's clock, set ahead.
#[derive(Default)]
struct Ahead(Mutex<Duration>);

impl Ahead {
    fn by(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.by()
    }
    fn monotonic(&self) -> Instant {
        SystemClock.monotonic() + self.by()
    }
    fn since_boot(&self) -> Duration {
        SystemClock.since_boot() + self.by()
    }
}

/// A panel, a gateway that has it, and the listener that its servers ask.
struct Guarded {
    house: House,
    roster: Roster,
    endpoint: Arc<AuthEndpoint>,
    metrics: Arc<Metrics>,
    url: String,
    clock: Arc<Ahead>,
    _stop: DropGuard,
}

impl Guarded {
    async fn new() -> Self {
        let panel = BlitzPanel::start(TOKEN).await;
        panel.set_penalty(Duration::from_millis(300));
        Self::at(panel)
    }

    fn at(panel: Arc<BlitzPanel>) -> Self {
        let clock = Arc::new(Ahead::default());
        let roster = in_time_of(clock.clone(), vec![said(&user("AB123456"))]);
        let metrics = Arc::new(Metrics::new());
        let endpoint = AuthEndpoint::new(roster.index(), metrics.clone());
        let upstream = panel.auth_url().parse().unwrap();
        endpoint.set_tokens([Asker {
            token: &SecretString::from(SECRET),
            node: &NodeName::new("default", "panel"),
            upstream: Some(&upstream),
        }]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/auth/{SECRET}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(serve(
            listener,
            endpoint.router(),
            None,
            Connections::new(Listener::Auth, 100, Arc::default()),
            stop.clone(),
        ));
        let config = PanelConfig {
            guarded: true,
            ..config_with_stats(&panel)
        };
        let house = House::with(panel, Arc::default(), &config, roster.index(), clock.clone());
        Self {
            house,
            roster,
            endpoint,
            metrics,
            url,
            clock,
            _stop: stop.drop_guard(),
        }
    }

    fn panel(&self) -> &Arc<BlitzPanel> {
        &self.house.panel
    }

    fn account() -> vpn_operator::gateway::Account {
        vpn_operator::gateway::Account {
            password: Some(ANNAS.split_once(':').unwrap().1.into()),
            ..vpn_operator::gateway::Account::default()
        }
    }

    /// As the reconciler does for somebody who is declared.
    async fn grant(&self) {
        self.house.submit(ANNA, TargetAccess::Granted, Self::account(), false);
        eventually("present", || {
            self.house.observe(ANNA).account == AccountPresence::Present
        })
        .await;
    }

    /// As an order does.
    fn deny(&self) {
        self.roster.apply(vec![held(&hold_of("api", "api-x", "AB123456"))]);
        self.house.submit(ANNA, TargetAccess::Denied, Self::account(), true);
    }

    async fn connect(&self, credential: &str) -> Option<crate::support::hysteria_node::Session> {
        self.panel().connect_through(&self.url, credential, ADDRESS).await.ok()
    }

    fn count(&self, outcome: &str) -> u64 {
        let text = self.metrics.encode();
        let line = format!("vpn_operator_auth_decisions_total{{outcome=\"{outcome}\"}} ");
        let value = text.lines().find_map(|it| it.strip_prefix(&*line)).unwrap();
        value.parse().unwrap()
    }

    fn bypassed(&self) -> bool {
        self.endpoint.guards()[0].bypassed
    }
}

#[tokio::test]
async fn both_have_to_say_yes_and_the_id_is_the_panels() {
    let guarded = Guarded::new().await;
    assert!(
        guarded.connect(ANNAS).await.is_none(),
        "the panel has no such account yet"
    );
    guarded.grant().await;
    let session = guarded.connect(ANNAS).await.unwrap();
    assert_eq!(session.id, ANNA);
    // The panel's service tells small letters from capitals.
    assert!(guarded.connect(&ANNAS.replace("corp_ab", "CORP_AB")).await.is_none());
    guarded.panel().database().accounts.get_mut(ANNA).unwrap().blocked = true;
    assert!(guarded.connect(ANNAS).await.is_none());
    guarded.panel().database().accounts.get_mut(ANNA).unwrap().blocked = false;
    assert!(guarded.connect(ANNAS).await.is_some());

    let asked = guarded.panel().asked();
    assert!(guarded.connect("corp_ab123456:wrong").await.is_none());
    guarded.roster.apply(vec![held(&hold_of("api", "api-x", "AB123456"))]);
    assert!(guarded.connect(ANNAS).await.is_none());
    assert_eq!(guarded.panel().asked(), asked, "a refusal is not the panel's to give");
    let counted = ["Granted", "BadPassword", "Held", "PanelRefused"].map(|it| guarded.count(it));
    assert_eq!(counted, [2, 1, 1, 3]);
}

#[tokio::test]
async fn accounts_that_are_not_the_operators_pass_as_they_are() {
    let guarded = Guarded::new().await;
    guarded
        .panel()
        .database()
        .accounts
        .insert("guest".to_owned(), Account::by_hand("theirs"));
    assert_eq!(guarded.connect("guest:theirs").await.unwrap().id, "guest");
    let begun = Instant::now();
    assert!(guarded.connect("guest:wrong").await.is_none());
    assert!(
        begun.elapsed() >= Duration::from_millis(300),
        "it sleeps as the panel does"
    );
    assert!(guarded.connect("no-colon").await.is_none() && guarded.connect("nobody:x").await.is_none());
    assert_eq!(guarded.count("Stranger"), 4);
}

#[tokio::test]
async fn an_account_that_somebody_else_made_works_on_although_a_user_of_that_name_is_denied() {
    let guarded = Guarded::new().await;
    guarded
        .panel()
        .database()
        .accounts
        .insert(ANNA.to_owned(), Account::by_hand("theirs"));
    let theirs = format!("{ANNA}:theirs");
    assert!(
        guarded.connect(&theirs).await.is_none(),
        "in doubt it is the operator's"
    );
    guarded.house.lists(1).await;
    assert!(guarded.connect(&theirs).await.is_some());
    guarded
        .house
        .submit(ANNA, TargetAccess::Granted, Guarded::account(), false);
    guarded.house.lists(1).await;
    assert!(guarded.connect(&theirs).await.is_some());
    guarded.deny();
    guarded.house.lists(1).await;
    assert!(guarded.connect(&theirs).await.is_some());
    // Taken over, it is the operator's from then on.
    let adopted = vpn_operator::gateway::Account {
        adopt: true,
        ..Guarded::account()
    };
    guarded.house.submit(ANNA, TargetAccess::Denied, adopted, true);
    let asked = guarded.panel().asked();
    assert!(guarded.connect(&theirs).await.is_none());
    assert_eq!(guarded.panel().asked(), asked);
}

#[tokio::test]
async fn what_was_let_go_is_the_panels_again_and_what_is_deleted_stays_refused_until_it_is_gone() {
    let guarded = Guarded::new().await;
    guarded.grant().await;
    guarded.deny();
    let retained = vpn_operator::gateway::Account {
        leaving: vpn_operator::gateway::Leaving::Retain,
        ..Guarded::account()
    };
    guarded.panel().database().accounts.get_mut(ANNA).unwrap().blocked = false;
    guarded.house.submit(ANNA, TargetAccess::Absent, retained, true);
    eventually("let go", || {
        guarded.house.observe(ANNA).account == AccountPresence::Absent
    })
    .await;
    guarded.panel().database().accounts.get_mut(ANNA).unwrap().blocked = false;
    assert!(guarded.connect(ANNAS).await.is_some());
    guarded.house.gateway.forget(ANNA);
    guarded.house.lists(1).await;
    assert!(guarded.connect(ANNAS).await.is_some());
}

#[tokio::test]
async fn a_denial_refuses_at_once_and_five_busy_devices_are_gone_while_the_panel_hangs() {
    let guarded = Guarded::new().await;
    guarded.grant().await;
    let mut devices = Vec::new();
    for _ in 0..5 {
        let session = guarded.connect(ANNAS).await.unwrap();
        devices.push(Busy::through(guarded.panel(), Some(&guarded.url), ANNAS, session));
    }
    guarded.panel().fail_next(Op::List, Fault::Hang);
    let before = guarded.panel().count(Op::List);
    eventually("hangs", || guarded.panel().count(Op::List) > before).await;
    let begun = Instant::now();
    guarded.deny();
    let asked = Instant::now();
    assert!(guarded.connect(ANNAS).await.is_none());
    let refused = asked.elapsed();
    eventually("gone", || guarded.panel().node().online().is_empty()).await;
    println!(
        "refused in {refused:?}, five busy devices gone in {:?}",
        begun.elapsed()
    );
    eventually("out", || devices.iter().all(Busy::is_out)).await;
    let revocation = guarded.house.observe(ANNA).revocation.unwrap();
    assert!(revocation.contained_at.is_none() && revocation.waiting_for == ["default/panel"]);
    guarded.panel().take_down().await;
    guarded.panel().bring_up();
    eventually("proved", || guarded.house.is_zero(ANNA)).await;
    assert!(guarded.panel().account(ANNA).unwrap().blocked);
}

#[tokio::test]
async fn a_denial_that_comes_while_the_panels_service_is_asked_is_heard() {
    let guarded = Guarded::new().await;
    guarded.grant().await;
    guarded.panel().set_auth_delay(Duration::from_millis(400));
    let asked = guarded.panel().asked();
    let login = guarded.connect(ANNAS);
    let denial = async {
        eventually("asked", || guarded.panel().asked() > asked).await;
        guarded.roster.apply(vec![held(&hold_of("api", "api-x", "AB123456"))]);
    };
    let (login, ()) = tokio::join!(login, denial);
    assert!(login.is_none());
    assert_eq!(guarded.count("Held"), 1);
}

#[tokio::test]
async fn one_slow_answer_delays_no_other() {
    let guarded = Guarded::new().await;
    guarded.grant().await;
    guarded.panel().set_penalty(Duration::from_secs(6));
    let asked = guarded.panel().asked();
    let slow: Vec<_> = (0..64)
        .map(|_| {
            let (panel, url) = (guarded.panel().clone(), guarded.url.clone());
            tokio::spawn(async move { panel.connect_through(&url, "nobody:x", ADDRESS).await.is_ok() })
        })
        .collect();
    eventually("asked", || guarded.panel().asked() >= asked + 64).await;
    let begun = Instant::now();
    assert!(guarded.connect(ANNAS).await.is_some());
    println!("an allowed login took {:?} while 64 wrong ones waited", begun.elapsed());
    assert!(slow.iter().all(|it| !it.is_finished()));
    for task in slow {
        task.abort();
    }
}

#[tokio::test]
async fn an_allowed_login_takes_little_longer_than_at_the_panels_service_alone() {
    let guarded = Guarded::new().await;
    guarded.grant().await;
    let (service, mut through, mut alone) = (guarded.panel().auth_url(), Vec::new(), Vec::new());
    for _ in 0..200 {
        for (url, took) in [(&guarded.url, &mut through), (&service, &mut alone)] {
            let begun = Instant::now();
            let session = guarded.panel().connect_through(url, ANNAS, ADDRESS).await.unwrap();
            took.push(begun.elapsed());
            session.close();
        }
    }
    through.sort_unstable();
    alone.sort_unstable();
    let (through, alone) = (through[100], alone[100]);
    println!("an allowed login takes {through:?} through the guard, {alone:?} at the panel's service alone");
    assert!(through < alone + Duration::from_millis(50));
}

#[tokio::test]
async fn nobody_new_gets_in_while_the_panels_service_is_away_and_it_is_said() {
    let guarded = Guarded::new().await;
    guarded.grant().await;
    assert!(!guarded.endpoint.guards()[0].upstream.asked);
    let mut session = guarded.connect(ANNAS).await.unwrap();
    assert!(guarded.endpoint.guards()[0].upstream.error.is_none());
    guarded.panel().take_down().await;
    assert!(guarded.connect(ANNAS).await.is_none() && guarded.connect("guest:x").await.is_none());
    assert_eq!(guarded.count("PanelSilent"), 2);
    let error = guarded.endpoint.guards()[0].upstream.error.clone().unwrap();
    assert!(
        error.contains("cannot be reached") && !error.contains("pw-ab"),
        "{error}"
    );
    session.send(1, 1).unwrap();
    guarded.panel().bring_up();
    assert!(guarded.connect(ANNAS).await.is_some());
    assert!(guarded.endpoint.guards()[0].upstream.error.is_none());
}

#[tokio::test]
async fn a_server_that_does_not_ask_is_found() {
    let guarded = Guarded::new().await;
    guarded.grant().await;
    guarded.house.lists(1).await;
    let _asked = guarded.connect(ANNAS).await.unwrap();
    guarded.house.lists(2).await;
    assert!(!guarded.bypassed());
    // A yes of a moment ago may have been for it.
    *guarded.clock.0.lock().unwrap() = Duration::from_secs(20);
    guarded.house.lists(2).await;
    let _unasked = guarded.panel().connect(ANNAS, ADDRESS).await.unwrap();
    guarded.house.lists(2).await;
    assert!(guarded.bypassed());
    // Long ago, and the server asks again.
    *guarded.clock.0.lock().unwrap() = Duration::from_secs(700);
    guarded.house.lists(2).await;
    assert!(guarded.bypassed());
    let _asked_again = guarded.connect(ANNAS).await.unwrap();
    guarded.house.lists(2).await;
    assert!(!guarded.bypassed());
}

#[tokio::test]
async fn who_was_connected_before_the_operator_began_is_no_sign() {
    let guarded = Guarded::new().await;
    let mut ours = Account::by_hand("pw-ab123456-1");
    ours.note = Some("[vpn-operator]".to_owned());
    guarded.panel().database().accounts.insert(ANNA.to_owned(), ours);
    let _there = guarded.panel().connect(ANNAS, ADDRESS).await.unwrap();
    *guarded.clock.0.lock().unwrap() = Duration::from_secs(20);
    guarded.grant().await;
    guarded.house.lists(2).await;
    assert!(!guarded.bypassed());
}
