//! What the server publishes. Each connection drops what its reader does not take in time; the feed notices.

use std::{fmt::Write, time::Duration};

use bytes::Bytes;
use prost::Message;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::{
    backoff::Backoff,
    sp::{Endpoint, FrameReader, Protocol},
    v1,
};

const FRAME_BYTES_MAX: usize = 16 * 1024;
/// Events that wait to be taken; when they are so many, reading rests.
const RINGS_MAX: usize = 1024;
/// Twice the longest time between two heartbeats.
const SILENCE_MAX: Duration = Duration::from_secs(120);
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);
const TOPIC: &str = "trade.closed/";
const HEARTBEAT: &[u8] = b"heartbeat/";

/// What was heard, in the order of its arrival.
pub(super) enum Ring {
    /// What was published before was not heard.
    Connected,
    Event(Box<v1::Event>),
    Heartbeat(v1::Heartbeat),
    Lost,
}

/// Connects, and connects again, until what it answers is dropped. Only events of the symbol are heard, if one is given.
pub(super) fn listen(endpoint: Endpoint, symbol: Option<&str>) -> mpsc::Receiver<Ring> {
    let topic = topic_of(symbol);
    let (sender, receiver) = mpsc::channel(RINGS_MAX);
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = ring(&endpoint, &topic, &sender) => {}
        }
    });
    receiver
}

/// Ends when nobody hears it any more.
async fn ring(endpoint: &Endpoint, topic: &str, sender: &mpsc::Sender<Ring>) {
    let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
    loop {
        let connection = endpoint.connect(Protocol::Sub, Protocol::Pub, FRAME_BYTES_MAX).await;
        if let Ok((reader, _writer)) = connection {
            backoff.reset();
            if sender.send(Ring::Connected).await.is_err() || hear(reader, topic, sender).await.is_err() {
                return;
            }
        }
        sleep(backoff.pause()).await;
    }
}

/// Hears one connection to its end; an error says that nobody hears it any more.
async fn hear(
    mut reader: FrameReader,
    topic: &str,
    sender: &mpsc::Sender<Ring>,
) -> Result<(), mpsc::error::SendError<Ring>> {
    while let Ok(Ok(frame)) = timeout(SILENCE_MAX, reader.next()).await {
        if let Some(ring) = ring_of(&frame, topic) {
            sender.send(ring).await?;
        }
    }
    sender.send(Ring::Lost).await
}

/// `None` when the frame is of another topic or cannot be read, which the feed notices as a gap.
fn ring_of(frame: &Bytes, topic: &str) -> Option<Ring> {
    let nul = frame.iter().position(|byte| *byte == 0)?;
    let message = frame.slice(nul + 1..);
    if frame[..nul] == *HEARTBEAT {
        v1::Heartbeat::decode(message).ok().map(Ring::Heartbeat)
    } else if frame.starts_with(topic.as_bytes()) {
        v1::Event::decode(message).ok().map(|event| Ring::Event(Box::new(event)))
    } else {
        None
    }
}

/// The topic of a symbol's events, in which all but letters, digits and `-._~` is written as %XX; the prefix of all
/// topics without a symbol.
fn topic_of(symbol: Option<&str>) -> String {
    let mut topic = TOPIC.to_owned();
    for byte in symbol.unwrap_or_default().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            topic.push(char::from(byte));
        } else {
            let _ = write!(topic, "%{byte:02X}");
        }
    }
    if symbol.is_some() {
        topic.push('/');
    }
    topic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_written_as_the_server_writes_it() {
        assert_eq!(topic_of(None), "trade.closed/");
        assert_eq!(topic_of(Some("BTC-USD")), "trade.closed/BTC-USD/");
        assert_eq!(topic_of(Some("BTC/USD é")), "trade.closed/BTC%2FUSD%20%C3%A9/");
    }

    #[test]
    fn a_frame_is_heard_by_its_topic() {
        let event = v1::Event { sequence: Some(7), ..Default::default() };
        let frame = |topic: &str, message: Vec<u8>| [topic.as_bytes(), &[0], &message].concat().into();
        let of_btc: Bytes = frame("trade.closed/BTC/", event.encode_to_vec());
        assert!(matches!(ring_of(&of_btc, "trade.closed/"), Some(Ring::Event(heard)) if *heard == event));
        assert!(matches!(ring_of(&of_btc, "trade.closed/BTC/"), Some(Ring::Event(_))));
        assert!(ring_of(&of_btc, "trade.closed/ETH/").is_none());
        let heartbeat = v1::Heartbeat { newest_sequence: Some(7), ..Default::default() };
        let of_heartbeat = frame("heartbeat/", heartbeat.encode_to_vec());
        assert!(
            matches!(ring_of(&of_heartbeat, "trade.closed/ETH/"), Some(Ring::Heartbeat(heard)) if heard == heartbeat)
        );
        for broken in [frame("trade.closed/BTC/", vec![0xff]), Bytes::from_static(b"trade.closed/"), Bytes::new()]
        {
            assert!(ring_of(&broken, "trade.closed/").is_none());
        }
    }
}
