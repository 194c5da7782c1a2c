//! A minimal HTTP/1.1 client: one connection that is kept alive, one request at a time.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A connection.
pub struct Conn {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Conn {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    pub fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0; 16 * 1024];
        loop {
            if let Some((head, length)) = frame(&self.buffer)
                && self.buffer.len() >= head + length
            {
                return Ok(Answer {
                    status: std::str::from_utf8(&self.buffer[9..12]).unwrap().parse().unwrap(),
                    body: self.buffer[head..head + length].to_vec(),
                });
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.buffer.extend_from_slice(&chunk[..read]),
            }
        }
    }
}

/// Length of the head and of the body, once the head is there.
pub fn frame(answer: &[u8]) -> Option<(usize, usize)> {
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let name = b"content-length: ";
    let at = answer[..head].windows(name.len()).position(|text| text == name)? + name.len();
    let digits = answer[at..head].iter().take_while(|byte| byte.is_ascii_digit());
    Some((head, digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))))
}

/// A POST of JSON.
pub fn post(path: &str, header: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{header}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
