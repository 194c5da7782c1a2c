//! A load of logins from one thread that never sleeps: what it measures contains no timer's and no scheduler's delay of
//! its own.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::{house::is_yes, wire::frame};

const CONNECTIONS: usize = 64;

/// How requests follow each other.
#[derive(Clone, Copy)]
pub enum Pace {
    /// Each connection sends the next request when it has its answer.
    Closed,
    /// So many a second, at random moments, whether or not answers come.
    Open(f64),
}

/// What came of it.
pub struct Outcome {
    pub per_second: f64,
    pub done: usize,
    /// Answers that said no.
    pub refused: usize,
    /// From the moment for which the request was scheduled. Empty in a closed load.
    pub latencies: Vec<Duration>,
}

struct Lane {
    stream: TcpStream,
    asked: Option<Instant>,
    answer: Vec<u8>,
}

pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A gap of a Poisson process.
    fn gap(&mut self, rate: f64) -> Duration {
        let uniform = ((self.next() >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
        Duration::from_secs_f64(-uniform.ln() / rate)
    }
}

/// Sends random ones of the requests; each gets another client port in the place of `:40000`.
pub fn run(server: SocketAddr, requests: &[Vec<u8>], pace: Pace, time: Duration, random: &mut Random) -> Outcome {
    run_as(server, requests, pace, time, random, is_yes)
}

/// As [`run`], where an answer is good if its body is. A request without that port is sent as it is.
pub fn run_as(
    server: SocketAddr,
    requests: &[Vec<u8>],
    pace: Pace,
    time: Duration,
    random: &mut Random,
    is_good: fn(&[u8]) -> bool,
) -> Outcome {
    let mut chunk = vec![0; 16 * 1024];
    let mut lanes: Vec<Lane> = (0..CONNECTIONS).map(|_| Lane::open(server)).collect();
    let mut free: Vec<usize> = (0..CONNECTIONS).collect();
    let mut busy: Vec<usize> = Vec::new();
    let mut due: VecDeque<Instant> = VecDeque::new();
    let begin = Instant::now();
    let mut next = begin;
    let mut outcome = Outcome {
        per_second: 0.0,
        done: 0,
        refused: 0,
        latencies: Vec::new(),
    };
    let mut scratch = Vec::new();
    loop {
        let now = Instant::now();
        let over = now.duration_since(begin) >= time;
        if over && due.is_empty() && busy.is_empty() {
            break;
        }
        match pace {
            Pace::Closed if !over => due.extend(std::iter::repeat_n(now, free.len())),
            Pace::Closed => due.clear(),
            Pace::Open(rate) => {
                while !over && next <= now {
                    due.push_back(next);
                    next += random.gap(rate);
                }
            }
        }
        while let (Some(lane), false) = (free.last().copied(), due.is_empty()) {
            let scheduled = due.pop_front().unwrap();
            free.pop();
            let pick = random.next() as usize;
            scratch.clone_from(&requests[pick % requests.len()]);
            set_port(&mut scratch, 10_000 + (random.next() % 50_000) as u16);
            lanes[lane].stream.write_all(&scratch).unwrap();
            lanes[lane].asked = Some(scheduled);
            busy.push(lane);
        }
        busy.retain(|lane| {
            let at = *lane;
            let lane = &mut lanes[at];
            let Some(yes) = lane.answered(&mut chunk, is_good) else {
                return true;
            };
            outcome.done += 1;
            outcome.refused += usize::from(!yes);
            if let (Pace::Open(_), Some(scheduled)) = (pace, lane.asked) {
                outcome.latencies.push(scheduled.elapsed());
            }
            free.push(at);
            false
        });
    }
    outcome.per_second = outcome.done as f64 / begin.elapsed().as_secs_f64();
    outcome
}

impl Lane {
    fn open(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            asked: None,
            answer: Vec::new(),
        }
    }

    fn answered(&mut self, chunk: &mut [u8], is_good: fn(&[u8]) -> bool) -> Option<bool> {
        match self.stream.read(chunk) {
            Ok(0) => panic!("the server closed a connection"),
            Ok(read) => self.answer.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{error}"),
        }
        let (head, length) = frame(&self.answer)?;
        let body = self.answer.get(head..head + length)?;
        let yes = is_good(body);
        self.answer.clear();
        Some(yes)
    }
}

fn set_port(request: &mut [u8], port: u16) {
    let Some(at) = request.windows(6).rposition(|text| text == b":40000") else {
        return;
    };
    for (place, digit) in request[at + 1..at + 6].iter_mut().zip(format!("{port:05}").bytes()) {
        *place = digit;
    }
}
