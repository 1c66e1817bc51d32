//! Keeps a cursor at the place of its subscription, in the background.

use std::{future, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tonic::Status;

use super::{Server, commit_of, is_passing, pauses};
use crate::v1;

/// The longest time that the cursor rests while events keep coming.
const REST_MAX: Duration = Duration::from_secs(1);

/// Dropping it moves the cursor to what was handled.
pub(super) struct Cursor {
    handled: i64,
    moved_at: Instant,
    moves: watch::Sender<i64>,
    /// Ends with the reason when the cursor cannot be moved.
    task: JoinHandle<Option<Status>>,
}

impl Cursor {
    pub(super) fn keep(server: Server, name: String, place: i64) -> Self {
        let (moves, places) = watch::channel(place);
        let task = tokio::spawn(follow(server, name, places));
        Self { handled: place, moved_at: Instant::now(), moves, task }
    }

    /// Everything up to here was handled.
    pub(super) fn handled(&mut self, position: i64) {
        self.handled = position;
        if self.moved_at.elapsed() >= REST_MAX {
            self.moved_at = Instant::now();
            self.moves().to(position);
        }
    }

    pub(super) fn moves(&self) -> Moves {
        Moves(self.moves.clone())
    }

    /// Ends when the cursor cannot be moved any more, with the reason.
    pub(super) async fn failed(&mut self) -> Status {
        match (&mut self.task).await {
            Ok(Some(status)) => status,
            // Only after this was dropped.
            Ok(None) => future::pending().await,
            Err(error) => Status::internal(format!("the cursor is not kept any more: {error}")),
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.moves().to(self.handled);
    }
}

/// Moves a cursor.
pub(super) struct Moves(watch::Sender<i64>);

impl Moves {
    pub(super) fn to(&self, position: i64) {
        self.0.send_if_modified(|place| {
            let is_ahead = position > *place;
            *place = position.max(*place);
            is_ahead
        });
    }
}

/// Commits the newest place again and again, until nobody moves it any more or the server refuses it.
async fn follow(server: Server, name: String, mut places: watch::Receiver<i64>) -> Option<Status> {
    let mut pauses = pauses();
    loop {
        let is_last = places.changed().await.is_err();
        if is_last {
            return None;
        }
        let place = *places.borrow_and_update();
        match server.call::<v1::Cursor>("CommitCursor", &commit_of(&name, place)).await {
            Ok(_) => pauses.reset(),
            Err(status) if is_passing(&status) => {
                // With the last place it is tried once: the next subscription may hear some events again.
                if places.has_changed().is_ok() {
                    places.mark_changed();
                    sleep(pauses.pause()).await;
                }
            }
            Err(status) => return Some(status),
        }
    }
}
