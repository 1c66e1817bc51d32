//! The order of events. Two sources bring them: the doorbell, which may lose, and pages of `ListEvents`, which do not.
//! An event is handed out when it follows the position, whichever source it is from. One that is ahead shows a gap,
//! and is dropped: it was committed before it was published, so the pages that fill the gap bring it again.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tonic::Status;

use super::{PAUSE_MIN, Server, doorbell::Ring, is_passing, pauses};
use crate::{backoff::Backoff, v1};

const PAGE_EVENTS: i32 = 500;
const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(1);
const HEARTBEAT_MAX: Duration = Duration::from_secs(60);
/// So many heartbeats that did not come: the doorbell is dead.
const SILENT_HEARTBEATS: u32 = 3;
/// Of `ListEvents`, while the doorbell is dead.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// And at most this part of a call's time.
const WAIT_PART: u32 = 4;

/// What is left of an answer of `ListEvents`.
#[derive(Default)]
struct Page {
    events: VecDeque<v1::Event>,
    /// No other event of the symbol is up to here.
    next_after: i64,
}

pub(super) struct Feed {
    server: Server,
    symbol: Option<String>,
    /// Everything up to here was handed out, or is of another symbol.
    position: i64,
    page: Page,
    /// Events may be missing that the doorbell will not bring.
    is_behind: bool,
    doorbell: Option<mpsc::Receiver<Ring>>,
    is_doorbell_alive: bool,
    heartbeat: Duration,
    pauses: Backoff,
}

impl Feed {
    pub(super) fn new(
        server: Server,
        symbol: Option<String>,
        position: i64,
        doorbell: Option<mpsc::Receiver<Ring>>,
    ) -> Self {
        Self {
            server,
            symbol,
            position,
            page: Page::default(),
            is_behind: true,
            doorbell,
            is_doorbell_alive: false,
            heartbeat: HEARTBEAT_DEFAULT,
            pauses: pauses(),
        }
    }

    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// Hands out the next event. Before it waits for one it tells `idle` its position. Loses nothing when dropped while
    /// it waits.
    pub(super) async fn next(&mut self, idle: impl Fn(i64)) -> Result<v1::Event, Status> {
        loop {
            if let Some(event) = self.next_of_page()? {
                return Ok(self.hand_out(event));
            }
            if let Some(event) = self.next_of_doorbell() {
                return Ok(self.hand_out(event));
            }
            if self.is_behind {
                self.list(Duration::ZERO).await?;
                continue;
            }
            idle(self.position);
            if self.is_doorbell_alive {
                if let Some(event) = self.wait_for_doorbell().await {
                    return Ok(self.hand_out(event));
                }
            } else {
                self.list((self.server.core.timeout / WAIT_PART).min(WAIT_MAX)).await?;
            }
        }
    }

    fn hand_out(&mut self, event: v1::Event) -> v1::Event {
        self.position = event.sequence();
        event
    }

    fn is_stale(&self, event: &v1::Event) -> bool {
        event.sequence() <= self.position
    }

    /// Whether nothing is between the position and this event.
    fn follows(&self, event: &v1::Event) -> bool {
        match self.symbol {
            Some(_) => event.previous_sequence() <= self.position,
            None => event.sequence() == self.position + 1,
        }
    }

    fn next_of_page(&mut self) -> Result<Option<v1::Event>, Status> {
        while let Some(event) = self.page.events.pop_front() {
            if self.is_stale(&event) {
                continue;
            }
            if self.follows(&event) {
                return Ok(Some(event));
            }
            return Err(Status::data_loss(format!(
                "after event {} the server answered event {}: one between is missing from its database",
                self.position,
                event.sequence()
            )));
        }
        if self.symbol.is_some() {
            self.position = self.position.max(self.page.next_after);
        }
        Ok(None)
    }

    /// Asks for the next page, and lets the server wait for an event.
    async fn list(&mut self, wait: Duration) -> Result<(), Status> {
        let started = Instant::now();
        let request = v1::ListEventsRequest {
            after_sequence: Some(self.position),
            symbol: self.symbol.clone(),
            page_size: Some(PAGE_EVENTS),
            wait_ms: i64::try_from(wait.as_millis()).ok(),
            ..Default::default()
        };
        match self.server.call::<v1::ListEventsResponse>("ListEvents", &request).await {
            Ok(page) if page.events.is_empty() && !wait.is_zero() => {
                // A server that is about to stop answers at once.
                self.take(page)?;
                sleep_until(started + PAUSE_MIN).await;
            }
            Ok(page) => self.take(page)?,
            Err(status) if is_passing(&status) => {
                self.is_behind = true;
                sleep(self.pauses.pause()).await;
            }
            Err(status) => return Err(status),
        }
        Ok(())
    }

    fn take(&mut self, page: v1::ListEventsResponse) -> Result<(), Status> {
        let (newest, after) = (page.newest_sequence(), self.position);
        if newest < after {
            return Err(Status::data_loss(format!(
                "the newest event of the server is {newest}, before {after} where this stream is: its database was \
                 restored to an older state or is another one; check the server, then subscribe at the place where \
                 to go on"
            )));
        }
        self.pauses.reset();
        // A page that leads nowhere is not asked for again at once.
        self.is_behind = page.next_after_sequence() > after && newest > page.next_after_sequence();
        self.page = Page { next_after: page.next_after_sequence(), events: page.events.into() };
        Ok(())
    }

    fn next_of_doorbell(&mut self) -> Option<v1::Event> {
        while let Some(ring) = self.doorbell.as_mut().and_then(|doorbell| doorbell.try_recv().ok()) {
            if let Some(event) = self.hear(ring) {
                return Some(event);
            }
        }
        None
    }

    async fn wait_for_doorbell(&mut self) -> Option<v1::Event> {
        let silence = self.heartbeat * SILENT_HEARTBEATS;
        if let Ok(Some(ring)) = timeout(silence, self.doorbell.as_mut()?.recv()).await {
            return self.hear(ring);
        }
        self.is_doorbell_alive = false;
        None
    }

    /// Answers the event if it is the next one.
    fn hear(&mut self, ring: Ring) -> Option<v1::Event> {
        self.is_doorbell_alive = !matches!(ring, Ring::Lost);
        match ring {
            Ring::Event(event) if self.is_stale(&event) => None,
            Ring::Event(event) if self.follows(&event) => Some(*event),
            Ring::Heartbeat(heartbeat) => {
                let interval =
                    u64::try_from(heartbeat.interval_ms()).map(Duration::from_millis).unwrap_or_default();
                if !interval.is_zero() && interval <= HEARTBEAT_MAX {
                    self.heartbeat = interval;
                }
                // Larger: an event was lost. Smaller: this heartbeat is late, or the database an older one; the page
                // tells.
                self.is_behind |= heartbeat.newest_sequence() != self.position;
                None
            }
            Ring::Connected | Ring::Event(_) | Ring::Lost => {
                self.is_behind = true;
                None
            }
        }
    }
}
