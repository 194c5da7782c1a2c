//! Connections that can be broken.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Keeps a port for this process while nothing listens on it.
pub struct Port {
    _reserved: TcpSocket,
    pub address: SocketAddr,
}

impl Port {
    pub fn reserve() -> io::Result<Self> {
        let reserved = TcpSocket::new_v4()?;
        reserved.set_reuseaddr(true)?;
        reserved.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = reserved.local_addr()?;
        Ok(Self {
            _reserved: reserved,
            address,
        })
    }

    /// Listens; every connection breaks when `all` is cancelled.
    pub fn listen(&self, all: CancellationToken) -> io::Result<Breakable> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        Ok(Breakable {
            listener: socket.listen(1024)?,
            all,
        })
    }
}

/// A listener whose connections can be broken.
pub struct Breakable {
    listener: TcpListener,
    all: CancellationToken,
}

impl Listener for Breakable {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        let (stream, _) = Listener::accept(&mut self.listener).await;
        let broken = self.all.child_token();
        let connection = Connection {
            stream,
            cut: Box::pin(broken.clone().cancelled_owned()),
            broken: broken.clone(),
        };
        (connection, Peer { broken })
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer {
            broken: self.all.clone(),
        })
    }
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Peer {
    broken: CancellationToken,
}

impl Peer {
    /// Breaks the connection: nothing that was not sent yet will be.
    pub fn cut(&self) {
        self.broken.cancel();
    }
}

impl Connected<IncomingStream<'_, Breakable>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Breakable>) -> Self {
        stream.remote_addr().clone()
    }
}

pub struct Connection {
    stream: TcpStream,
    broken: CancellationToken,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

fn reset<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return reset();
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken.is_cancelled() {
            return reset();
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
