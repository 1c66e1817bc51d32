//! Connections that speak SP, the wire protocol of nng: a greeting of eight bytes each way, then frames with
//! their length in front.

use std::{io, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{address::Address, tls::Connector};

/// Numbers of the protocols in the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Protocol {
    Pub = 0x20,
    Sub = 0x21,
    Req = 0x30,
    Rep = 0x31,
}

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 64 * 1024;
const LENGTH_BYTES: usize = 8;
/// In front of the length on Unix sockets: an ordinary message.
const IPC_MESSAGE: u8 = 1;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where to connect to, and how.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    /// Of a `tls+tcp://` address.
    pub(crate) tls: Option<Connector>,
}

impl Endpoint {
    /// Connects and exchanges greetings, as `own` with a `peer`; frames of more than `frame_bytes_max` will be refused.
    pub(crate) async fn connect(
        &self,
        own: Protocol,
        peer: Protocol,
        frame_bytes_max: usize,
    ) -> io::Result<(FrameReader, FrameWriter)> {
        let connecting = async {
            let mut stream = self.open().await?;
            greet(&mut stream, own, peer).await?;
            Ok(stream)
        };
        let stream = timeout(CONNECT_TIME_MAX, connecting)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it does not answer the greeting"))
            .flatten()?;
        let (reader, writer) = tokio::io::split(stream);
        let is_ipc = matches!(self.address, Address::Ipc(_));
        Ok((
            FrameReader { stream: reader, buffer: BytesMut::new(), is_ipc, frame_bytes_max },
            FrameWriter { stream: writer, buffer: BytesMut::new(), is_ipc },
        ))
    }

    async fn open(&self) -> io::Result<Box<dyn Stream>> {
        let host_and_port = match &self.address {
            Address::Ipc(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
            Address::Tcp(host_and_port) | Address::Tls(_, host_and_port) => host_and_port,
        };
        let stream = TcpStream::connect(host_and_port).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(tls) => Ok(Box::new(tls.connect(stream).await?)),
            None => Ok(Box::new(stream)),
        }
    }
}

async fn greet(stream: &mut Box<dyn Stream>, own: Protocol, peer: Protocol) -> io::Result<()> {
    stream.write_all(&greeting(own)).await?;
    stream.flush().await?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await?;
    if answer == greeting(peer) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "what listens there is no tradebook {} address",
            if peer == Protocol::Pub { "events" } else { "call" }
        ),
    ))
}

fn greeting(protocol: Protocol) -> [u8; 8] {
    [0, b'S', b'P', 0, 0, protocol as u8, 0, 0]
}

/// The frames that arrive on a connection.
pub(crate) struct FrameReader {
    stream: ReadHalf<Box<dyn Stream>>,
    buffer: BytesMut,
    is_ipc: bool,
    frame_bytes_max: usize,
}

impl FrameReader {
    /// The next frame. Loses nothing when dropped while it waits.
    pub(crate) async fn next(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Bytes>> {
        let mut header = &self.buffer[..];
        if header.len() < LENGTH_BYTES + usize::from(self.is_ipc) {
            return Ok(None);
        }
        if self.is_ipc && header.get_u8() != IPC_MESSAGE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the server sent a frame of an unknown kind"));
        }
        let length = usize::try_from(header.get_u64()).unwrap_or(usize::MAX);
        if length > self.frame_bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the server sent a frame of {length} bytes; {} are the most", self.frame_bytes_max),
            ));
        }
        if header.len() < length {
            return Ok(None);
        }
        let header_bytes = self.buffer.len() - header.len();
        self.buffer.advance(header_bytes);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

/// Frames that leave on a connection, several in one system call.
pub(crate) struct FrameWriter {
    stream: WriteHalf<Box<dyn Stream>>,
    buffer: BytesMut,
    is_ipc: bool,
}

impl FrameWriter {
    /// Adds the frame of a request: its number, its body.
    pub(crate) fn put(&mut self, number: u32, body: &[u8]) {
        let length = size_of::<u32>() + body.len();
        self.buffer.reserve(1 + LENGTH_BYTES + length);
        if self.is_ipc {
            self.buffer.put_u8(IPC_MESSAGE);
        }
        self.buffer.put_u64(length as u64);
        self.buffer.put_u32(number);
        self.buffer.put_slice(body);
    }

    /// Sends what was added.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.buffer).await?;
        self.buffer.clear();
        self.stream.flush().await
    }
}
