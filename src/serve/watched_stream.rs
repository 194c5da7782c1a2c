//! A stream of which every piece is looked at on its way.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What looks at a stream. Does nothing where it says nothing.
pub(super) trait Watch: Unpin {
    /// Looks before each reading and writing of bytes.
    ///
    /// # Errors
    /// The stream has to end: it is neither read nor written.
    fn before(&self, _cx: &Context<'_>) -> io::Result<()> {
        Ok(())
    }

    /// Looks at bytes that were read, which it may change.
    fn read(&mut self, _bytes: &mut [u8]) {}
}

/// A stream and what looks at it.
pub struct WatchedStream<I, W> {
    pub(super) stream: I,
    pub(super) watch: W,
}

impl<I: AsyncRead + Unpin, W: Watch> AsyncRead for WatchedStream<I, W> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.watch.before(cx)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some(new) = buffer.filled_mut().get_mut(before..) {
            self.watch.read(new);
        }
        read
    }
}

impl<I: AsyncWrite + Unpin, W: Watch> AsyncWrite for WatchedStream<I, W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.watch.before(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watch.before(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
