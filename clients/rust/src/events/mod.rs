//! `EventService/Subscribe`, made from what the server publishes and from `ListEvents`.
//!
//! * `mod.rs`: a subscription finds its place and becomes the response of the call
//! * `feed.rs`: the order of events, what is handed out and what is fetched
//! * `doorbell.rs`: what the server publishes
//! * `cursor.rs`: the subscription's place as the server keeps it

mod cursor;
mod doorbell;
mod feed;

use std::{sync::Arc, time::Duration};

use futures_util::stream;
use prost::Message;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Status, body::Body};

use crate::{backoff::Backoff, call::NEVER, channel::Core, grpc, v1};
use cursor::Cursor;
use feed::Feed;

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Answers the stream once its place is found: what is recorded from then on is handed out.
pub(crate) async fn subscribe(
    core: Arc<Core>,
    request: v1::SubscribeRequest,
    metadata: Vec<v1::Metadata>,
    timeout: Option<Duration>,
) -> Result<http::Response<Body>, Status> {
    let deadline = Instant::now() + timeout.unwrap_or(NEVER).min(NEVER);
    let server = Server { core, metadata };
    let subscription = within(deadline, Subscription::start(server, request)).await?;
    let frames = stream::unfold(Some(subscription), move |subscription| async move {
        let mut subscription = subscription?;
        match within(deadline, subscription.next()).await {
            Ok(event) => Some((grpc::frame_of(&event), Some(subscription))),
            Err(status) => Some((grpc::end_of(&status), None)),
        }
    });
    Ok(grpc::streaming(frames))
}

async fn within<T>(deadline: Instant, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    match timeout_at(deadline, work).await {
        Ok(result) => result,
        Err(_) => {
            Err(Status::deadline_exceeded("the time of the call is over; without a timeout a stream has no end"))
        }
    }
}

/// The server as a subscription calls it.
#[derive(Clone)]
struct Server {
    core: Arc<Core>,
    /// Of the call of Subscribe.
    metadata: Vec<v1::Metadata>,
}

impl Server {
    /// Calls a method of the event service once, within the time of a call.
    async fn call<R: Message + Default>(&self, method: &str, request: &impl Message) -> Result<R, Status> {
        self.core.unary(&format!("/tradebook.v1.EventService/{method}"), request, &self.metadata).await
    }

    /// As [`Self::call`], as long as the server is away or too busy.
    async fn call_patiently<R: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<R, Status> {
        let mut pauses = pauses();
        loop {
            match self.call(method, request).await {
                Err(status) if is_passing(&status) => sleep(pauses.pause()).await,
                result => return result,
            }
        }
    }
}

/// Whether the stream goes on after a call has ended so.
fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted)
}

fn pauses() -> Backoff {
    Backoff::new(PAUSE_MIN, PAUSE_MAX)
}

struct Subscription {
    feed: Feed,
    cursor: Option<Cursor>,
}

impl Subscription {
    async fn start(server: Server, request: v1::SubscribeRequest) -> Result<Self, Status> {
        check(&request)?;
        // Before the place is found, so that nothing between the two waits for a heartbeat.
        let doorbell =
            server.core.events.clone().map(|endpoint| doorbell::listen(endpoint, request.symbol.as_deref()));
        let place = match &request.cursor {
            Some(name) => place_of_cursor(&server, name, &request).await?,
            None => place_of(&server, &request).await?,
        };
        let cursor = request.cursor.map(|name| Cursor::keep(server.clone(), name, place));
        Ok(Self { feed: Feed::new(server, request.symbol, place, doorbell), cursor })
    }

    /// The next event; asking for it says that the one before was handled.
    async fn next(&mut self) -> Result<v1::Event, Status> {
        let Some(cursor) = &mut self.cursor else {
            return self.feed.next(|_| ()).await;
        };
        cursor.handled(self.feed.position());
        let moves = cursor.moves();
        tokio::select! {
            biased;
            status = cursor.failed() => Err(status),
            event = self.feed.next(|position| moves.to(position)) => event,
        }
    }
}

fn check(request: &v1::SubscribeRequest) -> Result<(), Status> {
    if request.after_sequence.is_some_and(|sequence| sequence < 0) {
        return Err(grpc::violation("after_sequence", "must not be negative; 0 starts with the first event"));
    }
    if request.after_sequence.is_some() && request.from_oldest() {
        return Err(grpc::violation("from_oldest", "must not be given together with after_sequence"));
    }
    Ok(())
}

/// A new cursor is stored at once, so that a restart before its first move misses nothing.
async fn place_of_cursor(server: &Server, name: &str, request: &v1::SubscribeRequest) -> Result<i64, Status> {
    let get = v1::GetCursorRequest { name: Some(name.to_owned()) };
    let cursor: v1::Cursor = match server.call_patiently("GetCursor", &get).await {
        Err(status) if status.code() == Code::NotFound => {
            let place = place_of(server, request).await?;
            server.call_patiently("CommitCursor", &commit_of(name, place)).await?
        }
        result => result?,
    };
    Ok(cursor.sequence())
}

fn commit_of(name: &str, place: i64) -> v1::CommitCursorRequest {
    v1::CommitCursorRequest { name: Some(name.to_owned()), sequence: Some(place) }
}

/// The sequence after which a stream without a cursor starts.
async fn place_of(server: &Server, request: &v1::SubscribeRequest) -> Result<i64, Status> {
    if let Some(sequence) = request.after_sequence {
        return Ok(sequence);
    }
    // Nothing is after this; what matters is what the answer says about the events.
    let end = v1::ListEventsRequest { after_sequence: Some(i64::MAX), page_size: Some(1), ..Default::default() };
    let page: v1::ListEventsResponse = server.call_patiently("ListEvents", &end).await?;
    Ok(match page.oldest_sequence {
        Some(oldest) if request.from_oldest() => oldest - 1,
        _ => page.newest_sequence(),
    })
}
