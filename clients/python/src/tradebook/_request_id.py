"""Request ids: the server does a request of one id once, however often it comes."""

import functools
import os
import time

from google.protobuf import descriptor_pb2, descriptor_pool


def new_request_id() -> bytes:
    """A UUID of version 7 (RFC 9562): ids that grow with time are the cheapest to store."""
    random = bytearray(os.urandom(10))
    random[0] = 0x70 | random[0] & 0x0F
    random[2] = 0x80 | random[2] & 0x3F
    return (time.time_ns() // 1_000_000).to_bytes(6, "big") + random


@functools.cache
def is_write(method: str) -> bool:
    """Whether calls of this method, "/package.Service/Method", need a request id. What
    the descriptors do not know is taken as one that does."""
    try:
        options = descriptor_pool.Default().FindMethodByName(method[1:].replace("/", ".")).GetOptions()
    except KeyError:
        return True
    return bool(options.idempotency_level != descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS)
