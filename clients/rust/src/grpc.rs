//! Between the HTTP messages of tonic's clients and the bytes of a call.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use tonic::{
    Status,
    body::Body,
    metadata::{KeyAndValueRef, MetadataMap},
};
use tonic_types::{ErrorDetails, StatusExt};

use crate::v1;

/// In front of each message: one byte for compression, four for the length.
const PREFIX_BYTES: usize = 5;
const REQUEST_ID: &str = "x-request-id-bin";
const TIMEOUT: &str = "grpc-timeout";

/// The serialised message of a request that has one.
pub(crate) async fn message_of(body: Body) -> Result<Bytes, Status> {
    let mut bytes = body.collect().await?.to_bytes();
    if bytes.len() < PREFIX_BYTES {
        return Err(Status::internal("the request has no message"));
    }
    let prefix = bytes.split_to(PREFIX_BYTES);
    if prefix[0] != 0 {
        return Err(Status::unimplemented("the request is compressed; send it uncompressed"));
    }
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    if usize::try_from(length) != Ok(bytes.len()) {
        return Err(Status::unimplemented("the request is a stream of messages; there are no such methods"));
    }
    Ok(bytes)
}

/// How long the caller is willing to wait, if it says so.
pub(crate) fn timeout_of(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let read = || {
        let (number, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
        let number = number.parse::<u64>().ok()?;
        match unit {
            "H" => Some(Duration::from_secs(number.checked_mul(3600)?)),
            "M" => Some(Duration::from_secs(number.checked_mul(60)?)),
            "S" => Some(Duration::from_secs(number)),
            "m" => Some(Duration::from_millis(number)),
            "u" => Some(Duration::from_micros(number)),
            "n" => Some(Duration::from_nanos(number)),
            _ => None,
        }
    };
    read()
        .map(Some)
        .ok_or_else(|| Status::invalid_argument(format!("{TIMEOUT} is {value:?}; write it as in 500m")))
}

/// The request id that the caller has chosen, if it has. Its length is the server's to check.
pub(crate) fn request_id_of(metadata: &MetadataMap) -> Result<Option<Bytes>, Status> {
    let Some(value) = metadata.get_bin(REQUEST_ID) else { return Ok(None) };
    value.to_bytes().map(Some).map_err(|_| Status::invalid_argument(format!("{REQUEST_ID} is not base64")))
}

/// What the caller sends besides the message, without what is meant for the transport.
pub(crate) fn entries_of(metadata: &MetadataMap) -> Result<Vec<v1::Metadata>, Status> {
    let mut entries = Vec::new();
    for entry in metadata.iter() {
        let (key, value) = match entry {
            KeyAndValueRef::Ascii(key, value) => (key.as_str(), Bytes::copy_from_slice(value.as_encoded_bytes())),
            KeyAndValueRef::Binary(key, value) => {
                let value = value
                    .to_bytes()
                    .map_err(|_| Status::invalid_argument(format!("the metadata {key:?} is not base64")))?;
                (key.as_str(), value)
            }
        };
        let is_transport =
            matches!(key, "te" | "content-type" | "user-agent" | REQUEST_ID) || key.starts_with("grpc-");
        if !is_transport {
            entries.push(entry_of(key, value));
        }
    }
    Ok(entries)
}

pub(crate) fn entry_of(key: &str, value: impl Into<Vec<u8>>) -> v1::Metadata {
    v1::Metadata { key: Some(key.to_owned()), value: Some(value.into()) }
}

/// The frame of one message of a response.
pub(crate) fn frame_of(message: &impl Message) -> Frame<Bytes> {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX_BYTES + length);
    bytes.put_slice(&prefix_of(length));
    message.encode(&mut bytes).expect("the buffer has room");
    Frame::data(bytes.freeze())
}

/// The frame that ends a response.
pub(crate) fn end_of(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    match status.add_header(&mut trailers) {
        Ok(()) => Frame::trailers(trailers),
        Err(other) => end_of(&other),
    }
}

/// The response of one message.
pub(crate) fn unary(payload: Bytes) -> http::Response<Body> {
    let prefix = Bytes::copy_from_slice(&prefix_of(payload.len()));
    streaming(stream::iter([Frame::data(prefix), Frame::data(payload), end_of(&Status::ok(""))]))
}

/// The response of these frames.
pub(crate) fn streaming(frames: impl Stream<Item = Frame<Bytes>> + Send + 'static) -> http::Response<Body> {
    use futures_util::StreamExt;
    let mut response = http::Response::new(Body::new(StreamBody::new(frames.map(Ok::<_, Status>))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn prefix_of(length: usize) -> [u8; PREFIX_BYTES] {
    let length = u32::try_from(length).expect("a reply has at most 16 MiB");
    let [a, b, c, d] = length.to_be_bytes();
    [0, a, b, c, d]
}

/// `INVALID_ARGUMENT` for one field, as the server says it.
pub(crate) fn violation(field: &str, description: &str) -> Status {
    Status::with_error_details(
        tonic::Code::InvalidArgument,
        format!("{field}: {description}"),
        ErrorDetails::with_bad_request_violation(field, description),
    )
}
