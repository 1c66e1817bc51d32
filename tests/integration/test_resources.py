"""What every method does when all is well: records are made, read, listed and
changed, and the server tells about itself."""

import contextlib
import pathlib
import sqlite3
import subprocess
import time
import uuid

import book
import pytest
import serving
from book import INVALID_ARGUMENT, NOT_FOUND, OK, RESOURCES
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

WITH_INTEGER_KEY = [resource for resource in RESOURCES.values() if resource.key == "id"]


def full(resource, signal_id):
    """A new record with every field that may be given."""
    at = book.timestamp(1_700_000_000, 123_456_000)
    return {
        "signal": lambda: book.signal(
            timestamp=at, symbol="ETH-USD", direction=2, confidence=0.25, tier=2, lstm_prediction=-0.5,
            transformer_prediction=0.0, rl_prediction=1e-300, ensemble_prediction=0.1, session="new_york",
            entry_price=100.1, tp_price=90.5, sl_price=110.25, result=4, latency_ms=0.0, model_version="v7.1",
            notes="naïve\nrégime 😀", strategy="v7_deepseek_only"),
        "theory_record": lambda: book.theory_record(
            signal_id, theory_name="kalman_filter", contribution_score=1.0, created_at=at),
        "pattern": lambda: book.pattern(name="Fahne 7 ✓", created_at=at),
        "risk_snapshot": lambda: book.risk_snapshot(
            signal_id="17", pair="BTC-USD", tier=3, entry_time=at, entry_price=100.0, tp_price=120.0, sl_price=90.0,
            slippage_bps=-0.5, slippage_expected_bps=0.0, spread_bps=1.5, latency_ms=2.5, mode=2, created_at=at),
        "model_deployment": lambda: book.model_deployment(
            version="ens-1", model_path="models/ens.pt", model_type="ensemble", deployed_at=at,
            metrics_json='{"accuracy": 0.7}'),
    }[resource.name]()


# What the server adds to a full record.
ADDED = {
    "signal": {"id", "executed"},
    "theory_record": {"id"},
    "pattern": {"id", "wins", "total", "win_rate", "updated_at"},
    "risk_snapshot": {"rr_expected"},
    "model_deployment": {"id", "is_promoted", "is_active"},
}


def present(message):
    return {field.name for field, _ in message.ListFields()}


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=str)
def test_create_full_record_stored_as_given(client, signal, resource):
    given = full(resource, signal.id)
    made = client.ok(resource.create, **{resource.name: given})
    assert present(made) == present(given) | ADDED[resource.name]
    assert {f: getattr(made, f) for f in present(given)} == {f: getattr(given, f) for f in present(given)}
    assert client.ok(resource.get, **{resource.key: getattr(made, resource.key)}) == made


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=str)
def test_create_least_record_gets_defaults(client, signal, resource):
    before = time.time()
    given = book.record(resource.name, signal.id)
    made = client.ok(resource.create, **{resource.name: given})
    times = {"signal": {"timestamp"}, "pattern": {"created_at", "updated_at"}, "model_deployment": {"deployed_at"}}
    times = times.get(resource.name, {"created_at"})
    values = {
        "signal": {"executed": False, "strategy": "v7_full_math"},
        "pattern": {"wins": 0, "total": 0, "win_rate": 0.0},
        "model_deployment": {"is_promoted": False, "is_active": True},
    }.get(resource.name, {})
    key = {"id"} if resource.key == "id" else set()
    assert present(made) == present(given) | key | times | set(values)
    assert {name: getattr(made, name) for name in values} == values
    for name in times:
        at = getattr(made, name)
        assert before - 1 <= at.seconds + at.nanos / 1e9 <= time.time() + 1
        assert at.nanos % 1000 == 0


@pytest.mark.parametrize("resource", WITH_INTEGER_KEY, ids=str)
def test_create_ids_grow_and_are_never_used_again(client, signal, server, resource):
    ids = [client.ok(resource.create, **{resource.name: book.record(resource.name, signal.id)}).id for _ in range(3)]
    assert ids == sorted(set(ids)) and ids[0] > 0
    with contextlib.closing(sqlite3.connect(server.db)) as connection, connection:
        connection.execute(f"DELETE FROM {resource.table} WHERE id = ?", (ids[-1],))
    assert client.ok(resource.create, **{resource.name: book.record(resource.name, signal.id)}).id > ids[-1]


OUTPUT_ONLY = {
    "signal": ["id", "executed", "execution_time", "execution_price", "exit_time", "exit_price", "pnl"],
    "theory_record": ["id", "was_correct"],
    "pattern": ["id", "wins", "total", "win_rate", "updated_at"],
    "risk_snapshot": ["rr_expected", "r_realized", "result", "exit_time", "exit_price", "time_to_tp_sl_seconds"],
    "model_deployment": ["id", "rollback_reason", "is_promoted", "is_active"],
}


@pytest.mark.parametrize("resource, field", [(RESOURCES[r], f) for r, fields in OUTPUT_ONLY.items() for f in fields],
                         ids=str)
def test_create_field_of_the_server_invalid_argument(client, file, signal, resource, field):
    before = file.counts()
    given = book.record(resource.name, signal.id)
    descriptor = given.DESCRIPTOR.fields_by_name[field]
    if descriptor.message_type is not None:
        getattr(given, field).seconds = 1_800_000_000
    else:
        setattr(given, field, "why" if descriptor.type == descriptor.TYPE_STRING else 1)
    reply = client.reply(resource.create, **{resource.name: given})
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == [f"{resource.name}.{field}"]
    assert file.counts() == before


def test_null_is_not_zero(client, file):
    zero = client.ok("SignalService.CreateSignal",
                     signal=book.signal(lstm_prediction=0.0, latency_ms=0.0, notes="", rl_prediction=-0.0))
    null = client.ok("SignalService.CreateSignal", signal=book.signal())
    assert file.query("SELECT lstm_prediction, latency_ms, notes FROM signals ORDER BY id") == [
        (0.0, 0.0, ""), (None, None, None)]
    assert {"lstm_prediction", "latency_ms", "notes"} <= present(zero)
    assert not {"lstm_prediction", "latency_ms", "notes"} & present(null)
    for text, found in [("lstm_prediction = 0", zero), ("lstm_prediction = NULL", null), ("notes = ''", zero),
                        ("notes != NULL", zero), ("latency_ms = NULL", null)]:
        assert list(client.ok("SignalService.ListSignals", filter=text).signals) == [found], text


def test_timestamp_keeps_microseconds(client, file):
    at = book.timestamp(-1, 999_999_999)
    made = client.ok("SignalService.CreateSignal", signal=book.signal(timestamp=at))
    assert made.timestamp == book.timestamp(-1, 999_999_000)
    assert file.query("SELECT timestamp FROM signals") == [("1969-12-31 23:59:59.999999",)]
    found = client.ok("SignalService.ListSignals", filter="timestamp = '1969-12-31T23:59:59.999999Z'").signals
    assert list(found) == [made]


def test_risk_snapshot_ratios_are_computed(client):
    made = client.ok("RiskService.CreateRiskSnapshot",
                     risk_snapshot=book.risk_snapshot(entry_price=100, tp_price=90, sl_price=104))
    assert made.rr_expected == 2.5
    closed = client.ok("RiskService.UpdateRiskSnapshot",
                       risk_snapshot={"signal_id": made.signal_id, "exit_price": 102, "result": 2})
    assert (closed.rr_expected, closed.r_realized) == (2.5, -0.5)
    without_stop = client.ok("RiskService.UpdateRiskSnapshot", risk_snapshot={"signal_id": made.signal_id},
                             update_mask={"paths": ["sl_price"]})
    assert not {"rr_expected", "r_realized", "sl_price"} & present(without_stop)


# Update.

def test_update_without_mask_changes_what_is_given(client, signal):
    changed = client.ok("SignalService.UpdateSignal", signal={"id": signal.id, "notes": "new", "confidence": 0.0})
    expected = type(signal).FromString(signal.SerializeToString())
    expected.notes, expected.confidence = "new", 0.0
    assert changed == expected
    assert client.ok("SignalService.GetSignal", id=signal.id) == expected


def test_update_with_mask_changes_what_is_named(client):
    made = client.ok("SignalService.CreateSignal", signal=book.signal(notes="old", session="tokyo", latency_ms=5))
    changed = client.ok("SignalService.UpdateSignal",
                        signal={"id": made.id, "notes": "new", "session": "london", "confidence": 0.9},
                        update_mask={"paths": ["notes", "latency_ms"]})
    assert (changed.notes, changed.session, changed.confidence) == ("new", "tokyo", made.confidence)
    assert not changed.HasField("latency_ms")
    assert client.ok("SignalService.GetSignal", id=made.id) == changed


def test_update_with_star_replaces_everything_that_may_change(client, file):
    made = client.ok("SignalService.CreateSignal", signal=book.signal(notes="old", session="tokyo", strategy="mine"))
    changed = client.ok("SignalService.UpdateSignal",
                        signal={"id": made.id, "confidence": 0.1, "tier": 1, "ensemble_prediction": 0.2},
                        update_mask={"paths": ["*"]})
    assert (changed.confidence, changed.tier, changed.ensemble_prediction) == (0.1, 1, 0.2)
    assert (changed.symbol, changed.direction, changed.timestamp) == (made.symbol, made.direction, made.timestamp)
    assert not {"notes", "session", "strategy"} & present(changed)
    assert file.query("SELECT notes, session, strategy FROM signals") == [(None, None, None)]


def test_update_empty_mask_is_no_mask(client, signal):
    assert client.ok("SignalService.UpdateSignal", signal={"id": signal.id, "notes": "new"}, update_mask={}).notes == "new"


def test_update_of_nothing_invalid_argument(client, signal):
    reply = client.reply("SignalService.UpdateSignal", signal={"id": signal.id})
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == ["update_mask"]


@pytest.mark.parametrize("resource, field, value", [
    ("signal", "symbol", "ETH"), ("signal", "direction", 2), ("signal", "timestamp", book.timestamp(5)),
    ("pattern", "pattern_hash", "f" * 64), ("risk_snapshot", "pair", "ETH"), ("risk_snapshot", "entry_price", 5.0),
    ("model_deployment", "version", "other"), ("model_deployment", "model_type", "other"),
    ("signal", "id", 7), ("signal", "pnl", 5.0), ("pattern", "wins", 5), ("model_deployment", "is_promoted", True)])
def test_update_immutable_field(client, resource, field, value):
    """Named in the mask it is refused; without a mask it is not among what changes."""
    resource = RESOURCES[resource]
    made = client.ok(resource.create, **{resource.name: book.record(resource.name, 1)})
    changes = book.filled(type(made)(), {resource.key: getattr(made, resource.key), field: value})
    reply = client.reply(resource.update, **{resource.name: changes}, update_mask={"paths": [field]})
    assert reply.code == INVALID_ARGUMENT
    assert "update_mask" in book.violations(reply)
    reply = client.reply(resource.update, **{resource.name: changes})
    assert reply.code in (INVALID_ARGUMENT, NOT_FOUND)
    assert client.ok(resource.get, **{resource.key: getattr(made, resource.key)}) == made


def test_update_pattern_moves_updated_at(client):
    made = client.ok("PatternService.CreatePattern", pattern=book.pattern(created_at=book.timestamp(1_000)))
    changed = client.ok("PatternService.UpdatePattern", pattern={"id": made.id, "name": "renamed"})
    assert changed.name == "renamed"
    assert changed.created_at == book.timestamp(1_000)
    assert (changed.updated_at.seconds, changed.updated_at.nanos) > (made.updated_at.seconds, made.updated_at.nanos)


def test_update_model_deployment_metrics(client):
    made = client.ok("ModelService.CreateModelDeployment", model_deployment=book.model_deployment(metrics_json="{}"))
    changed = client.ok("ModelService.UpdateModelDeployment",
                        model_deployment={"id": made.id, "model_path": "elsewhere.pt"},
                        update_mask={"paths": ["model_path", "metrics_json"]})
    assert changed.model_path == "elsewhere.pt"
    assert not changed.HasField("metrics_json")


# Batch.

@pytest.mark.parametrize("resource", RESOURCES.values(), ids=str)
def test_batch_each_item_by_itself(client, file, signal, resource):
    bad = type(book.record(resource.name, signal.id))()
    items = [book.record(resource.name, signal.id), bad, book.record(resource.name, signal.id)]
    before = file.counts()[resource.table]
    results = client.ok(resource.batch, **{resource.plural: items}).results
    assert [result.status.code for result in results] == [OK, INVALID_ARGUMENT, OK]
    assert [result.HasField("status") for result in results] == [False, True, False]
    assert [result.HasField("id") for result in results] == [resource.key == "id", False, resource.key == "id"]
    assert file.counts()[resource.table] == before + 2
    for result, item in zip(results, items):
        if result.HasField("id"):
            read = client.ok(resource.get, id=result.id)
            assert {f: getattr(read, f) for f in present(item)} == {f: getattr(item, f) for f in present(item)}


def test_batch_of_a_thousand(client, file):
    signals = [book.signal(notes=str(i)) for i in range(1000)]
    results = client.ok("SignalService.BatchCreateSignals", signals=signals).results
    assert [result.id for result in results] == list(range(results[0].id, results[0].id + 1000))
    assert [n for (n,) in file.query("SELECT notes FROM signals ORDER BY id")] == [s.notes for s in signals]


# List.

@pytest.fixture
def listed(client):
    """Thirty signals with ties and absent values."""
    signals = [
        book.signal(symbol="ABC"[i % 3], confidence=i % 4 / 4, tier=1 + i % 3, direction=1 + i % 2,
                    timestamp=book.timestamp(1_700_000_000 + i // 2), **({"latency_ms": i % 5} if i % 3 else {}))
        for i in range(30)]
    client.ok("SignalService.BatchCreateSignals", signals=signals)
    return list(client.ok("SignalService.ListSignals").signals)


@pytest.mark.parametrize("text, test", [
    ("confidence > 0.5", lambda s: s.confidence > 0.5),
    ("confidence >= 0.5 AND symbol = 'A'", lambda s: s.confidence >= 0.5 and s.symbol == "A"),
    ("symbol = 'A' OR symbol = \"B\"", lambda s: s.symbol in "AB"),
    ("NOT (symbol = 'A' OR tier = high)", lambda s: not (s.symbol == "A" or s.tier == 3)),
    ("symbol != 'A' AND (direction = 'SHORT' OR confidence = 0)",
     lambda s: s.symbol != "A" and (s.direction == 2 or s.confidence == 0)),
    ("latency_ms = NULL", lambda s: not s.HasField("latency_ms")),
    ("latency_ms != NULL AND latency_ms < 2", lambda s: s.HasField("latency_ms") and s.latency_ms < 2),
    ("latency_ms < 2", lambda s: s.HasField("latency_ms") and s.latency_ms < 2),
    ("timestamp >= '2023-11-14T22:13:30Z'", lambda s: s.timestamp.seconds >= 1_700_000_010),
    ("timestamp < '2023-11-14 22:13:30'", lambda s: s.timestamp.seconds < 1_700_000_010),
    ("executed = false", lambda s: True), ("executed = true", lambda s: False),
    ("id > 5 AND id <= 9", lambda s: 5 < s.id <= 9), ("", lambda s: True), ("  ", lambda s: True),
    ("tier = 'Low'", lambda s: s.tier == 1), ("confidence = 2.5e-1", lambda s: s.confidence == 0.25),
])
def test_list_filter(client, listed, text, test):
    found = client.ok("SignalService.ListSignals", filter=text).signals
    assert list(found) == [signal for signal in listed if test(signal)]


ORDERS = {
    "": lambda s: (s.id,),
    "id desc": lambda s: (-s.id,),
    "symbol": lambda s: (s.symbol, s.id),
    "confidence desc": lambda s: (-s.confidence, -s.id),
    "symbol desc, confidence": lambda s: (-ord(s.symbol), s.confidence, s.id),
    "latency_ms": lambda s: (s.HasField("latency_ms"), s.latency_ms, s.id),
    "latency_ms desc": lambda s: (not s.HasField("latency_ms"), -s.latency_ms, -s.id),
    "timestamp desc, symbol": lambda s: (-s.timestamp.seconds, s.symbol, s.id),
    "tier, direction desc": lambda s: ({1: "low", 2: "medium", 3: "high"}[s.tier], -s.direction, -s.id),
    "symbol asc, confidence asc, tier asc, latency_ms desc": lambda s: (
        s.symbol, s.confidence, {1: "low", 2: "medium", 3: "high"}[s.tier], not s.HasField("latency_ms"), -s.latency_ms,
        -s.id),
}


@pytest.mark.parametrize("order_by", ORDERS)
@pytest.mark.parametrize("page_size", [1, 7, 30])
def test_list_order_page_by_page(client, listed, order_by, page_size):
    found, token = [], None
    while token != "":
        page = client.ok("SignalService.ListSignals", page_size=page_size, page_token=token, order_by=order_by)
        assert 0 < len(page.signals) <= page_size
        found += page.signals
        assert len(found) <= len(listed), "pages without end"
        assert len(found) <= len(listed), "pages without end"
        token = page.next_page_token
    assert [s.id for s in found] == [s.id for s in sorted(listed, key=ORDERS[order_by])]


@pytest.mark.parametrize("descending", ["", " desc"])
@pytest.mark.parametrize("column, values", [
    ("notes", [b"abc", b"abc", b"abc", "b", "c"]),
    ("session", [b"ab", b"ab", b"ab", "b", "c"]),
    ("session", ["a\0b", "a\0b", "a\0b", "b", "c"]),
    ("executed", [2, 2, 2, 1, 0]),
    ("latency_ms", [b"1", "x", 0.5, None, 7]),
])
def test_list_values_of_other_programs_page_by_page(client, file, column, values, descending):
    """Text that is a BLOB or has a NUL in it, truth that is neither 0 nor 1."""
    for value in values:
        file.execute(f"INSERT INTO signals (symbol, direction, tier, confidence, ensemble_prediction, {column}) "
                     "VALUES ('A', 'long', 'high', 0.5, 0.5, ?)", value)
    found, token = [], None
    while token != "" and len(found) <= len(values):
        page = client.ok("SignalService.ListSignals", page_size=2, page_token=token, order_by=column + descending)
        found += [signal.id for signal in page.signals]
        token = page.next_page_token
    assert sorted(found) == [1, 2, 3, 4, 5]


def test_list_filter_page_by_page(client, listed):
    text = "symbol = 'A' OR latency_ms = NULL"
    whole = client.ok("SignalService.ListSignals", filter=text, order_by="confidence desc").signals
    first = client.ok("SignalService.ListSignals", filter=text, order_by="confidence desc", page_size=4)
    rest = client.ok("SignalService.ListSignals", filter=text, order_by="confidence desc", page_token=first.next_page_token)
    assert list(first.signals) + list(rest.signals) == list(whole)
    assert not rest.HasField("next_page_token")


def test_list_page_size(client):
    client.ok("SignalService.BatchCreateSignals", signals=[book.signal() for _ in range(1000)])
    client.ok("SignalService.CreateSignal", signal=book.signal())
    for asked, given in [(None, 50), (0, 50), (1, 1), (1000, 1000), (1001, 1000), ((1 << 31) - 1, 1000)]:
        page = client.ok("SignalService.ListSignals", page_size=asked)
        assert len(page.signals) == given, asked
        assert page.next_page_token
    last = client.ok("SignalService.ListSignals", page_token=page.next_page_token)
    assert len(last.signals) == 1 and not last.HasField("next_page_token")


def test_list_large_records_end_a_page_early(client):
    """A page has a bound in bytes; the rest follows on the next ones."""
    for _ in range(5):
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="x" * 600_000))
    ids, token, pages = [], None, 0
    while token != "":
        page = client.ok("SignalService.ListSignals", page_token=token)
        ids += [s.id for s in page.signals]
        assert len(ids) <= 5, "pages without end"
        token, pages = page.next_page_token, pages + 1
        assert pages <= 5, "pages without end"
    assert ids == [1, 2, 3, 4, 5]
    assert 1 < pages <= 5


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=str)
def test_list_every_resource(client, signal, resource):
    made = [client.ok(resource.create, **{resource.name: book.record(resource.name, signal.id)}) for _ in range(3)]
    expected = ([signal] if resource.name == "signal" else []) + made
    expected.sort(key=lambda record: getattr(record, resource.key))
    found = client.ok(resource.list)
    assert list(getattr(found, resource.plural)) == expected
    last = client.ok(resource.list, order_by=f"{resource.key} desc", page_size=1)
    assert list(getattr(last, resource.plural)) == expected[-1:]
    assert last.next_page_token


def test_list_empty_table(client):
    for method in [r.list for r in RESOURCES.values()] + ["TradeService.ListSignalResults"]:
        response = client.ok(method)
        assert response.ByteSize() == 0


def test_get_by_other_unique_fields(client, server, signal):
    pattern = client.ok("PatternService.CreatePattern", pattern=book.pattern(pattern_hash="AB" * 32))
    assert pattern.pattern_hash == "ab" * 32
    for hash in ("ab" * 32, "AB" * 32):
        assert client.ok("PatternService.GetPattern", pattern_hash=hash) == pattern
    model = client.ok("ModelService.CreateModelDeployment", model_deployment=book.model_deployment(version="v 1"))
    assert client.ok("ModelService.GetModelDeployment", version="v 1") == model
    with contextlib.closing(sqlite3.connect(server.db)) as connection, connection:
        connection.execute("INSERT INTO signal_results (signal_id, entry_price, entry_timestamp, outcome, pnl_usd)"
                           " VALUES (?, 1.5, '2026-01-01 00:00:00', 'Win', 2)", (signal.id,))
    result = client.ok("TradeService.GetSignalResult", signal_id=signal.id)
    assert (result.entry_price, result.outcome, result.pnl_usd) == (1.5, book.types_pb2.OUTCOME_WIN, 2.0)
    assert client.ok("TradeService.GetSignalResult", id=result.id) == result
    assert list(client.ok("TradeService.ListSignalResults", filter="outcome = win").signal_results) == [result]


# The server itself.

def test_health(client):
    serving_now = book.health_pb2.HealthCheckResponse.SERVING
    for service in [None, "", "tradebook.v1.SignalService", "grpc.health.v1.Health"]:
        assert client.ok("Health.Check", service=service).status == serving_now
    assert client.reply("Health.Check", service="tradebook.v1.NothingService").code == NOT_FOUND


def test_server_info(client, server, signal):
    client.ok("TheoryService.BatchCreateTheoryRecords", theory_records=[book.theory_record(signal.id) for _ in range(4)])
    client.ok("PatternService.CreatePattern", pattern=book.pattern())
    info = client.ok("AdminService.GetServerInfo")
    assert {table.name: table.rows for table in info.tables} == {
        "signals": 1, "signal_results": 0, "theory_performance": 4, "patterns": 1, "risk_book_snapshots": 0,
        "model_deployments": 0}
    assert info.version == serving.run("--version").stdout.split()[1]
    assert info.nng_version.count(".") == 2 and info.storage_version.startswith("3.")
    assert (info.storage, info.schema_version, info.breakeven_band_percent) == ("sqlite", 3, 0.0)
    assert info.database == str(server.db.resolve())
    assert info.file_bytes == server.db.stat().st_size
    assert info.wal_bytes == pathlib.Path(f"{server.db}-wal").stat().st_size
    assert abs(info.started_at.seconds - time.time()) < 600
    assert 0 <= info.uptime_ms < 600_000
    assert client.ok("AdminService.GetServerInfo").uptime_ms >= info.uptime_ms


@pytest.mark.parametrize("payload", [None, b"", b"\0\xff" * 50, bytes(1 << 19)], ids=["none", "empty", "bytes", "512 KiB"])
def test_echo(client, payload):
    response = client.ok("AdminService.Echo", payload=payload)
    assert response.HasField("payload") == (payload is not None)
    assert response.payload == (payload or b"")


def test_descriptor_set_is_enough_for_a_client(client):
    """A client that has no .proto files calls CreateSignal."""
    files = descriptor_pb2.FileDescriptorSet.FromString(client.ok("AdminService.GetDescriptorSet").file_descriptor_set)
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    method = pool.FindServiceByName("tradebook.v1.SignalService").methods_by_name["CreateSignal"]
    messages = message_factory.MessageFactory(pool)
    request = messages.GetPrototype(method.input_type)()
    request.signal.symbol = "BTC-USD"
    direction = request.signal.DESCRIPTOR.fields_by_name["direction"].enum_type
    request.signal.direction = direction.values_by_name["DIRECTION_SHORT"].number
    request.signal.confidence, request.signal.ensemble_prediction, request.signal.tier = 0.5, 0.5, 1
    envelope = messages.GetPrototype(pool.FindMessageTypeByName("tradebook.v1.Request"))()
    envelope.method = f"/{method.containing_service.full_name}/{method.name}"
    envelope.payload, envelope.request_id = request.SerializeToString(), uuid.uuid4().bytes
    reply = messages.GetPrototype(pool.FindMessageTypeByName("tradebook.v1.Reply"))()
    reply.ParseFromString(client.exchange(envelope.SerializeToString()))
    assert reply.code == 0, reply.message
    signal = messages.GetPrototype(method.output_type).FromString(reply.payload)
    assert signal.id == 1 and signal.direction == 2
    services = {f"{file.package}.{service.name}" for file in files.file for service in file.service}
    assert {f"tradebook.v1.{name}Service" for name in
            ("Signal", "Trade", "Theory", "Pattern", "Risk", "Model", "Analytics", "Event", "Admin")} <= services
    assert "grpc.health.v1.Health" in services


@pytest.mark.parametrize("transport", ["tcp", "ipc", "ws"])
def test_nngcat_gets_the_reply(tmp_path, transport):
    """A stock tool sends a hand-made envelope."""
    envelope = tmp_path / "envelope"
    message = book.request_of("SignalService.CreateSignal", signal=book.signal(notes="from nngcat"))
    envelope.write_bytes(book.envelope("SignalService.CreateSignal", message).SerializeToString())
    with serving.Server(tmp_path / "book.db", "--listen", "ws://127.0.0.1:0/rpc") as server:
        run = subprocess.run(["nngcat", "--req", "--dial", server.addresses[transport], "--file", str(envelope), "--raw",
                              "--recv-timeout", "60"], capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr
    reply = book.rpc_pb2.Reply.FromString(run.stdout)
    assert book.response_of("SignalService.CreateSignal", reply).notes == "from nngcat"
