//! `forward`: TCP ports of one address lead to the same ports of loopback.
//!
//! Beside containers that listen on their loopback alone, such as a Blitz panel, and that somebody in another one has to reach.

use std::{io, net::SocketAddr, num::NonZeroU16, sync::Arc, time::Duration};

use clap::Args;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::exit::CommandError;

/// Connections at once, of all ports together. More wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;
/// How long a connection to loopback may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long nothing is taken in after the system refused to, as without free descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Arguments of `forward`.
#[derive(Debug, Args)]
pub struct Forward {
    /// Name or address of this machine to listen at: the one on the network whose members may connect
    #[arg(value_name = "HOST")]
    pub host: String,
    /// Ports to listen at, and to connect to on 127.0.0.1
    #[arg(value_name = "PORT", required = true)]
    pub ports: Vec<NonZeroU16>,
}

/// Forwards until it is told to stop; connections end with it.
///
/// # Errors
/// A port cannot be listened at, or anybody could connect.
pub(super) async fn run(args: &Forward, shutdown: CancellationToken) -> Result<(), CommandError> {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut tasks = JoinSet::new();
    for port in &args.ports {
        let listener = listen(&args.host, port.get()).await?;
        tasks.spawn(accept(listener, port.get(), places.clone()));
    }
    shutdown.cancelled().await;
    tasks.shutdown().await;
    Ok(())
}

async fn listen(host: &str, port: u16) -> Result<TcpListener, CommandError> {
    let cannot = |why: String| CommandError::failed(format!("cannot listen at {host}:{port}: {why}"));
    let found = tokio::net::lookup_host((host, port)).await;
    let address = found.map_err(|error| cannot(error.to_string()))?.next();
    let address: SocketAddr = address.ok_or_else(|| cannot("the name has no address".to_owned()))?;
    if address.ip().is_unspecified() || address.ip().is_multicast() {
        return Err(
            CommandError::invalid(format!("{host} is not one address of this machine"))
                .hint("name the address on the network whose members may connect: others could try passwords here"),
        );
    }
    if address.ip() == SocketAddr::from(([127, 0, 0, 1], port)).ip() {
        return Err(CommandError::invalid(format!(
            "{host} is where the connections lead to: name another address of this machine"
        )));
    }
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| cannot(error.to_string()))?;
    tracing::info!(%address, "forwarding to the same port of 127.0.0.1");
    Ok(listener)
}

async fn accept(listener: TcpListener, port: u16, places: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    // The semaphore is never closed.
    while let Ok(place) = places.clone().acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, from)) => {
                connections.spawn(async move {
                    let _place = place;
                    if let Err(error) = forward(stream, port).await {
                        tracing::debug!(%from, port, %error, "a connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(port, %error, "cannot take a connection in");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn forward(mut from: TcpStream, port: u16) -> io::Result<()> {
    let mut to = timeout(CONNECT_TIMEOUT, TcpStream::connect(("127.0.0.1", port))).await??;
    // Questions and answers are small, and somebody waits for them.
    from.set_nodelay(true)?;
    to.set_nodelay(true)?;
    copy_bidirectional(&mut from, &mut to).await?;
    Ok(())
}
