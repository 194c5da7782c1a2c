//! A strict double of a mail server: STARTTLS or TLS with a certificate of its own authority, login, and faults.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream},
    net::TcpListener,
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, rustls};

/// What goes wrong with one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 421 in place of a greeting.
    Busy,
    /// 450 to the recipient.
    NotNow,
    /// 550 to the recipient, with the address in it.
    NoSuchPerson,
    /// The connection is dropped in the middle of the letter.
    Drop,
    /// Nothing is said for so long.
    Slow(Duration),
    /// STARTTLS is neither offered nor done.
    NoTls,
}

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// In the clear, and goes on only after STARTTLS.
    StartTls,
    /// With TLS.
    Tls,
}

/// A letter that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    pub to: String,
    pub raw: String,
}

#[derive(Default)]
struct Inner {
    faults: VecDeque<Fault>,
    taken: Vec<Taken>,
    /// What a client did that no good one does.
    wrong: Vec<String>,
    connections: usize,
    login: Option<(String, String)>,
}

/// The server. Stops when it is dropped.
pub struct SmtpDouble {
    pub address: SocketAddr,
    /// The certificate of the authority, as PEM.
    pub authority: String,
    inner: Arc<Mutex<Inner>>,
    news: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for SmtpDouble {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SmtpDouble {
    /// A server that bears the name `localhost`, and asks for a login if one is given.
    pub async fn start(begins: Begins, login: Option<(&str, &str)>) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let own_key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let own = own.signed_by(&own_key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(own.der().to_vec())],
                PrivateKeyDer::try_from(own_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Mutex::new(Inner {
            login: login.map(|(name, password)| (name.to_owned(), password.to_owned())),
            ..Inner::default()
        }));
        let news = Arc::new(Notify::new());
        let task = tokio::spawn({
            let (inner, news) = (Arc::clone(&inner), Arc::clone(&news));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (inner, news, acceptor) = (Arc::clone(&inner), Arc::clone(&news), acceptor.clone());
                    tokio::spawn(async move {
                        let fault = {
                            let mut inner = lock(&inner);
                            inner.connections += 1;
                            inner.faults.pop_front()
                        };
                        let mut session = Session { inner, news, fault };
                        // A client that goes away is no fault of the double's.
                        let _ = match begins {
                            Begins::StartTls => session.in_the_clear(stream, acceptor).await,
                            Begins::Tls => match acceptor.accept(stream).await {
                                Ok(stream) => session.talk(BufStream::new(stream), true).await,
                                Err(error) => Err(error),
                            },
                        };
                    });
                }
            }
        });
        Self {
            address,
            authority: authority.pem(),
            inner,
            news,
            task,
        }
    }

    /// The next connections go wrong like this, one after the other.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.inner).faults.extend(faults);
    }

    /// Letters so far. Panics if a client did what no good one does.
    pub fn taken(&self) -> Vec<Taken> {
        let inner = lock(&self.inner);
        assert!(inner.wrong.is_empty(), "{:?}", inner.wrong);
        inner.taken.clone()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        lock(&self.inner).connections
    }

    /// Waits until so many letters were taken.
    pub async fn letters(&self, count: usize) -> Vec<Taken> {
        let enough = async {
            loop {
                let news = self.news.notified();
                let taken = self.taken();
                if taken.len() >= count {
                    return taken;
                }
                news.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), enough)
            .await
            .unwrap_or_else(|_| panic!("{count} letters did not come: {:?}", self.taken()))
    }
}

impl Taken {
    /// The eight digits of the code in it.
    pub fn code(&self) -> String {
        let found = regex::Regex::new(r"\b\d{4} \d{4}\b").unwrap();
        found
            .find(&self.raw)
            .unwrap_or_else(|| panic!("no code in {}", self.raw))
            .as_str()
            .to_owned()
    }
}

struct Session {
    inner: Arc<Mutex<Inner>>,
    news: Arc<Notify>,
    fault: Option<Fault>,
}

type Done = std::io::Result<()>;

impl Session {
    fn is_wrong(&self, what: &str) {
        lock(&self.inner).wrong.push(what.to_owned());
    }

    async fn begin<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut BufStream<S>) -> std::io::Result<bool> {
        if let Some(Fault::Slow(time)) = self.fault {
            tokio::time::sleep(time).await;
        }
        if self.fault == Some(Fault::Busy) {
            say(stream, "421 localhost too busy").await?;
            return Ok(false);
        }
        say(stream, "220 localhost ESMTP").await?;
        Ok(true)
    }

    /// Until STARTTLS: nothing else is to be said.
    async fn in_the_clear<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: S, acceptor: TlsAcceptor) -> Done {
        let mut stream = BufStream::new(stream);
        if !self.begin(&mut stream).await? {
            return Ok(());
        }
        loop {
            let Some(line) = read(&mut stream).await? else {
                return Ok(());
            };
            match line
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase()
                .as_str()
            {
                "EHLO" if self.fault == Some(Fault::NoTls) => say(&mut stream, "250 localhost").await?,
                "EHLO" => say(&mut stream, "250-localhost\r\n250 STARTTLS").await?,
                "STARTTLS" if self.fault != Some(Fault::NoTls) => {
                    say(&mut stream, "220 go ahead").await?;
                    let stream = acceptor.accept(stream.into_inner()).await?;
                    return self.talk(BufStream::new(stream), false).await;
                }
                "QUIT" => return say(&mut stream, "221 bye").await,
                other => {
                    self.is_wrong(&format!("{other} in the clear"));
                    return Ok(());
                }
            }
        }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&mut self, mut stream: BufStream<S>, greets: bool) -> Done {
        if greets && !self.begin(&mut stream).await? {
            return Ok(());
        }
        let login = lock(&self.inner).login.clone();
        let (mut logged_in, mut to) = (login.is_none(), None);
        loop {
            let Some(line) = read(&mut stream).await? else {
                return Ok(());
            };
            let upper = line.to_ascii_uppercase();
            if upper.starts_with("EHLO") {
                say(&mut stream, "250-localhost\r\n250 AUTH PLAIN").await?;
            } else if let Some(given) = line.strip_prefix("AUTH PLAIN ") {
                let (name, password) = login.clone().unwrap_or_default();
                logged_in = given == STANDARD.encode(format!("\0{name}\0{password}"));
                let answer = if logged_in {
                    "235 welcome"
                } else {
                    "535 5.7.8 not these"
                };
                say(&mut stream, answer).await?;
            } else if upper.starts_with("NOOP") {
                say(&mut stream, "250 fine").await?;
            } else if upper.starts_with("QUIT") {
                return say(&mut stream, "221 bye").await;
            } else if upper.starts_with("RSET") {
                say(&mut stream, "250 fine").await?;
            } else if !logged_in {
                self.is_wrong(&format!("{line} without a login"));
                say(&mut stream, "530 log in first").await?;
            } else if upper.starts_with("MAIL FROM:<VPN@EXAMPLE.COM>") {
                say(&mut stream, "250 fine").await?;
            } else if let Some(rest) = upper.strip_prefix("RCPT TO:<") {
                let address = rest.split('>').next().unwrap_or_default().to_ascii_lowercase();
                match self.fault {
                    Some(Fault::NotNow) => say(&mut stream, "450 4.2.1 later").await?,
                    Some(Fault::NoSuchPerson) => {
                        say(&mut stream, &format!("550 5.1.1 <{address}>: nobody here")).await?;
                    }
                    _ => say(&mut stream, "250 fine").await?,
                }
                to = Some(address);
            } else if upper.starts_with("DATA") {
                say(&mut stream, "354 go on").await?;
                let mut raw = String::new();
                loop {
                    let Some(line) = read(&mut stream).await? else {
                        return Ok(());
                    };
                    if self.fault == Some(Fault::Drop) {
                        return Ok(());
                    }
                    if line == "." {
                        break;
                    }
                    raw.push_str(line.strip_prefix('.').unwrap_or(&line));
                    raw.push('\n');
                }
                let to = to.take().unwrap_or_default();
                lock(&self.inner).taken.push(Taken { to, raw });
                say(&mut stream, "250 taken").await?;
                self.news.notify_waiters();
            } else {
                self.is_wrong(&line);
                say(&mut stream, "500 what?").await?;
            }
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>, line: &str) -> Done {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = stream.read_until(b'\n', &mut line).await?;
    let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
    Ok((read > 0).then_some(text))
}
