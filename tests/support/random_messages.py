"""Random messages of any type, for comparing two implementations."""

import math
import struct

from google.protobuf import any_pb2, descriptor, duration_pb2, field_mask_pb2, timestamp_pb2

TEXTS = ["", "BTC-USD", 'q"uote\\', "line\nbreak\ttab", "\x01\x7f\x85", "€ 😀", "<>&'", "a,b"]
MASKS = ["notes", "entry_price", "signal.time_to_tp_sl_seconds", "r_realized"]
F = descriptor.FieldDescriptor


def _double(rng):
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice([0.0, -0.0, 1.0, 0.1, 5e-324, 1e22, 1.7976931348623157e308, math.inf, -math.inf])
    if kind == 1:
        return round(rng.uniform(0, 100000), 2)
    value = struct.unpack("<d", rng.randbytes(8))[0]
    return 0.5 if math.isnan(value) else value


def _integer(rng, bits, signed):
    value = rng.getrandbits(rng.randint(1, bits))
    return value - (1 << bits) if signed and value >= 1 << (bits - 1) else value


def _scalar(rng, field):
    if field.cpp_type == F.CPPTYPE_DOUBLE:
        return _double(rng)
    if field.cpp_type == F.CPPTYPE_INT32:
        return _integer(rng, 32, True)
    if field.cpp_type == F.CPPTYPE_INT64:
        return _integer(rng, 64, True)
    if field.cpp_type == F.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if field.cpp_type == F.CPPTYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    if field.type == F.TYPE_BYTES:
        return rng.randbytes(rng.randrange(9))
    if field.cpp_type == F.CPPTYPE_STRING:
        return "".join(rng.choice(TEXTS) for _ in range(rng.randrange(3)))
    raise NotImplementedError(f"{field.full_name}: teach this file its type")


def _fill_any(rng, message, any_types):
    inner = rng.choice(any_types)()
    fill(rng, inner, any_types)
    message.Pack(inner)


def fill(rng, message, any_types=(timestamp_pb2.Timestamp,)):
    """Sets about two thirds of the fields, and those of messages within."""
    if isinstance(message, timestamp_pb2.Timestamp):
        message.seconds = rng.randrange(-62135596800, 253402300800)
        message.nanos = rng.choice([0, 250000000, 123456000, rng.randrange(10**9)])
    elif isinstance(message, duration_pb2.Duration):
        message.seconds = rng.randrange(1000)
        message.nanos = rng.randrange(10**9)
    elif isinstance(message, field_mask_pb2.FieldMask):
        message.paths.extend(rng.sample(MASKS, rng.randrange(len(MASKS))))
    elif isinstance(message, any_pb2.Any):
        _fill_any(rng, message, any_types)
    else:
        for field in message.DESCRIPTOR.fields:
            if rng.random() < 2 / 3:
                _fill_field(rng, message, field, any_types)
    return message


def _fill_field(rng, message, field, any_types):
    value = getattr(message, field.name)
    if field.label == F.LABEL_REPEATED:
        for _ in range(rng.randrange(4)):
            if field.cpp_type == F.CPPTYPE_MESSAGE:
                fill(rng, value.add(), any_types)
            else:
                value.append(_scalar(rng, field))
    elif field.cpp_type == F.CPPTYPE_MESSAGE:
        value.SetInParent()
        fill(rng, value, any_types)
    else:
        setattr(message, field.name, _scalar(rng, field))
