//! One call: its envelope, and sending that again with the same request id until it is answered or its time is over.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tonic::{Code, Status};

use crate::{backoff::Backoff, link::Link, v1};

const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// A connection on which nothing arrives for this long may be dead.
const QUIET_MIN: Duration = Duration::from_secs(1);

/// As long as no deadline: what is longer cannot always be added to the time.
pub(crate) const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

pub(crate) struct Call<'a> {
    /// Full name, such as `/tradebook.v1.SignalService/GetSignal`.
    pub(crate) method: &'a str,
    pub(crate) payload: Bytes,
    pub(crate) metadata: Vec<v1::Metadata>,
    pub(crate) request_id: Option<Bytes>,
    pub(crate) timeout: Duration,
}

/// The connection was lost before the reply came.
struct Lost;

impl Call<'_> {
    /// Answers the serialised response.
    pub(crate) async fn run(self, link: &Link) -> Result<Bytes, Status> {
        let deadline = Instant::now() + self.timeout.min(NEVER);
        let mut request = v1::Request {
            method: Some(self.method.to_owned()),
            payload: Some(self.payload.clone()),
            timeout_ms: None,
            metadata: self.metadata.clone(),
            request_id: self.request_id.clone(),
        };
        let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.out_of_time(link));
            }
            request.timeout_ms = Some(i64::try_from(left.as_millis()).unwrap_or(i64::MAX).max(1));
            let attempt = attempt(link, request.encode_to_vec(), deadline);
            let Ok(outcome) = timeout_at(deadline, attempt).await else {
                return Err(self.out_of_time(link));
            };
            let next = Instant::now() + backoff.pause();
            match outcome.map(|frame| read(self.method, frame)) {
                Err(Lost) => {}
                Ok(Err(status)) if status.code() == Code::Unavailable && next < deadline => {}
                Ok(result) => return result,
            }
            sleep_until(next.min(deadline)).await;
        }
    }

    fn out_of_time(&self, link: &Link) -> Status {
        let (method, address, ms) = (self.method, &link.endpoint().address, self.timeout.as_millis());
        match link.trouble() {
            Some(trouble) => Status::unavailable(format!(
                "{method}: no connection to {address} within {ms} ms ({trouble}); is the server running there?"
            )),
            None => Status::deadline_exceeded(format!(
                "{method}: no answer from {address} within {ms} ms; whether a write took effect is open, calling \
                 again with the same request id is safe and tells"
            )),
        }
    }
}

/// Sends an envelope once and waits for its reply.
async fn attempt(link: &Link, envelope: Vec<u8>, deadline: Instant) -> Result<Bytes, Lost> {
    let mut heard = link.heard();
    let mut answer = link.send(envelope).await;
    loop {
        // Half of the time, so that the other half is left for a new connection.
        let patience = (deadline.saturating_duration_since(Instant::now()) / 2).max(QUIET_MIN);
        match timeout(patience, &mut answer).await {
            Ok(Ok(frame)) => return Ok(frame),
            Ok(Err(_)) => return Err(Lost),
            Err(_) => link.give_up_if_quiet(heard),
        }
        heard = link.heard();
    }
}

/// Reads a reply.
fn read(method: &str, frame: Bytes) -> Result<Bytes, Status> {
    let reply = v1::Reply::decode(frame)
        .map_err(|error| Status::internal(format!("{method}: the reply cannot be read: {error}")))?;
    let code = reply.code.unwrap_or_default();
    if code == v1::Code::Ok as i32 {
        return Ok(reply.payload.unwrap_or_default());
    }
    let message = reply.message.unwrap_or_default();
    let status = tonic_types::pb::Status { code, message: message.clone(), details: reply.details };
    Err(Status::with_details(Code::from_i32(code), message, status.encode_to_vec().into()))
}
