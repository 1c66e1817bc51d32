//! The channel under the generated clients.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use prost::Message;
use tonic::{Status, body::Body, metadata::MetadataMap};
use tower_service::Service;
use uuid::Uuid;

use crate::{
    ConfigError, TlsOptions,
    address::Address,
    call::Call,
    events, grpc,
    link::Link,
    methods::{self, Method},
    sp::Endpoint,
    v1,
};

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// Calls one tradebook server; what the generated clients are made of, as in `SignalServiceClient::new(channel)`.
///
/// A clone is the same channel: it shares the one connection, which is made when a call needs it and made again
/// when it is lost. Calls must be made within a tokio runtime with I/O and time enabled.
///
/// A call ends with the server's answer, or with one of these of its own:
/// * `DEADLINE_EXCEEDED`: no answer in time;
/// * `UNAVAILABLE`: no connection when the time was over.
///
/// Whether a write took effect is open then; calling again with the same request id is safe and tells.
#[derive(Clone)]
pub struct Channel {
    core: Arc<Core>,
}

impl Channel {
    /// A channel to `tcp://HOST:PORT` or `ipc:///PATH` with the default options. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// The address is malformed.
    pub fn new(address: impl Into<String>) -> Result<Self, ConfigError> {
        Self::builder(address).build()
    }

    /// Starts a channel with options, to `tcp://HOST:PORT`, `tls+tcp://HOST:PORT` or `ipc:///PATH`.
    pub fn builder(address: impl Into<String>) -> Builder {
        Builder {
            address: address.into(),
            events_address: None,
            timeout: TIMEOUT_DEFAULT,
            token: None,
            client_id: None,
            tls: None,
        }
    }

    async fn answer(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let timeout = grpc::timeout_of(&parts.headers)?;
        let metadata = MetadataMap::from_headers(parts.headers);
        let entries = grpc::entries_of(&metadata)?;
        let path = parts.uri.path();
        match methods::find(path) {
            Method::Stream if path == methods::SUBSCRIBE => {
                let request = grpc::message_of(body).await?;
                let request = v1::SubscribeRequest::decode(request)
                    .map_err(|error| Status::internal(format!("the request cannot be read: {error}")))?;
                events::subscribe(Arc::clone(&self.core), request, entries, timeout).await
            }
            Method::Stream => {
                Err(Status::unimplemented(format!("{path}: of the methods with streams there is only Subscribe")))
            }
            Method::Read | Method::Write => {
                let request_id = grpc::request_id_of(&metadata)?;
                let payload = grpc::message_of(body).await?;
                self.core.invoke(path, payload, entries, request_id, timeout).await.map(grpc::unary)
            }
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Channel({})", self.core.link.endpoint().address)
    }
}

impl Service<http::Request<Body>> for Channel {
    type Response = http::Response<Body>;
    /// What goes wrong is in the response, as gRPC has it.
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let channel = self.clone();
        Box::pin(async move { Ok(channel.answer(request).await.unwrap_or_else(Status::into_http)) })
    }
}

/// Options of a [`Channel`].
#[derive(Clone)]
#[must_use = "a builder makes a channel only when `build` is called"]
pub struct Builder {
    address: String,
    events_address: Option<String>,
    timeout: Duration,
    token: Option<String>,
    client_id: Option<String>,
    tls: Option<TlsOptions>,
}

impl Builder {
    /// Where the same server publishes its events, written as the address itself. With it `Subscribe` hears events
    /// when they happen; without it the server is asked again and again, and waits before it answers.
    pub fn events_address(mut self, address: impl Into<String>) -> Self {
        self.events_address = Some(address.into());
        self
    }

    /// The time that a call has, retries included, when its request says nothing (`Request::set_timeout`); 10 seconds
    /// unless set. `Subscribe` has no end by itself.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends `authorization: Bearer TOKEN` with each call that has no `authorization` of its own.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Sends this `client-id` with each call that has none of its own. Request ids of different clients are
    /// independent of each other.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Whom to trust at a `tls+tcp://` address.
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = Some(options);
        self
    }

    /// Makes the channel. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// An address or an option is wrong.
    pub fn build(self) -> Result<Channel, ConfigError> {
        let link = Link::new(self.endpoint(&self.address)?);
        let events = self.events_address.as_deref().map(|address| self.endpoint(address)).transpose()?;
        let mut defaults = Vec::new();
        if let Some(token) = self.token {
            defaults.push(grpc::entry_of("authorization", format!("Bearer {token}")));
        }
        if let Some(client_id) = self.client_id {
            defaults.push(grpc::entry_of("client-id", client_id));
        }
        Ok(Channel { core: Arc::new(Core { link, events, timeout: self.timeout, defaults }) })
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, ConfigError> {
        let address: Address = address.parse()?;
        let tls = match (&address, &self.tls) {
            (Address::Tls(host, _), Some(options)) => Some(options.connector(host)?),
            (Address::Tls(..), None) => {
                return Err(ConfigError::new(format!(
                    "{address} needs TLS options: say with Builder::tls whose certificates to trust"
                )));
            }
            _ => None,
        };
        Ok(Endpoint { address, tls })
    }
}

/// What all clones of a channel, and its streams, share.
pub(crate) struct Core {
    link: Link,
    pub(crate) events: Option<Endpoint>,
    pub(crate) timeout: Duration,
    /// Metadata of calls that have none of the same key.
    defaults: Vec<v1::Metadata>,
}

impl Core {
    /// Calls a method that has one request and one response, which are serialised.
    pub(crate) async fn invoke(
        &self,
        method: &str,
        payload: Bytes,
        mut metadata: Vec<v1::Metadata>,
        request_id: Option<Bytes>,
        timeout: Option<Duration>,
    ) -> Result<Bytes, Status> {
        for entry in &self.defaults {
            if metadata.iter().all(|own| own.key != entry.key) {
                metadata.push(entry.clone());
            }
        }
        let request_id = request_id.or_else(|| {
            (methods::find(method) == Method::Write).then(|| Bytes::copy_from_slice(Uuid::now_v7().as_bytes()))
        });
        let timeout = timeout.unwrap_or(self.timeout);
        Call { method, payload, metadata, request_id, timeout }.run(&self.link).await
    }

    /// As [`Self::invoke`], for messages.
    pub(crate) async fn unary<R: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
        metadata: &[v1::Metadata],
    ) -> Result<R, Status> {
        let payload = request.encode_to_vec().into();
        let response = self.invoke(method, payload, metadata.to_vec(), None, None).await?;
        R::decode(response)
            .map_err(|error| Status::internal(format!("{method}: the reply cannot be read: {error}")))
    }
}
