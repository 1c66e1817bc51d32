//! Messages of any type, to and from JSON, and as tonic's clients carry them.

use prost::{
    Message,
    bytes::{Buf, BufMut},
};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tradebook_client::FILE_DESCRIPTOR_SET;

pub struct Types(DescriptorPool);

impl Types {
    pub fn new() -> Self {
        let mut pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the descriptors are complete");
        pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .expect("google.rpc needs nothing else");
        Self(pool)
    }

    pub fn message(&self, name: &str) -> MessageDescriptor {
        self.0.get_message_by_name(name).unwrap_or_else(|| panic!("there is no message {name}"))
    }

    /// Request and response of a method; empty ones when it is unknown.
    pub fn method(&self, path: &str) -> (MessageDescriptor, MessageDescriptor) {
        let mut parts = path.trim_start_matches('/').split('/');
        let service = parts.next().and_then(|name| self.0.get_service_by_name(name));
        let method = service.and_then(|service| {
            let name = parts.next()?;
            service.methods().find(|method| method.name() == name)
        });
        match method {
            Some(method) => (method.input(), method.output()),
            None => (
                self.message("tradebook.v1.DeleteCursorResponse"),
                self.message("tradebook.v1.DeleteCursorResponse"),
            ),
        }
    }
}

pub fn from_json(descriptor: MessageDescriptor, json: &Value) -> Result<DynamicMessage, String> {
    DynamicMessage::deserialize(descriptor, json).map_err(|error| format!("the request {json}: {error}"))
}

pub fn to_json(message: &DynamicMessage) -> Result<Value, String> {
    let options = SerializeOptions::new();
    message.serialize_with_options(serde_json::value::Serializer, &options).map_err(|error| error.to_string())
}

/// A message of a generated type as JSON.
pub fn generated_to_json(descriptor: MessageDescriptor, message: &impl Message) -> Result<Value, String> {
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice());
    to_json(&message.map_err(|error| error.to_string())?)
}

/// Of a method with this response.
pub struct DynamicCodec(pub MessageDescriptor);

impl Codec for DynamicCodec {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = DynamicEncoder;
    type Decoder = DynamicDecoder;

    fn encoder(&mut self) -> DynamicEncoder {
        DynamicEncoder
    }

    fn decoder(&mut self) -> DynamicDecoder {
        DynamicDecoder(self.0.clone())
    }
}

pub struct DynamicEncoder;

impl Encoder for DynamicEncoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message.encode_to_vec());
        Ok(())
    }
}

pub struct DynamicDecoder(MessageDescriptor);

impl Decoder for DynamicDecoder {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let message = DynamicMessage::decode(self.0.clone(), bytes);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
