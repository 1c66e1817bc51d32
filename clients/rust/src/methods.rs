//! What the descriptors say about each method.

use std::{collections::HashMap, sync::LazyLock};

use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto, method_options::IdempotencyLevel};

use crate::FILE_DESCRIPTOR_SET;

pub(crate) const SUBSCRIBE: &str = "/tradebook.v1.EventService/Subscribe";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Changes nothing, and so needs no request id.
    Read,
    /// Changes something, or is not known here.
    Write,
    /// Has a stream of requests or responses.
    Stream,
}

static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the build wrote the descriptors");
    let mut methods = HashMap::new();
    for file in &files.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                methods.insert(path, kind(method));
            }
        }
    }
    methods
});

fn kind(method: &MethodDescriptorProto) -> Method {
    let level = method.options.as_ref().map(prost_types::MethodOptions::idempotency_level);
    if method.client_streaming() || method.server_streaming() {
        Method::Stream
    } else if level == Some(IdempotencyLevel::NoSideEffects) {
        Method::Read
    } else {
        Method::Write
    }
}

/// A method by its full name, such as `/tradebook.v1.SignalService/GetSignal`.
pub(crate) fn find(path: &str) -> Method {
    METHODS.get(path).copied().unwrap_or(Method::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_what_the_descriptors_say() {
        assert_eq!(find("/tradebook.v1.SignalService/GetSignal"), Method::Read);
        assert_eq!(find("/grpc.health.v1.Health/Check"), Method::Read);
        assert_eq!(find("/tradebook.v1.SignalService/CreateSignal"), Method::Write);
        assert_eq!(find("/tradebook.v1.EventService/CommitCursor"), Method::Write);
        assert_eq!(find(SUBSCRIBE), Method::Stream);
        assert_eq!(find("/tradebook.v1.SignalService/New"), Method::Write);
    }
}
