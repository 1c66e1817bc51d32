//! The connection for calls: made when a call needs it, made again when it is lost, shared by any number of calls.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    backoff::Backoff,
    sp::{Endpoint, FrameReader, FrameWriter, Protocol},
};

/// Further calls wait here: the server refuses one connection that fills most of its queue, which has 512 places by
/// default.
const IN_FLIGHT_MAX: usize = 256;
const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;
const BATCH: usize = 64;
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// Marks the last header of a request, which is its number.
const NUMBER_BIT: u32 = 0x8000_0000;

/// A request on its way; dropped with the connection that it was sent on.
struct Order {
    envelope: Vec<u8>,
    reply: oneshot::Sender<Bytes>,
    /// Held until the reply has come, even if nobody waits for it any more: the server works on it.
    _room: OwnedSemaphorePermit,
}

pub(crate) struct Link {
    endpoint: Endpoint,
    orders: OnceLock<mpsc::UnboundedSender<Order>>,
    room: Arc<Semaphore>,
    state: Arc<State>,
}

struct State {
    /// Grows whenever the server is heard, or the connection made.
    heard: AtomicU64,
    /// Why the last connection failed or was lost; `None` while there is one.
    trouble: Mutex<Option<String>>,
    given_up: Notify,
}

impl State {
    fn hear(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

impl Link {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let state = State { heard: AtomicU64::new(0), trouble: Mutex::new(None), given_up: Notify::new() };
        Self {
            endpoint,
            orders: OnceLock::new(),
            room: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            state: Arc::new(state),
        }
    }

    /// Sends an envelope as soon as there is room and a connection. What it answers ends with an error when the
    /// connection was lost.
    pub(crate) async fn send(&self, envelope: Vec<u8>) -> oneshot::Receiver<Bytes> {
        let room = Arc::clone(&self.room).acquire_owned().await.expect("the semaphore is never closed");
        let (reply, answer) = oneshot::channel();
        // An error drops the order, which the caller sees as a lost connection.
        let _ = self.orders().send(Order { envelope, reply, _room: room });
        answer
    }

    /// The task starts with the first call, because only then there is a runtime for sure.
    fn orders(&self) -> &mpsc::UnboundedSender<Order> {
        self.orders.get_or_init(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            tokio::spawn(run(self.endpoint.clone(), receiver, Arc::clone(&self.state)));
            sender
        })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A number that has changed when it is asked for again and the server was heard meanwhile.
    pub(crate) fn heard(&self) -> u64 {
        self.state.heard.load(Ordering::Relaxed)
    }

    /// Gives up the connection if nothing was heard since [`Self::heard`] answered this: its peer may be gone
    /// without a word.
    pub(crate) fn give_up_if_quiet(&self, heard: u64) {
        if self.heard() == heard {
            self.state.given_up.notify_waiters();
        }
    }

    /// Why there is no connection; `None` while there is one, or the first is being made.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.state.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Connects while somebody waits for an answer; ends when the link is dropped.
async fn run(endpoint: Endpoint, mut orders: mpsc::UnboundedReceiver<Order>, state: Arc<State>) {
    let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
    let mut unsent: Vec<Order> = Vec::new();
    loop {
        unsent.retain(|order| !order.reply.is_closed());
        if unsent.is_empty() && orders.recv_many(&mut unsent, BATCH).await == 0 {
            return;
        }
        match endpoint.connect(Protocol::Req, Protocol::Rep, REPLY_BYTES_MAX).await {
            Ok((reader, writer)) => {
                backoff.reset();
                state.set_trouble(None);
                state.hear();
                let error = serve(reader, writer, &mut unsent, &mut orders, &state).await;
                state.set_trouble(Some(error.to_string()));
            }
            Err(error) => {
                state.set_trouble(Some(error.to_string()));
                tokio::time::sleep(backoff.pause()).await;
            }
        }
    }
}

type Pending = Mutex<HashMap<u32, Order>>;

/// Uses a connection to its end. Requests that have no reply by then are dropped, which tells their callers.
async fn serve(
    reader: FrameReader,
    writer: FrameWriter,
    unsent: &mut Vec<Order>,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    state: &State,
) -> io::Error {
    let pending = Pending::default();
    tokio::select! {
        result = send(writer, unsent, orders, &pending) => {
            result.err().unwrap_or_else(|| io::Error::other("the channel was dropped"))
        }
        error = receive(reader, &pending, state) => error,
        () = state.given_up.notified() => io::Error::new(io::ErrorKind::TimedOut, "the server does not answer"),
    }
}

/// Ends without error when the link is dropped.
async fn send(
    mut writer: FrameWriter,
    unsent: &mut Vec<Order>,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    pending: &Pending,
) -> io::Result<()> {
    let mut number = fastrand::u32(..);
    loop {
        for mut order in unsent.drain(..).filter(|order| !order.reply.is_closed()) {
            number = number.wrapping_add(1) | NUMBER_BIT;
            writer.put(number, &std::mem::take(&mut order.envelope));
            pending.lock().unwrap_or_else(PoisonError::into_inner).insert(number, order);
        }
        writer.flush().await?;
        if orders.recv_many(unsent, BATCH).await == 0 {
            return Ok(());
        }
    }
}

async fn receive(mut reader: FrameReader, pending: &Pending, state: &State) -> io::Error {
    loop {
        let mut frame = match reader.next().await {
            Ok(frame) => frame,
            Err(error) => return error,
        };
        state.hear();
        if frame.len() < size_of::<u32>() {
            return io::Error::new(io::ErrorKind::InvalidData, "the server sent a reply without number");
        }
        let order = pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&frame.get_u32());
        if let Some(order) = order {
            // Nobody waits any more when the call was cancelled.
            let _ = order.reply.send(frame);
        }
    }
}
