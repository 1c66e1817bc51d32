//! The order that `Subscribe` makes of what is published and listed, whatever is lost, doubled or late.

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use support::{Listener, PUB, Peer, REP};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tonic::{Code, Status, Streaming};
use tradebook_client::{
    Channel,
    v1::{self, Code::PermissionDenied, event_service_client::EventServiceClient},
};

/// Only a failing test takes so long.
const TIME_MAX: Duration = Duration::from_secs(30);

/// What the server has, and how it behaves.
#[derive(Default)]
struct Book {
    newest: i64,
    /// Not among the events, although it should be.
    missing: Option<i64>,
    /// Answers no events at all.
    lists_nothing: bool,
    refuses_commits: bool,
}

struct Setting {
    book: Arc<Mutex<Book>>,
    stream: Streaming<v1::Event>,
    /// The server's side of the events address.
    events: Peer<TcpStream>,
    /// What was committed, after the place where the cursor was made.
    commits: mpsc::UnboundedReceiver<i64>,
    /// What was listed with waiting.
    waits: mpsc::UnboundedReceiver<()>,
}

fn event(sequence: i64) -> v1::Event {
    v1::Event { sequence: Some(sequence), ..Default::default() }
}

fn page(book: &Book, after: i64) -> v1::ListEventsResponse {
    let last = if book.lists_nothing { after } else { book.newest.min(after.saturating_add(500)) };
    let sequences = (after.saturating_add(1)..=last).filter(|sequence| Some(*sequence) != book.missing);
    v1::ListEventsResponse {
        events: sequences.map(event).collect(),
        next_after_sequence: Some(last.max(after)),
        newest_sequence: Some(book.newest),
        oldest_sequence: Some(1),
    }
}

/// Answers calls as the book says.
async fn serve(
    listener: Listener,
    book: Arc<Mutex<Book>>,
    commits: mpsc::UnboundedSender<i64>,
    waits: mpsc::UnboundedSender<()>,
) {
    let mut peer = listener.accept(REP).await;
    let mut cursor = None;
    loop {
        let request = peer.request().await;
        match request.envelope.method() {
            "/tradebook.v1.EventService/ListEvents" => {
                let list: v1::ListEventsRequest = request.message();
                if list.wait_ms() > 0 {
                    let _ = waits.send(());
                }
                let page = page(&book.lock().unwrap(), list.after_sequence());
                peer.reply(&request, &page).await;
            }
            "/tradebook.v1.EventService/GetCursor" if cursor.is_none() => {
                peer.refuse(&request, v1::Code::NotFound, "there is no such cursor").await;
            }
            "/tradebook.v1.EventService/CommitCursor" => {
                let commit: v1::CommitCursorRequest = request.message();
                let is_refused = cursor.is_some() && book.lock().unwrap().refuses_commits;
                if is_refused {
                    peer.refuse(&request, PermissionDenied, "not yours").await;
                    continue;
                }
                if cursor.is_some() {
                    let _ = commits.send(commit.sequence());
                }
                cursor = commit.sequence;
                peer.reply(&request, &v1::Cursor { sequence: cursor, ..Default::default() }).await;
            }
            other => panic!("{other} was called"),
        }
    }
}

impl Setting {
    /// A stream that starts after event 0.
    async fn new(book: Book, cursor: Option<&str>) -> Self {
        let book = Arc::new(Mutex::new(book));
        let (calls, events) = (Listener::new().await, Listener::new().await);
        let channel = Channel::builder(calls.address()).events_address(events.address()).build().unwrap();
        let (commit, commits) = mpsc::unbounded_channel();
        let (wait, waits) = mpsc::unbounded_channel();
        tokio::spawn(serve(calls, Arc::clone(&book), commit, wait));
        let request = v1::SubscribeRequest {
            after_sequence: Some(0),
            cursor: cursor.map(str::to_owned),
            ..Default::default()
        };
        let stream = EventServiceClient::new(channel).subscribe(request).await.unwrap().into_inner();
        let events = events.accept(PUB).await;
        Self { book, stream, events, commits, waits }
    }

    async fn next(&mut self) -> Result<i64, Status> {
        let event = timeout(TIME_MAX, self.stream.message()).await.expect("there is an event, or an error")?;
        Ok(event.expect("the stream has no end").sequence())
    }

    async fn publish(&mut self, sequence: i64) {
        self.events.publish("trade.closed/BTC-USD/", &event(sequence)).await;
    }

    async fn heartbeat(&mut self, interval_ms: i64) {
        let newest = self.book.lock().unwrap().newest;
        let heartbeat =
            v1::Heartbeat { newest_sequence: Some(newest), interval_ms: Some(interval_ms), ..Default::default() };
        self.events.publish("heartbeat/", &heartbeat).await;
    }
}

#[tokio::test]
async fn frames_that_are_lost_doubled_or_late_do_not_show() {
    let mut setting = Setting::new(Book::default(), None).await;
    for (newest, published) in [(1, vec![1]), (6, vec![3, 3, 2, 6]), (9, vec![7, 7, 9, 1, 8]), (2000, vec![2000])]
    {
        let first = setting.book.lock().unwrap().newest + 1;
        setting.book.lock().unwrap().newest = newest;
        for sequence in published {
            setting.publish(sequence).await;
        }
        for expected in first..=newest {
            assert_eq!(setting.next().await.unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn an_event_that_follows_is_handed_out_as_it_comes() {
    let book = Book { newest: 3, lists_nothing: true, ..Default::default() };
    let mut setting = Setting::new(book, None).await;
    for sequence in 1..=3 {
        setting.publish(sequence).await;
        assert_eq!(setting.next().await.unwrap(), sequence);
    }
}

#[tokio::test]
async fn a_heartbeat_tells_of_a_lost_event() {
    let book = Book { newest: 1, lists_nothing: true, ..Default::default() };
    let mut setting = Setting::new(book, Some("alerts")).await;
    setting.publish(1).await;
    assert_eq!(setting.next().await.unwrap(), 1);
    // The cursor moves when there is nothing left to ask for.
    tokio::select! {
        event = setting.stream.message() => panic!("{event:?} came"),
        committed = setting.commits.recv() => assert_eq!(committed, Some(1)),
    }
    *setting.book.lock().unwrap() = Book { newest: 2, ..Default::default() };
    setting.heartbeat(60_000).await;
    assert_eq!(setting.next().await.unwrap(), 2);
}

#[tokio::test]
async fn without_heartbeats_the_server_is_asked() {
    let mut setting = Setting::new(Book { newest: 1, ..Default::default() }, None).await;
    setting.heartbeat(10).await;
    assert_eq!(setting.next().await.unwrap(), 1);
    let heard = tokio::select! {
        event = setting.stream.message() => panic!("{event:?} came"),
        wait = setting.waits.recv() => wait,
    };
    assert!(heard.is_some());
    setting.book.lock().unwrap().newest = 2;
    assert_eq!(setting.next().await.unwrap(), 2);
}

#[tokio::test]
async fn an_event_that_the_server_has_lost_ends_the_stream() {
    let mut setting = Setting::new(Book { newest: 3, missing: Some(2), ..Default::default() }, None).await;
    assert_eq!(setting.next().await.unwrap(), 1);
    let status = setting.next().await.unwrap_err();
    assert_eq!(status.code(), Code::DataLoss);
    assert!(status.message().contains("after event 1 the server answered event 3"), "{status:?}");
}

#[tokio::test]
async fn a_database_that_was_set_back_ends_the_stream() {
    let mut setting = Setting::new(Book { newest: 2, ..Default::default() }, None).await;
    assert_eq!(setting.next().await.unwrap(), 1);
    assert_eq!(setting.next().await.unwrap(), 2);
    setting.book.lock().unwrap().newest = 1;
    setting.heartbeat(1000).await;
    assert_eq!(setting.next().await.unwrap_err().code(), Code::DataLoss);
}

#[tokio::test]
async fn asking_for_the_next_event_says_that_the_one_before_was_handled() {
    let mut setting = Setting::new(Book { newest: 3, ..Default::default() }, Some("alerts")).await;
    for expected in 1..=3 {
        assert_eq!(setting.next().await.unwrap(), expected);
    }
    drop(setting.stream);
    assert_eq!(setting.commits.recv().await, Some(2));
}

#[tokio::test]
async fn the_cursor_moves_when_no_event_is_waiting() {
    let mut setting = Setting::new(Book { newest: 3, ..Default::default() }, Some("alerts")).await;
    for expected in 1..=3 {
        assert_eq!(setting.next().await.unwrap(), expected);
    }
    let committed = tokio::select! {
        event = setting.stream.message() => panic!("{event:?} came"),
        committed = setting.commits.recv() => committed,
    };
    assert_eq!(committed, Some(3));
}

#[tokio::test]
async fn a_cursor_that_cannot_be_moved_ends_the_stream() {
    let book = Book { newest: 1, refuses_commits: true, ..Default::default() };
    let mut setting = Setting::new(book, Some("alerts")).await;
    assert_eq!(setting.next().await.unwrap(), 1);
    let status = setting.next().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "not yours"));
}
