//! A cluster, two nodes and the operator, in which something goes wrong at one request.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};
use vpn_operator::{
    access::{AccessError, UseCases},
    auth::index::Verdict,
    model::{
        access::Access::Granted,
        condition::Condition,
        gateway::VpnGateway,
        hold::VpnHold,
        user::{VpnUser, VpnUserStatus},
    },
};

use super::{
    oracle::{BYSTANDER, GATEWAYS, HOME, Way, Word, object, ways, word},
    process::{Machine, OPERATOR, Process},
};
use crate::kubernetes::cluster::HEAD;
use crate::support::{
    hysteria_node::{HysteriaNode, Session},
    kube::{
        KubeDouble,
        faults::{Fault, When},
        kubectl::{Kind, Kubectl},
        recorder::Call,
    },
};

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(10);
/// Nothing was written for so long: nothing will be.
const CALM: Duration = Duration::from_millis(500);
/// Nothing was asked for so long: the stale cache has had its say.
const STALE: Duration = Duration::from_millis(150);

/// Processes of which one at least must have nothing to write.
const PROCESSES: usize = 6;

/// What is stored, without what differs from run to run.
pub type Picture = BTreeMap<String, Value>;

/// How one run without faults went.
#[derive(Debug, Default)]
pub struct Course {
    /// The state at each rest.
    pub rests: Vec<Picture>,
    /// Requests of the operator from [`World::arm`] to the last rest, watches included.
    pub requests: usize,
    /// Which of them ask for a change.
    pub changes: Vec<bool>,
    /// Writes of the operator in all.
    pub writes: usize,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    CrashBefore,
    CrashAfter,
    AnswerLost,
    Dropped,
    Status(u16),
    Hang,
    HangAfter,
    /// From then on watches do not show the latest change, until the operator has nothing more to ask.
    Stale,
}

impl Trouble {
    pub const ALL: [Self; 10] = [
        Self::CrashAfter,
        Self::AnswerLost,
        Self::CrashBefore,
        Self::Dropped,
        Self::Status(409),
        Self::Status(429),
        Self::Status(500),
        Self::Hang,
        Self::HangAfter,
        Self::Stale,
    ];

    pub fn fault(self, machine: &Machine, double: &Arc<KubeDouble>) -> Fault {
        let crash = {
            let machine = machine.clone();
            move || machine.crash()
        };
        match self {
            Self::CrashAfter => Fault::crash(crash),
            Self::CrashBefore => Fault::CrashBefore(Arc::new(crash)),
            Self::AnswerLost => Fault::AnswerLost,
            Self::Dropped => Fault::Dropped,
            Self::Status(code) => Fault::Status(code),
            Self::Hang => Fault::Hang,
            Self::HangAfter => Fault::HangAfter,
            Self::Stale => {
                let double = Arc::downgrade(double);
                Fault::Beside(Arc::new(move || {
                    if let Some(double) = double.upgrade() {
                        double.lag_watches();
                    }
                }))
            }
        }
    }
}

pub struct World {
    /// What to say when it fails.
    pub name: String,
    pub double: Arc<KubeDouble>,
    pub kubectl: Kubectl,
    pub machine: Machine,
    pub process: Option<Process>,
    nodes: Vec<Arc<HysteriaNode>>,
    sessions: Vec<(Way, Session)>,
    data: tempfile::TempDir,
    trouble: Option<(Trouble, usize)>,
    expected: Option<Arc<Course>>,
    armed_at: usize,
    pub course: Course,
    port: u16,
}

impl World {
    /// A cluster with a gateway and a bystander; no operator yet.
    pub async fn new(name: String, trouble: Option<(Trouble, usize)>, expected: Option<Arc<Course>>) -> Self {
        let mut nodes = Vec::new();
        for _ in GATEWAYS {
            nodes.push(HysteriaNode::start("", Duration::from_millis(300)).await);
        }
        let double = Arc::new(KubeDouble::start().await);
        let mut world = Self {
            name,
            kubectl: double.kubectl(),
            double,
            machine: Machine::default(),
            process: None,
            nodes,
            sessions: Vec::new(),
            data: tempfile::tempdir().unwrap(),
            trouble,
            expected,
            armed_at: 0,
            course: Course::default(),
            port: 1000,
        };
        world.gateway(HOME).await;
        world.user(BYSTANDER, json!({})).await;
        world
    }

    fn requests(&self) -> usize {
        self.double
            .recorder()
            .count(|call| call.user == OPERATOR && call.resource != HEAD)
    }

    fn writes(&self) -> usize {
        self.double
            .recorder()
            .count(|call| call.user == OPERATOR && call.is_write() && call.resource != HEAD)
    }

    /// From now on requests count.
    pub fn arm(&mut self) {
        self.armed_at = self.requests();
        if let Some((trouble, nth)) = self.trouble {
            let when = When::request(nth).by(OPERATOR).except(HEAD).or_watch();
            self.double.fault(when, trouble.fault(&self.machine, &self.double));
        }
    }

    /// Starts the operator, comes to rest, and arms.
    pub async fn begin(&mut self) {
        self.rest().await;
        self.arm();
    }

    /// The operator ends at once, and nobody starts it yet.
    pub fn crash(&mut self) {
        self.machine.crash();
        self.process = None;
    }

    fn is_up(&self) -> bool {
        let loaded = |process: &Process| process.core.roster.index().is_loaded();
        !self.machine.is_down() && self.process.as_ref().is_some_and(loaded)
    }

    /// Starts the operator if it is down.
    pub async fn revive(&mut self) {
        if !self.machine.is_down() && self.process.is_some() {
            return;
        }
        self.crash();
        let now = Timestamp::now();
        let denied = ways().filter(|way| self.word(way, now) != Word::Permits).collect();
        {
            let mut findings = self.machine.findings();
            findings.process += 1;
            findings.denied_before = denied;
        }
        self.process = Process::start(&self.machine, &self.double.url(), self.data.path()).await;
    }

    fn stored<K: Kind>(&self, plural: &str) -> Vec<K> {
        let names = self.double.names(plural);
        let names = names.iter().filter_map(|name| name.strip_prefix("default/"));
        names
            .filter_map(|name| self.double.stored(plural, "default", name))
            .map(|object| serde_json::from_value(object).unwrap())
            .collect()
    }

    /// What the declaration says of a way in, as it is stored.
    pub fn word(&self, way: &Way, now: Timestamp) -> Word {
        let user = self.double.stored("vpnusers", "default", &object(way.id));
        let user: Option<VpnUser> = user.map(|user| serde_json::from_value(user).unwrap());
        let holds: Vec<VpnHold> = self.stored("vpnholds");
        word(way, user.as_ref(), holds.iter(), now)
    }

    /// Somebody changes something about a person.
    pub fn touch(&self, id: &str) {
        self.machine.findings().denied_before.retain(|way| way.id != id);
    }

    /// `kubectl apply` of a person with these fields of the spec.
    pub async fn user(&mut self, id: &str, spec: Value) {
        self.touch(id);
        let mut manifest = json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnUser", "metadata": { "name": object(id) },
            "spec": { "corporateId": id },
        });
        for (field, value) in spec.as_object().unwrap() {
            manifest["spec"][field] = value.clone();
        }
        let manifest = manifest.to_string();
        self.kubectl.apply::<VpnUser>("person", &manifest, true).await.unwrap();
    }

    /// `kubectl patch` of a person's spec.
    pub async fn edit(&mut self, id: &str, spec: Value) {
        self.touch(id);
        let patch = json!({ "spec": spec });
        self.kubectl.merge::<VpnUser>(&object(id), patch).await.unwrap();
    }

    /// `kubectl delete`.
    pub async fn delete<K: Kind>(&mut self, name: &str) {
        self.kubectl.delete::<K>(name).await.unwrap();
    }

    /// `kubectl apply` of a hold.
    pub async fn hold(&mut self, name: &str, id: &str) {
        let manifest = json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnHold", "metadata": { "name": name },
            "spec": { "corporateId": id, "source": "hr" },
        });
        let manifest = manifest.to_string();
        self.kubectl.apply::<VpnHold>("person", &manifest, true).await.unwrap();
    }

    /// `kubectl delete` of a hold.
    pub async fn lose(&mut self, name: &str, id: &str) {
        self.touch(id);
        self.delete::<VpnHold>(name).await;
    }

    /// `kubectl apply` of a gateway with one node.
    pub async fn gateway(&mut self, name: &str) {
        let node = &self.nodes[GATEWAYS.iter().position(|gateway| *gateway == name).unwrap()];
        let node = json!({ "name": "n", "address": format!("{name}.example.com"), "statsUrl": node.stats_url() });
        let manifest = json!({
            "apiVersion": "vpn-operator.io/v1alpha1", "kind": "VpnGateway", "metadata": { "name": name },
            "spec": { "hysteria": { "nodes": [node] } },
        });
        let manifest = manifest.to_string();
        self.kubectl
            .apply::<VpnGateway>("person", &manifest, true)
            .await
            .unwrap();
    }

    /// A client of the API asks for something until it is done, whatever becomes of the operator meanwhile.
    pub async fn ask<F>(&mut self, id: &str, act: impl Fn(UseCases) -> F)
    where
        F: Future<Output = Result<(), AccessError>> + Send + 'static,
    {
        self.touch(id);
        let deadline = Instant::now() + DEADLINE;
        let mut last = String::new();
        loop {
            assert!(
                Instant::now() < deadline,
                "{}: the API does not do it: {last}",
                self.name
            );
            self.revive().await;
            // Also for a process that has just started: from now on this may grant.
            self.touch(id);
            if let Some(process) = &self.process {
                let work = act(process.use_cases.clone());
                match process.handle.spawn(work).await {
                    Ok(Ok(())) => return,
                    Ok(Err(error)) => last = error.to_string(),
                    Err(error) => last = error.to_string(),
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until an object is gone, with an operator.
    pub async fn gone(&mut self, plural: &str, name: &str) {
        let deadline = Instant::now() + DEADLINE;
        let mut calm = (0, Instant::now());
        while self.double.stored(plural, "default", name).is_some() {
            let stored = self.double.stored(plural, "default", name);
            assert!(Instant::now() < deadline, "{}: {name} stays: {stored:#?}", self.name);
            self.revive().await;
            self.move_bytes();
            self.unlag(&mut calm);
            tokio::time::sleep(LOOK).await;
        }
    }

    pub fn move_bytes(&mut self) {
        self.sessions.retain_mut(|(_, session)| session.send(1, 1).is_ok());
    }

    /// Ends a stale cache when the operator has nothing more to ask.
    fn unlag(&self, calm: &mut (usize, Instant)) {
        let requests = self.requests();
        if calm.0 != requests {
            *calm = (requests, Instant::now());
        } else if calm.1.elapsed() > STALE && matches!(self.trouble, Some((Trouble::Stale, _))) {
            self.double.release();
        }
    }

    /// Fails if somebody was let in who must not be.
    pub fn check(&self) {
        let broken = std::mem::take(&mut self.machine.findings().broken);
        assert!(broken.is_empty(), "{}: {}", self.name, broken.join("\n"));
    }

    /// Waits until everything is as without faults; a run without faults waits until all is said and done.
    pub async fn rest(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        let (mut asked, mut written) = ((0, Instant::now()), (0, Instant::now()));
        let mut seen = u64::MAX;
        let expected = self.expected.clone();
        let expected = expected.as_ref().map(|course| &course.rests[self.course.rests.len()]);
        loop {
            self.check();
            self.revive().await;
            self.move_bytes();
            self.unlag(&mut asked);
            let writes = self.writes();
            if writes != written.0 {
                written = (writes, Instant::now());
            }
            let version = self.double.version();
            // The picture that is found good is the one that is kept: the next one may be of another moment.
            let good = match expected {
                // What was not right is right only when something has changed.
                Some(_) if seen == version => None,
                Some(expected) => Some(self.picture()).filter(|picture| picture == expected),
                None if written.1.elapsed() > CALM => Some(self.picture()).filter(|_| self.is_complete()),
                None => None,
            };
            // What was looked at is what is stored still: on a busy machine much may happen between two lines.
            let good = good.filter(|_| self.double.version() == version);
            if good.is_some() && self.people_agree() {
                self.course.rests.extend(good);
                return;
            }
            if good.is_none() {
                seen = version;
            }
            if Instant::now() > deadline {
                let picture = self.picture();
                let difference = match expected {
                    Some(expected) => difference(expected, &picture),
                    None => format!("{picture:#?}"),
                };
                panic!(
                    "{}: it does not come to rest {}; sessions {:?}; {difference}",
                    self.name,
                    self.course.rests.len(),
                    self.sessions.iter().map(|(way, _)| way).collect::<Vec<_>>()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until nothing is written any more, and compares once more. With no faults left, a new process writes nothing.
    pub async fn end(&mut self) {
        self.double.faults().clear();
        self.double.release();
        let deadline = Instant::now() + DEADLINE;
        let mut written = (0, Instant::now());
        loop {
            self.check();
            self.revive().await;
            self.move_bytes();
            let writes = self.writes();
            // The last look is one that found it calm: on a busy machine a pause may be longer than the calm that is wanted.
            if writes != written.0 || !self.is_up() || !self.people_agree() {
                written = (writes, Instant::now());
            }
            let over = Instant::now() > deadline;
            if written.1.elapsed() >= CALM {
                // A node that was not heard of for a moment, on a busy machine, is heard of again.
                let (last, picture) = (self.course.rests.last().unwrap(), self.picture());
                if *last == picture {
                    break;
                }
                let differs = || difference(last, &picture);
                assert!(!over, "{}: it did not last: {}", self.name, differs());
            }
            let calls = || self.double.recorder().writes(OPERATOR);
            assert!(!over, "{}: it goes on and on: {:#?}", self.name, calls());
            tokio::time::sleep(LOOK).await;
        }
        let mut asked = self.double.recorder().of(OPERATOR);
        asked.retain(|call| call.resource != HEAD);
        let asked = asked.split_off(self.armed_at);
        self.course.requests = asked.len();
        self.course.changes = asked.iter().map(Call::is_write).collect();
        self.course.writes = self.writes();
        let disagreement = self.disagreement();
        assert!(
            disagreement.is_none(),
            "{}: auth or sessions differ in the end: {disagreement:?}",
            self.name
        );
        let alive = self.sessions.iter().any(|(way, _)| way.id == BYSTANDER);
        assert!(alive, "{}: the bystander was disconnected", self.name);
        if let Some(expected) = &self.expected {
            let bound = 2 * expected.writes + 12;
            let calls = || self.double.recorder().writes(OPERATOR);
            assert!(
                written.0 <= bound,
                "{}: more than {bound} writes: {:#?}",
                self.name,
                calls()
            );
        } else {
            self.start_anew().await;
        }
        self.check();
        self.crash();
    }

    /// The operator ends, and another process has nothing to write. What a gateway's status says follows within a second, which
    /// nothing here waits for, and on a busy machine a node may not answer in time: where a process had to write only that, one after it
    /// has nothing left.
    pub async fn start_anew(&mut self) {
        for left in (0..PROCESSES).rev() {
            let before = self.reported();
            self.machine.crash();
            self.process = None;
            self.double.recorder().clear();
            self.revive().await;
            let index = self.process.as_ref().unwrap().core.roster.index();
            index.wait_loaded().await;
            tokio::time::sleep(CALM).await;
            let mut writes = self.double.recorder().writes(OPERATOR);
            writes.retain(|call| call.resource != HEAD);
            let lagged = |call: &Call| call.resource == "vpngateways" && call.subresource == "status";
            assert!(
                writes.iter().all(|call| left > 0 && lagged(call)),
                "{}: a new process writes again: {writes:?}\nbefore {before:#?}\nafter {:#?}",
                self.name,
                self.reported()
            );
            if writes.is_empty() {
                return;
            }
        }
    }

    /// Conditions of every gateway, and statuses of users.
    fn reported(&self) -> (Vec<Vec<Condition>>, Vec<Option<VpnUserStatus>>) {
        let gateways = self.stored::<VpnGateway>("vpngateways").into_iter();
        let gateways = gateways.map(|gateway| gateway.status.unwrap_or_default().conditions);
        (gateways.collect(), self.statuses())
    }

    fn statuses(&self) -> Vec<Option<VpnUserStatus>> {
        let users: Vec<VpnUser> = self.stored("vpnusers");
        users.into_iter().map(|user| user.status).collect()
    }

    /// Whether everybody who may come in does, nobody else does, and nobody else is in.
    pub fn people_agree(&mut self) -> bool {
        self.disagreement().is_none()
    }

    /// Who is in and must not be, or the other way round.
    fn disagreement(&mut self) -> Option<String> {
        let Some(process) = &self.process else {
            return Some("no process".to_owned());
        };
        let index = process.core.roster.index();
        if !index.is_loaded() {
            return Some("not loaded".to_owned());
        }
        let now = Timestamp::now();
        for way in ways() {
            let permits = self.word(&way, now) == Word::Permits;
            if self.double.stored("vpngateways", "default", way.gateway).is_none() {
                continue;
            }
            let inside = self.sessions.iter().any(|(of, _)| *of == way);
            if permits && !inside {
                self.port += 1;
                let address = format!("192.0.2.1:{}", self.port);
                let session = match way.login(&index) {
                    Verdict::Granted(session) => session,
                    other => return Some(format!("{way:?} is permitted and not let in: {other:?}")),
                };
                let at = GATEWAYS.iter().position(|gateway| *gateway == way.gateway).unwrap();
                let session = self.nodes[at].register(session.id().to_string(), &address);
                self.sessions.push((way, session));
            } else if !permits && (inside || matches!(way.login(&index), Verdict::Granted(_))) {
                return Some(format!("{way:?} is not permitted, and inside: {inside}"));
            }
        }
        None
    }

    /// Whoever may come in by what is declared tries to.
    pub fn let_in(&mut self) {
        let Some(process) = self.process.as_ref().filter(|_| !self.machine.is_down()) else {
            return;
        };
        let index = process.core.roster.index();
        let now = Timestamp::now();
        for way in ways() {
            let inside = self.sessions.iter().any(|(of, _)| *of == way);
            if inside || self.word(&way, now) != Word::Permits {
                continue;
            }
            self.port += 1;
            let address = format!("192.0.2.1:{}", self.port);
            if let Verdict::Granted(session) = way.login(&index) {
                let at = GATEWAYS.iter().position(|gateway| *gateway == way.gateway).unwrap();
                let session = self.nodes[at].register(session.id().to_string(), &address);
                self.sessions.push((way, session));
            }
        }
    }

    /// Ways in that are open, as `ID@generation gateway`.
    pub fn open(&self) -> Vec<String> {
        let mut open: Vec<_> = self.sessions.iter().map(|(way, _)| way).collect();
        open.sort();
        open.dedup();
        open.into_iter()
            .filter(|way| way.id != BYSTANDER)
            .map(|way| format!("{}@{} {}", way.id, way.generation, way.gateway))
            .collect()
    }

    /// Fails unless these are all the ways in that are open.
    pub fn expect_open(&self, ways: &[&str]) {
        assert_eq!(self.open(), ways, "{}", self.name);
    }

    /// Whether every object says that it is done with.
    pub fn is_complete(&self) -> bool {
        let now = Timestamp::now();
        let users = self.stored::<VpnUser>("vpnusers").into_iter().all(|user| {
            let of = |way: &Way| object(way.id) == user.metadata.name.as_deref().unwrap();
            let permits = ways().any(|way| of(&way) && self.word(&way, now) == Word::Permits);
            let status = user.status.unwrap_or_default();
            let is = |kind: &str| {
                status
                    .conditions
                    .iter()
                    .any(|it| it.type_ == kind && it.status == "True")
            };
            user.metadata.deletion_timestamp.is_none()
                && permits == (status.access == Some(Granted))
                && user.metadata.finalizers.is_some()
                && Some(status.observed_generation) == user.metadata.generation
                && (is("Ready") || is("Stalled"))
                && status.revocation.is_none_or(|it| it.sessions_zero_at.is_some())
        });
        let holds = self.stored::<VpnHold>("vpnholds").into_iter().all(|hold| {
            let phase = hold.status.and_then(|status| status.phase);
            hold.metadata.deletion_timestamp.is_none() && phase.is_some() && hold.metadata.finalizers.is_some()
        });
        let gateways = self.stored::<VpnGateway>("vpngateways").into_iter().all(|gateway| {
            let status = gateway.status.unwrap_or_default();
            let is = |kind: &str| {
                let mut conditions = status.conditions.iter();
                conditions.any(|it| it.type_ == kind && it.status == "True")
            };
            Some(status.observed_generation) == gateway.metadata.generation
                && gateway.metadata.finalizers.is_some()
                && is("Stalled") == gateway.metadata.deletion_timestamp.is_some()
                // A node that did not answer in time, on a busy machine, answers again.
                && (is("Ready") || is("Stalled"))
        });
        users && holds && gateways && self.process.as_ref().is_some_and(|it| it.core.roster.is_loaded())
    }

    /// What is stored, without what differs from run to run.
    pub fn picture(&self) -> Picture {
        let mut picture = Picture::new();
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        for plural in ["vpnusers", "vpnholds", "vpngateways", "secrets"] {
            for name in self.double.names(plural) {
                let bare = name.trim_start_matches("default/");
                let Some(mut object) = self.double.stored(plural, "default", bare) else {
                    continue;
                };
                let meta = object["metadata"].take();
                owners.insert(meta["uid"].as_str().unwrap().to_owned(), format!("{plural}/{bare}"));
                object["metadata"] = json!({
                    "finalizers": meta["finalizers"],
                    "deleted": !meta["deletionTimestamp"].is_null(),
                    "labels": meta["labels"],
                    "owners": meta["ownerReferences"],
                });
                let observed = object["status"]["observedGeneration"] == meta["generation"];
                if object["status"].is_object() {
                    plain_status(&mut object["status"], observed);
                }
                if let Some(spec) = object["spec"].as_object_mut() {
                    // A moment that each run chooses for itself.
                    if let Some(until) = spec.get_mut("validUntil") {
                        *until = json!("then");
                    }
                    for node in spec
                        .get_mut("hysteria")
                        .and_then(|it| it["nodes"].as_array_mut())
                        .into_iter()
                        .flatten()
                    {
                        node["statsUrl"] = json!("there");
                    }
                }
                picture.insert(format!("{plural}/{bare}"), object);
            }
        }
        for object in picture.values_mut() {
            for owner in object["metadata"]["owners"].as_array_mut().into_iter().flatten() {
                let uid = owner["uid"].as_str().unwrap_or_default();
                owner["uid"] = json!(owners.get(uid).map_or("nobody", String::as_str));
            }
        }
        picture
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.machine.crash();
    }
}

fn plain_status(status: &mut Value, observed: bool) {
    status["observedGeneration"] = json!(observed);
    for field in ["epoch", "traffic"] {
        status.as_object_mut().unwrap().remove(field);
    }
    // Numbers of a gateway lag by up to a minute, and follow the clock.
    status.as_object_mut().unwrap().remove("sessions");
    for node in status["nodes"].as_array_mut().into_iter().flatten() {
        for number in ["sessions", "lastPoll"] {
            node.as_object_mut().unwrap().remove(number);
        }
    }
    // Whether there was anything to revoke depends on who saw what; that it is over does not.
    let revocation = status.as_object_mut().unwrap().remove("revocation");
    if revocation.is_some_and(|it| it["sessionsZeroAt"].is_null()) {
        status["revoking"] = json!(true);
    }
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        let said = Some(&condition["message"]).filter(|_| condition["type"] == "Stalled");
        *condition = json!([condition["type"], condition["status"], condition["reason"], said]);
    }
    if let Some(conditions) = status["conditions"].as_array_mut() {
        conditions.sort_by_key(ToString::to_string);
    }
}

fn difference(expected: &Picture, found: &Picture) -> String {
    let mut text = String::new();
    for name in expected
        .keys()
        .chain(found.keys().filter(|name| !expected.contains_key(*name)))
    {
        let (wanted, there) = (expected.get(name), found.get(name));
        if wanted != there {
            let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let (wanted, there) = (show(wanted), show(there));
            write!(text, "\n{name}\n  without faults: {wanted}\n  here: {there}").unwrap();
        }
    }
    text
}

/// Somebody's Secret.
pub fn secret(id: &str) -> String {
    format!("{}-vpn", object(id))
}
