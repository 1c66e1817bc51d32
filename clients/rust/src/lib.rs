#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod address;
mod backoff;
mod call;
mod channel;
mod error;
mod events;
mod grpc;
mod link;
mod methods;
mod sp;
mod tls;

pub use channel::{Builder, Channel};
pub use error::ConfigError;
pub use tls::TlsOptions;

/// Messages and clients, generated from `proto/tradebook/v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod v1 {
    tonic::include_proto!("tradebook.v1");
}

/// The compiled protocol files, a serialised `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
