"""The record book as its clients see it: how each resource is called, valid
records of every kind, what a reply says, and what is in the file.

    with book.Client(address) as client:
        signal = client.ok("SignalService.CreateSignal", signal=book.signal())
"""

import contextlib
import hashlib
import importlib
import itertools
import os
import sqlite3
import struct
import uuid

import sp

rpc_pb2 = sp.messages()


def _module(name):
    return importlib.import_module(f"tradebook.v1.{name}_pb2")


(signal_pb2, trade_pb2, theory_pb2, pattern_pb2, risk_pb2, model_pb2, analytics_pb2, event_pb2, admin_pb2,
 types_pb2) = map(_module, ["signal", "trade", "theory", "pattern", "risk", "model", "analytics", "event", "admin",
                            "types"])
health_pb2 = importlib.import_module("grpc.health.v1.health_pb2")

# Status codes by the names of gRPC.
(OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
 RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE,
 DATA_LOSS, UNAUTHENTICATED) = range(17)

# How much work the heavier tests do; builds with sanitizers ask for less.
SCALE = float(os.environ.get("TRADEBOOK_SCALE", "1"))


def scaled(count):
    return max(1, int(count * SCALE))


class Resource:
    """A kind of record that clients create. The names of its methods, requests and
    fields follow from its own."""

    def __init__(self, name, service, table, key="id", updatable=True):
        self.name = name
        self.plural = name + "s"
        self.table = table
        self.key = key
        camel, camels = (n.title().replace("_", "") for n in (self.name, self.plural))
        self.create = f"{service}.Create{camel}"
        self.batch = f"{service}.BatchCreate{camels}"
        self.get = f"{service}.Get{camel}"
        self.list = f"{service}.List{camels}"
        self.update = f"{service}.Update{camel}" if updatable else None

    def __repr__(self):
        return self.name


RESOURCES = {
    resource.name: resource
    for resource in [
        Resource("signal", "SignalService", "signals"),
        Resource("theory_record", "TheoryService", "theory_performance", updatable=False),
        Resource("pattern", "PatternService", "patterns"),
        Resource("risk_snapshot", "RiskService", "risk_book_snapshots", key="signal_id"),
        Resource("model_deployment", "ModelService", "model_deployments"),
    ]
}
TABLES = ["signals", "signal_results", "theory_performance", "patterns", "risk_book_snapshots", "model_deployments"]

_services = {
    service.name: service
    for module in (signal_pb2, trade_pb2, theory_pb2, pattern_pb2, risk_pb2, model_pb2, analytics_pb2, event_pb2,
                   admin_pb2, health_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
}


def method(name):
    """The descriptor of "SignalService.CreateSignal"."""
    service, short = name.split(".")
    return _services[service].methods_by_name[short]


def full_name(name):
    """ "/tradebook.v1.SignalService/CreateSignal" """
    return "/{0.containing_service.full_name}/{0.name}".format(method(name))


def request_of(name, /, **fields):
    return method(name).input_type._concrete_class(**fields)


def envelope(name, payload, request_id=None, timeout_ms=None, metadata=()):
    """A Request for a method by its short name. payload is bytes or a message."""
    request = rpc_pb2.Request(method=full_name(name), request_id=request_id or uuid.uuid4().bytes)
    request.payload = payload if isinstance(payload, bytes) else payload.SerializeToString()
    if timeout_ms is not None:
        request.timeout_ms = timeout_ms
    for key, value in metadata:
        request.metadata.add(key=key, value=value)
    return request


class Client(sp.Client):
    """A connection that calls methods by their short names. metadata goes along
    with every call."""

    def __init__(self, address, metadata=(), timeout=60):
        super().__init__(address, timeout)
        self.metadata = metadata

    def reply(self, name, message=None, /, request_id=None, timeout_ms=None, **fields):
        """Calls and returns the Reply. Without a message the request is made of fields."""
        if message is None:
            message = request_of(name, **fields)
        return self.call_raw(envelope(name, message, request_id, timeout_ms, self.metadata).SerializeToString())

    def ok(self, name, message=None, /, request_id=None, timeout_ms=None, **fields):
        """Calls, insists on OK, and returns the response message."""
        return response_of(name, self.reply(name, message, request_id, timeout_ms, **fields))


def response_of(name, reply):
    assert reply.code == OK, f"{name}: {rpc_pb2.Code.Name(reply.code)}: {reply.message}"
    return method(name).output_type._concrete_class.FromString(reply.payload)


def violations(status):
    """{field path: description} of a Reply or a Status."""
    found = {}
    for detail in status.details:
        assert detail.type_url == "type.googleapis.com/google.rpc.BadRequest"
        for violation in rpc_pb2.BadRequest.FromString(detail.value).field_violations:
            assert violation.description
            found[violation.field] = violation.description
    return found


_serial = itertools.count(1)


def filled(message, values):
    """Sets fields of a message by name; None leaves one out."""
    for name, value in values.items():
        if value is None:
            continue
        field = message.DESCRIPTOR.fields_by_name[name]
        if field.message_type is None:
            setattr(message, name, value)
        else:
            getattr(message, name).CopyFrom(value)
    return message


def signal(**given):
    return filled(signal_pb2.Signal(), {
        "symbol": "BTC-USD", "direction": types_pb2.DIRECTION_LONG, "confidence": 0.7,
        "tier": types_pb2.TIER_HIGH, "ensemble_prediction": 0.5,
        **given,
    })


def theory_record(signal_id, **given):
    return filled(theory_pb2.TheoryRecord(), {
        "signal_id": signal_id, "theory_name": "shannon_entropy", "contribution_score": 0.25,
        **given,
    })


def pattern(**given):
    serial = next(_serial)
    return filled(pattern_pb2.Pattern(), {
        "name": f"bull_flag_{serial}", "pattern_hash": hashlib.sha256(str(serial).encode()).hexdigest(),
        **given,
    })


def risk_snapshot(**given):
    return filled(risk_pb2.RiskSnapshot(), {
        "signal_id": f"key-{next(_serial)}", "pair": "ETH-USD", "tier": types_pb2.TIER_LOW,
        "entry_time": timestamp(1_700_000_000), "entry_price": 100.0, "mode": types_pb2.MODE_DRYRUN,
        **given,
    })


def model_deployment(**given):
    return filled(model_pb2.ModelDeployment(), {
        "version": f"lstm-{next(_serial)}", "model_path": "models/lstm.pt", "model_type": "lstm",
        **given,
    })


def record(resource, signal_id, /, **given):
    """A valid new record of a resource by name; signal_id exists."""
    if resource == "theory_record":
        given.setdefault("signal_id", signal_id)
    return globals()[resource](**given)


def timestamp(seconds, nanos=0):
    from google.protobuf.timestamp_pb2 import Timestamp

    return Timestamp(seconds=seconds, nanos=nanos)


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def length_delimited(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def raw_field(message, name, value):
    """The bytes of one field, also with values that protobuf's own classes refuse:
    appended to a serialised message they win over what is there."""
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        return length_delimited(field.number, value if isinstance(value, bytes) else value.encode())
    if field.type == field.TYPE_MESSAGE:
        return length_delimited(field.number, value if isinstance(value, bytes) else value.SerializeToString())
    if field.type == field.TYPE_DOUBLE:
        return varint(field.number << 3 | 1) + struct.pack("<d", value)
    return varint(field.number << 3) + varint(value)


class File:
    """A database file, looked at and written to without the server."""

    def __init__(self, path):
        self.path = str(path)

    def query(self, sql, *parameters):
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()

    def execute(self, sql, *parameters):
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            connection.execute(sql, parameters)
        finally:
            connection.close()

    @contextlib.contextmanager
    def locked(self):
        """Another program holds the write lock, until the block ends or what is
        yielded is called."""
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=60, check_same_thread=False)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection.rollback
        finally:
            connection.close()

    def counts(self):
        """Rows of the six tables and of the remembered requests."""
        tables = TABLES + ["tb_requests"]
        return dict(zip(tables, *self.query("SELECT " + ", ".join(f"(SELECT count(*) FROM {t})" for t in tables))))

    def rows(self, table):
        """Every row as text that shows type and every bit of each value."""
        columns = [name for (name,) in self.query("SELECT name FROM pragma_table_info(?)", table)]
        exact = " || '|' || ".join(f"typeof({c}) || ':' || quote({c})" for c in columns)
        return [row for (row,) in self.query(f"SELECT {exact} FROM {table} ORDER BY rowid")]
