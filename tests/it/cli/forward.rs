//! `forward`, beside a service that listens on loopback alone.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::with;

/// Another address of this machine than the one that is led to.
const HERE: &str = "127.0.0.2";

/// The command while it runs, from the moment on at which it listens. Nobody reads what it says after that, which keeps it from nothing.
struct Forwarding(Child);

impl Forwarding {
    fn to(port: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vpn-operator"))
            .args(["forward", HERE, &port.to_string()])
            .env_clear()
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        while !said.contains("forwarding") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        Self(child)
    }

    fn connect(port: u16) -> TcpStream {
        let stream = TcpStream::connect((HERE, port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Answers one connection with what it is sent, backwards, after the other side said that this was all.
fn service() -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).unwrap();
        asked.reverse();
        stream.write_all(&asked).unwrap();
    });
    (port, answering)
}

#[test]
fn what_listens_on_loopback_alone_is_asked_and_answers_at_another_address() {
    let (port, answering) = service();
    let mut forwarding = Forwarding::to(port);
    let mut stream = Forwarding::connect(port);
    let asked: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    stream.write_all(&asked).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer.reverse();
    assert!(answer == asked, "{} of {} bytes came back", answer.len(), asked.len());
    answering.join().unwrap();
    // The service is gone: whoever connects is told at once, and the next one may come.
    for _ in 0..2 {
        assert_eq!(Forwarding::connect(port).read(&mut [0; 1]).unwrap_or(0), 0);
    }
    assert!(forwarding.0.try_wait().unwrap().is_none(), "it ended with the service");
}

#[test]
fn it_ends_in_good_order_when_it_is_told_to_also_with_an_open_connection() {
    let (port, _answering) = service();
    let mut forwarding = Forwarding::to(port);
    let mut open = Forwarding::connect(port);
    open.write_all(b"not all").unwrap();
    let kill = format!("kill -TERM {}", forwarding.0.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert!(forwarding.0.wait().unwrap().success());
}

#[test]
fn an_address_at_which_everybody_may_connect_and_the_target_itself_are_refused() {
    for (host, said) in [
        ("0.0.0.0", "others could try passwords"),
        ("::", "others could try passwords"),
        ("127.0.0.1", "where the connections lead to"),
    ] {
        let outcome = with(&["forward", host, "1"]);
        assert_eq!(outcome.code, 2, "{host}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(said), "{host}: {}", outcome.stderr);
    }
    assert_eq!(with(&["forward", HERE]).code, 2, "no port");
    assert_eq!(with(&["forward", HERE, "0"]).code, 2);
    let taken = TcpListener::bind((HERE, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let outcome = with(&["forward", HERE, &port]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains(&format!("{HERE}:{port}")), "{}", outcome.stderr);
}
