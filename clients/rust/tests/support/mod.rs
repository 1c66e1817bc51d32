//! A server that says what a test tells it to say.
#![allow(dead_code, reason = "each test program uses its part")]

use prost::{
    Message,
    bytes::{Buf, Bytes},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tradebook_client::v1;

pub const REP: u8 = 0x31;
pub const PUB: u8 = 0x20;

/// Listens on a free port.
pub struct Listener(TcpListener);

impl Listener {
    pub async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub fn host_and_port(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    pub fn address(&self) -> String {
        format!("tcp://{}", self.host_and_port())
    }

    /// The next connection, without a word.
    pub async fn stream(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }

    /// The next connection, greeted as a server of this protocol.
    pub async fn accept(&self, protocol: u8) -> Peer<TcpStream> {
        Peer::greet(self.stream().await, protocol).await
    }
}

/// The server's side of a connection.
pub struct Peer<S>(S);

/// A request and the number that its reply needs.
pub struct Request {
    number: u32,
    pub envelope: v1::Request,
}

impl Request {
    /// The message within.
    pub fn message<M: Message + Default>(&self) -> M {
        M::decode(self.envelope.payload.clone().unwrap_or_default()).unwrap()
    }

    pub fn metadata(&self, key: &str) -> Vec<&[u8]> {
        let entries = self.envelope.metadata.iter().filter(|entry| entry.key() == key);
        entries.map(v1::Metadata::value).collect()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub async fn greet(mut stream: S, protocol: u8) -> Self {
        stream.write_all(&[0, b'S', b'P', 0, 0, protocol, 0, 0]).await.unwrap();
        stream.flush().await.unwrap();
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting[..4], b"\0SP\0");
        Self(stream)
    }

    pub async fn send(&mut self, frame: &[u8]) {
        let length = (frame.len() as u64).to_be_bytes();
        self.0.write_all(&[&length, frame].concat()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Announces a frame of so many bytes.
    pub async fn send_length(&mut self, length: u64) {
        self.0.write_all(&length.to_be_bytes()).await.unwrap();
    }

    pub async fn request(&mut self) -> Request {
        let length = self.0.read_u64().await.unwrap();
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut frame).await.unwrap();
        let mut frame = Bytes::from(frame);
        let number = frame.get_u32();
        assert_ne!(number & 0x8000_0000, 0, "the number of a request has its highest bit set");
        Request { number, envelope: v1::Request::decode(frame).unwrap() }
    }

    /// Answers whatever these bytes are.
    pub async fn reply_bytes(&mut self, request: &Request, bytes: &[u8]) {
        self.send(&[&request.number.to_be_bytes(), bytes].concat()).await;
    }

    pub async fn reply(&mut self, request: &Request, message: &impl Message) {
        let reply = v1::Reply { payload: Some(message.encode_to_vec().into()), ..Default::default() };
        self.reply_bytes(request, &reply.encode_to_vec()).await;
    }

    pub async fn refuse(&mut self, request: &Request, code: v1::Code, message: &str) {
        let reply = v1::Reply { code: Some(code.into()), message: Some(message.to_owned()), ..Default::default() };
        self.reply_bytes(request, &reply.encode_to_vec()).await;
    }

    pub async fn publish(&mut self, topic: &str, message: &impl Message) {
        self.send(&[topic.as_bytes(), &[0], &message.encode_to_vec()].concat()).await;
    }
}
