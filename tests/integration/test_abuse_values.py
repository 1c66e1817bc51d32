"""What bad values get: INVALID_ARGUMENT with the path of every field that is
wrong, and no effect. Good values at the edge are accepted."""

import base64
import contextlib
import itertools
import math
import sqlite3

import book
import pytest
import serving
from book import INVALID_ARGUMENT, NOT_FOUND, OK, RESOURCES, TABLES

INT64_MAX = (1 << 63) - 1
# Digits are one byte, these characters two and four: VARCHAR(n) counts characters.
WIDE = "é😀"


class Kind:
    """What the values of a field must satisfy: some that are refused and some that
    are not, by what makes them so."""

    def __init__(self, refused, accepted):
        self.refused = refused
        self.accepted = accepted


def _numbers(refused, accepted):
    never = {"NaN": math.nan, "Inf": math.inf, "-Inf": -math.inf}
    return Kind({**never, **refused}, accepted)


def _text(refused, accepted):
    never = {"invalid UTF-8": b"a\xff", "overlong UTF-8": b"\xc0\xaf", "surrogate": b"\xed\xa0\x80",
             "above U+10FFFF": b"\xf4\x90\x80\x80", "cut character": b"\xe2\x82", "NUL": b"BTC\0USD", "only NUL": b"\0"}
    return Kind({**never, **refused}, accepted)


def name(characters):
    """A name of at most so many characters."""
    return _text(
        {"empty": "", "blank": "   ", "too long": "x" * (characters + 1),
         "too many wide characters": (WIDE * characters)[:characters + 1], "newline": "a\nb", "tab": "a\tb",
         "escape": "\x1b[31mred", "DEL": "a\x7f", "C1 control": "a\u0085b"},
        {"one character": "x", "longest": "x" * characters, "longest of wide characters": (WIDE * characters)[:characters],
         "quotes": "'; DROP --"[:characters], "percent": "%", "underscore": "_", "inner blanks": " a b "})


NUMBER = _numbers({}, {"zero": 0.0, "negative": -1.5, "largest": 1.7976931348623157e308, "smallest": 5e-324})
POSITIVE = _numbers({"zero": 0.0, "minus zero": -0.0, "negative": -1.0, "just below zero": -5e-324},
                    {"smallest": 5e-324})
NOT_NEGATIVE = _numbers({"negative": -0.001}, {"zero": 0.0})
UNIT = _numbers({"above 1": 1.0000000000000002, "negative": -0.1, "just below zero": -5e-324},
                {"0": 0.0, "1": 1.0})
FREE_TEXT = _text({}, {"empty": "", "newlines": "line\r\n\tline", "long": "x" * 20000, "wide": WIDE})
JSON = _text(
    {"empty": "", "not JSON": "accuracy 0.7", "cut off": '{"accuracy": 0.7', "two documents": "{} {}",
     "NaN": '{"loss": NaN}', "single quotes": "{'loss': 1}", "trailing comma": "[1,]"},
    {"object": '{"accuracy": 0.7, "by_class": [1, 2, null, true]}', "array": "[]", "spread": '{\n\t"loss": 1e-9\n}',
     "wide": '{"note": "é😀"}'})
HASH = _text(
    {"empty": "", "63 digits": "a" * 63, "65 digits": "a" * 65, "not hexadecimal": "g" + "a" * 63,
     "blank inside": "a" * 32 + " " + "a" * 31, "0x": "0x" + "a" * 62},
    {"upper case": "ABCDEF0123456789" * 4})
# The last ones would be known values if only their low 32 bits were looked at.
ENUM = {"UNSPECIFIED": 0, "unknown": 99, "negative": -1, "beyond 32 bits": (1 << 32) + 1, "far beyond": (1 << 63) + 2}
TIME = Kind(
    {"year 0": book.timestamp(-62135596801), "year 10000": book.timestamp(253402300800),
     "nanos negative": book.timestamp(0, -1), "nanos 10^9": book.timestamp(0, 1_000_000_000),
     "seconds lowest": book.timestamp(-1 << 63), "seconds highest": book.timestamp(INT64_MAX)},
    {"year 1": book.timestamp(-62135596800), "year 9999": book.timestamp(253402300799, 999_999_999)})
SECONDS = Kind({"negative": -1}, {"zero": 0, "largest": INT64_MAX})
REFERENCE = Kind({"0": 0, "negative": -1, "lowest": -1 << 63}, {})


def choice(accepted, refused=()):
    return Kind({**ENUM, **{f"value {value}": value for value in refused}}, {f"value {v}": v for v in accepted})


# Fields that a client writes, by hand from the schema. create: when a record is
# made, update: afterwards.
FIELDS = {
    "signal": {
        "create update": {
            "confidence": UNIT, "tier": choice([1, 2, 3]), "lstm_prediction": NUMBER, "transformer_prediction": NUMBER,
            "rl_prediction": NUMBER, "ensemble_prediction": NUMBER, "session": name(20), "entry_price": POSITIVE,
            "tp_price": POSITIVE, "sl_price": POSITIVE, "result": choice([3, 4], refused=[1, 2]),
            "latency_ms": NOT_NEGATIVE, "model_version": name(20), "notes": FREE_TEXT, "strategy": name(50),
        },
        "create": {"timestamp": TIME, "symbol": name(20), "direction": choice([1, 2, 3])},
    },
    "theory_record": {
        "create": {"signal_id": REFERENCE, "theory_name": name(100), "contribution_score": UNIT, "created_at": TIME},
    },
    "pattern": {
        "create update": {"name": name(255)},
        "create": {"pattern_hash": HASH, "created_at": TIME},
    },
    "risk_snapshot": {
        "create update": {
            "tier": choice([1, 2, 3]), "tp_price": POSITIVE, "sl_price": POSITIVE, "slippage_bps": NUMBER,
            "slippage_expected_bps": NUMBER, "spread_bps": NOT_NEGATIVE, "latency_ms": NOT_NEGATIVE,
        },
        "create": {
            "signal_id": name(64), "pair": name(20), "entry_time": TIME, "entry_price": POSITIVE,
            "mode": choice([1, 2]), "created_at": TIME,
        },
        # The snapshot that is changed was opened in 2023.
        "update": {
            "result": choice([1, 2], refused=[3, 4]), "exit_time": Kind(TIME.refused, {"year 9999": TIME.accepted["year 9999"]}),
            "exit_price": POSITIVE, "time_to_tp_sl_seconds": SECONDS,
        },
    },
    "model_deployment": {
        "create update": {"model_path": name(500), "metrics_json": JSON},
        "create": {"version": name(50), "model_type": name(50), "deployed_at": TIME},
    },
}


def rows(when, which):
    """(resource, field, value) of all fields that can be written then, with an id."""
    for resource, groups in FIELDS.items():
        for times, fields in groups.items():
            for field, kind in fields.items() if when in times.split() else ():
                for label, value in getattr(kind, which).items():
                    yield pytest.param(RESOURCES[resource], field, value, id=f"{resource}.{field}-{label}")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving.Server(tmp_path_factory.mktemp("values") / "book.db") as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with book.Client(server.address) as client:
        yield client


def new_key(client, resource, signal_id=1):
    """Makes a record that can be changed field by field, and returns its key."""
    record = book.record(resource.name, signal_id)
    if resource.name == "signal":
        # A hold has no right and wrong side of the entry.
        record.direction = book.types_pb2.DIRECTION_HOLD
    made = client.ok(resource.create, **{resource.name: record})
    return {resource.key: getattr(made, resource.key)}


@pytest.fixture(scope="module")
def stored(client):
    """One record of each kind to be referred to and changed: its key, by resource."""
    return {resource.name: new_key(client, resource) for resource in RESOURCES.values()}


@pytest.fixture(scope="module")
def reader(server):
    """A connection to the file. Opening one for each look would take most of the time
    of the tests below."""
    with contextlib.closing(sqlite3.connect(f"file:{server.db}?mode=ro", uri=True)) as connection:
        yield connection


@pytest.fixture
def unchanged(reader, stored):
    """No row is added, changed or removed while the test runs."""
    def look():
        return [reader.execute(f"SELECT count(*), max(rowid) FROM {table}").fetchall() for table in TABLES] + [
            reader.execute("SELECT * FROM signals WHERE id=?", [stored["signal"]["id"]]).fetchall()] + [
            reader.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("patterns", "risk_book_snapshots", "model_deployments")]

    before = look()
    yield
    assert look() == before


def message_of(resource):
    return book.method(resource.create).output_type._concrete_class


def with_value(resource, record, field, value):
    """record as bytes, with this value in place of what the field holds."""
    return record.SerializeToString() + book.raw_field(record, field, value)


def create(client, resource, stored, field, value):
    record = book.record(resource.name, stored["signal"]["id"])
    return client.reply(resource.create, book.length_delimited(1, with_value(resource, record, field, value)))


def update(client, resource, stored, field, value):
    record = message_of(resource)(**stored[resource.name])
    mask = book.length_delimited(1, field.encode())
    return client.reply(resource.update, book.length_delimited(1, with_value(resource, record, field, value)) +
                        book.length_delimited(2, mask))


@pytest.mark.parametrize("resource, field, value", rows("create", "refused"))
def test_create_bad_value_invalid_argument(client, stored, unchanged, resource, field, value):
    reply = create(client, resource, stored, field, value)
    assert reply.code == INVALID_ARGUMENT, reply
    assert list(book.violations(reply)) == [f"{resource.name}.{field}"]
    assert f"{resource.name}.{field}" in reply.message


@pytest.mark.parametrize("resource, field, value", rows("update", "refused"))
def test_update_bad_value_invalid_argument(client, stored, unchanged, resource, field, value):
    reply = update(client, resource, stored, field, value)
    assert reply.code == INVALID_ARGUMENT, reply
    assert list(book.violations(reply)) == [f"{resource.name}.{field}"]


def never_well_formed(value):
    """Text that no proto library sends fails the request; other values their item."""
    if not isinstance(value, bytes):
        return False
    try:
        return "\0" in value.decode()
    except UnicodeDecodeError:
        return True


@pytest.mark.parametrize("resource, field, value", rows("create", "refused"))
def test_batch_bad_value_item_refused(client, stored, unchanged, resource, field, value):
    record = book.record(resource.name, stored["signal"]["id"])
    bad = with_value(resource, record, field, value)
    reply = client.reply(resource.batch, book.length_delimited(1, bad))
    enum = record.DESCRIPTOR.fields_by_name[field].enum_type
    if never_well_formed(value) or (enum and value not in [known.number for known in enum.values]):
        assert reply.code == INVALID_ARGUMENT
        assert list(book.violations(reply)) == [f"{resource.plural}[0].{field}"]
        return
    (result,) = book.response_of(resource.batch, reply).results
    assert not result.HasField("id")
    assert result.status.code == INVALID_ARGUMENT
    assert list(book.violations(result.status)) == [field]


@pytest.mark.parametrize("resource, field, value", rows("create", "accepted"))
def test_create_value_at_the_edge_stored(client, stored, resource, field, value):
    reply = create(client, resource, stored, field, value)
    made = book.response_of(resource.create, reply)
    assert_stored(client, resource, made, field, value)


@pytest.mark.parametrize("resource, field, value", rows("update", "accepted"))
def test_update_value_at_the_edge_stored(client, stored, resource, field, value):
    reply = update(client, resource, {resource.name: new_key(client, resource)}, field, value)
    changed = book.response_of(resource.update, reply)
    assert_stored(client, resource, changed, field, value)


def assert_stored(client, resource, record, field, value):
    """The record answered and the record read back hold the value."""
    read = client.ok(resource.get, **{resource.key: getattr(record, resource.key)})
    assert read == record
    found = getattr(read, field)
    if field == "pattern_hash":
        value = value.lower()
    if isinstance(value, type(book.timestamp(0))):
        assert (found.seconds, found.nanos) == (value.seconds, value.nanos // 1000 * 1000)
    else:
        assert found == value


# Prices that contradict each other.
LONG, SHORT, HOLD = 1, 2, 3
SIDES = {
    "long tp below entry": (dict(direction=LONG, entry_price=100, tp_price=99), {"tp_price"}),
    "long tp at entry": (dict(direction=LONG, entry_price=100, tp_price=100), {"tp_price"}),
    "long sl above entry": (dict(direction=LONG, entry_price=100, sl_price=101), {"sl_price"}),
    "long both wrong": (dict(direction=LONG, entry_price=100, tp_price=90, sl_price=110), {"tp_price", "sl_price"}),
    "long without entry": (dict(direction=LONG, tp_price=90, sl_price=110), {"tp_price"}),
    "short tp above entry": (dict(direction=SHORT, entry_price=100, tp_price=101), {"tp_price"}),
    "short sl below entry": (dict(direction=SHORT, entry_price=100, sl_price=99), {"sl_price"}),
    "short sl at entry": (dict(direction=SHORT, entry_price=100, sl_price=100), {"sl_price"}),
    "short both wrong": (dict(direction=SHORT, entry_price=100, tp_price=110, sl_price=90), {"tp_price", "sl_price"}),
    "short without entry": (dict(direction=SHORT, tp_price=110, sl_price=90), {"tp_price"}),
}
RIGHT_SIDES = {
    "long": dict(direction=LONG, entry_price=100, tp_price=110, sl_price=90),
    "short": dict(direction=SHORT, entry_price=100, tp_price=90, sl_price=110),
    "long without entry": dict(direction=LONG, tp_price=110, sl_price=90),
    "hold has no sides": dict(direction=HOLD, entry_price=100, tp_price=90, sl_price=110),
}


@pytest.mark.parametrize("row", SIDES)
def test_signal_price_on_wrong_side_invalid_argument(client, unchanged, row):
    given, fields = SIDES[row]
    reply = client.reply("SignalService.CreateSignal", signal=book.signal(**given))
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {f"signal.{field}" for field in fields}
    batch = client.ok("SignalService.BatchCreateSignals", signals=[book.signal(**given)])
    assert set(book.violations(batch.results[0].status)) == fields


@pytest.mark.parametrize("row", RIGHT_SIDES)
def test_signal_prices_on_right_sides_accepted(client, row):
    client.ok("SignalService.CreateSignal", signal=book.signal(**RIGHT_SIDES[row]))


def test_signal_update_to_wrong_side_invalid_argument(client, server, stored):
    """What is stored counts too: only the new price is in the request."""
    made = client.ok("SignalService.CreateSignal", signal=book.signal(entry_price=100, tp_price=110))
    reply = client.reply("SignalService.UpdateSignal",
                         signal=book.signal_pb2.Signal(id=made.id, entry_price=120, sl_price=130))
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {"signal.tp_price", "signal.sl_price"}
    assert client.ok("SignalService.GetSignal", id=made.id) == made


RISK_SIDES = {
    "both above": (dict(entry_price=100, tp_price=110, sl_price=105), {"tp_price"}),
    "both below": (dict(entry_price=100, tp_price=90, sl_price=95), {"tp_price"}),
    "sl at entry": (dict(entry_price=100, sl_price=100), {"sl_price"}),
    "tp at entry": (dict(entry_price=100, tp_price=100, sl_price=95), {"tp_price"}),
}


@pytest.mark.parametrize("row", RISK_SIDES)
def test_risk_snapshot_price_on_wrong_side_invalid_argument(client, unchanged, row):
    given, fields = RISK_SIDES[row]
    reply = client.reply("RiskService.CreateRiskSnapshot", risk_snapshot=book.risk_snapshot(**given))
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {f"risk_snapshot.{field}" for field in fields}


@pytest.mark.parametrize("after_us, code", [(-1, INVALID_ARGUMENT), (0, OK), (1, OK)])
def test_risk_snapshot_exit_before_entry_invalid_argument(client, after_us, code):
    entry = book.timestamp(1_700_000_000, 500_000)
    made = client.ok("RiskService.CreateRiskSnapshot", risk_snapshot=book.risk_snapshot(entry_time=entry))
    left = book.timestamp(1_700_000_000, 500_000 + after_us * 1000)
    reply = client.reply("RiskService.UpdateRiskSnapshot",
                         risk_snapshot=book.risk_pb2.RiskSnapshot(signal_id=made.signal_id, exit_time=left))
    assert reply.code == code
    if code != OK:
        assert set(book.violations(reply)) == {"risk_snapshot.exit_time"}
        assert client.ok("RiskService.GetRiskSnapshot", signal_id=made.signal_id) == made


# Keys that reads and updates are asked for.
BAD_KEYS = {
    "SignalService.GetSignal": [dict(id=0), dict(id=-1), dict(id=-1 << 63), {}],
    "TradeService.GetSignalResult": [dict(id=0), dict(id=-5), dict(signal_id=0), dict(id=1, signal_id=1), {}],
    "TheoryService.GetTheoryRecord": [dict(id=0), dict(id=-1), {}],
    "PatternService.GetPattern": [dict(id=0), dict(id=-1), dict(pattern_hash="abc"), dict(pattern_hash=""),
                                  dict(id=1, pattern_hash="a" * 64), {}],
    "RiskService.GetRiskSnapshot": [dict(signal_id=""), dict(signal_id=" "), dict(signal_id="x" * 65),
                                    dict(signal_id="a\nb"), {}],
    "ModelService.GetModelDeployment": [dict(id=0), dict(id=-1), dict(version=""), dict(version="v" * 51),
                                        dict(id=1, version="v"), {}],
}


@pytest.mark.parametrize("method, fields", [
    pytest.param(method, fields, id=f"{method.split('.')[1]}-{fields or 'nothing'}")
    for method, rows_ in BAD_KEYS.items() for fields in rows_])
def test_get_bad_key_invalid_argument(client, method, fields):
    reply = client.reply(method, **fields)
    assert reply.code == INVALID_ARGUMENT
    # Of several keys the first is named.
    first = min(fields or {f.name: 0 for f in book.method(method).input_type.fields if f.number == 1},
                key=lambda name: book.method(method).input_type.fields_by_name[name].number)
    assert list(book.violations(reply)) == [first]


@pytest.mark.parametrize("method, fields", [
    ("SignalService.GetSignal", dict(id=INT64_MAX)), ("TradeService.GetSignalResult", dict(signal_id=INT64_MAX)),
    ("TheoryService.GetTheoryRecord", dict(id=INT64_MAX)), ("PatternService.GetPattern", dict(pattern_hash="0" * 64)),
    ("RiskService.GetRiskSnapshot", dict(signal_id="' OR 1=1 --")), ("RiskService.GetRiskSnapshot", dict(signal_id="key-%")),
    ("ModelService.GetModelDeployment", dict(version="_%"))])
def test_get_unknown_key_not_found(client, stored, method, fields):
    assert client.reply(method, **fields).code == NOT_FOUND


@pytest.mark.parametrize("resource", [r for r in RESOURCES.values() if r.update], ids=str)
def test_update_without_key_invalid_argument(client, stored, unchanged, resource):
    record = book.record(resource.name, 1)
    record.ClearField(resource.key)
    reply = client.reply(resource.update, **{resource.name: record})
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == [f"{resource.name}.{resource.key}"]
    assert list(book.violations(client.reply(resource.update))) == [resource.name]


@pytest.mark.parametrize("resource", [r for r in RESOURCES.values() if r.update and r.name != "risk_snapshot"], ids=str)
@pytest.mark.parametrize("id", [0, -1])
def test_update_bad_key_invalid_argument(client, stored, unchanged, resource, id):
    reply = client.reply(resource.update, **{resource.name: book.record(resource.name, 1, id=id)})
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == [f"{resource.name}.id"]


LISTS = [r.list for r in RESOURCES.values()] + ["TradeService.ListSignalResults"]


@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("page_size", [-1, -1 << 31])
def test_list_page_size_negative_invalid_argument(client, method, page_size):
    reply = client.reply(method, page_size=page_size)
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == ["page_size"]


@pytest.mark.parametrize("method", LISTS)
def test_list_every_violation_at_once(client, method):
    reply = client.reply(method, page_size=-1, filter="(", order_by="nothing")
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {"page_size", "filter", "order_by"}


def token_of(client, **fields):
    """The token of a second page of signals."""
    client.ok("SignalService.BatchCreateSignals", signals=[book.signal() for _ in range(2)])
    token = client.ok("SignalService.ListSignals", page_size=1, **fields).next_page_token
    assert token
    return token


def flip_bits(token):
    """The token with one bit wrong, for each byte."""
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for position in range(len(raw)):
        wrong = bytearray(raw)
        wrong[position] ^= 1
        yield base64.urlsafe_b64encode(wrong).decode().rstrip("=")


def assert_token_refused(reply):
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == ["page_token"]


@pytest.mark.parametrize("token", ["1", "AAAA", "A" * 1000, "not base64!", "' OR 1=1", "../../etc/passwd", "é", "=" * 8])
@pytest.mark.parametrize("method", LISTS)
def test_list_page_token_invented_invalid_argument(client, method, token):
    assert_token_refused(client.reply(method, page_token=token))


def test_list_page_token_forged_invalid_argument(client):
    token = token_of(client)
    for wrong in itertools.chain(flip_bits(token), [token[:-1], token + "A", token[:4], token + token]):
        assert_token_refused(client.reply("SignalService.ListSignals", page_token=wrong))


@pytest.mark.parametrize("other", [dict(filter="id > 0"), dict(order_by="id desc"), dict(order_by="timestamp")], ids=str)
def test_list_page_token_of_another_query_invalid_argument(client, other):
    assert_token_refused(client.reply("SignalService.ListSignals", page_token=token_of(client), **other))
    assert_token_refused(client.reply("SignalService.ListSignals", page_token=token_of(client, **other)))


@pytest.mark.parametrize("method", [m for m in LISTS if m != "SignalService.ListSignals"])
def test_list_page_token_of_another_table_invalid_argument(client, method):
    assert_token_refused(client.reply(method, page_token=token_of(client)))


def test_list_page_token_of_another_database_invalid_argument(client, tmp_path):
    with serving.Server(tmp_path / "other.db") as other, book.Client(other.address) as foreign:
        assert_token_refused(client.reply("SignalService.ListSignals", page_token=token_of(foreign)))


# Filter, and the character where it goes wrong.
FILTERS = {
    "unknown field": ("tier = 'high' AND nothing = 1", 19),
    "SQL as a field": ("1=1", 1),
    "rowid": ("rowid = 1", 1),
    "text for a number": ("confidence > 'high'", 14),
    "number for text": ("symbol = 5", 10),
    "text for a boolean": ("executed = 'yes'", 12),
    "2 for a boolean": ("executed = 2", 12),
    "unknown enum value": ("direction = 'sideways'", 13),
    "fraction for an integer": ("id = 1.5", 6),
    "integer beyond 64 bits": ("id = 9223372036854775808", 6),
    "number beyond a double": ("confidence < 1e999", 14),
    "bad timestamp": ("timestamp > 'yesterday'", 13),
    "timestamp of day 30 of February": ("timestamp > '2026-02-30 00:00:00'", 13),
    "number for a timestamp": ("timestamp > 5", 13),
    "order of an enum": ("tier > 'low'", 6),
    "order of NULL": ("confidence > NULL", 12),
    "never closed": ("(tier = 'high'", 1),
    "closed too often": ("tier = 'high')", 14),
    "empty parentheses": ("()", 2),
    "unclosed text": ("symbol = 'BTC", 10),
    "no operator": ("tier 'high'", 6),
    "no value": ("tier =", 7),
    "double equals": ("tier == 'high'", 7),
    "nothing after AND": ("tier = 'high' AND", 18),
    "nothing before AND": ("AND tier = 'high'", 1),
    "AND mixed with OR": ("id = 1 AND id = 2 OR id = 3", 19),
    "no join": ("id = 1 id = 2", 8),
    "comment": ("id = 1 -- x", 8),
    "two statements": ("id = 1; DROP TABLE signals", 7),
    "function": ("lower(symbol) = 'btc'", 1),
    "wide characters before": ("symbol = 'é😀' AND nothing = 1", 19),
    "invalid character": ("id = 1 AND €", 12),
    "too deep": ("(" * 17 + "id = 1" + ")" * 17, 17),
    "too many comparisons": (" AND ".join(["id = 1"] * 65), 64 * 11 + 1),
    "too long": ("id = 1" + " " * 4091, 4097),
}


@pytest.mark.parametrize("row", FILTERS)
def test_list_bad_filter_invalid_argument(client, unchanged, row):
    text, position = FILTERS[row]
    reply = client.reply("SignalService.ListSignals", filter=text)
    assert reply.code == INVALID_ARGUMENT
    found = book.violations(reply)
    assert list(found) == ["filter"]
    assert found["filter"].startswith(f"at character {position}: "), found["filter"]


@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("text", ["nothing = 1", "id", "'"])
def test_list_bad_filter_every_table_invalid_argument(client, method, text):
    reply = client.reply(method, filter=text)
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == ["filter"]


@pytest.mark.parametrize("text", ["nothing", "symbol up", "symbol,", ",", "symbol desc desc", "symbol; DROP TABLE signals",
                                  "id,symbol,tier,confidence,session", "(SELECT 1)", "symbol symbol", "1"])
def test_list_bad_order_invalid_argument(client, unchanged, text):
    reply = client.reply("SignalService.ListSignals", order_by=text)
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {"order_by"}


@pytest.mark.parametrize("text", ["'; DROP TABLE--", "%", "_", 'a"b', "\\", "a''b", "NULL", "😀", "%s%n"])
def test_text_that_looks_like_sql_is_data(client, server, text):
    made = client.ok("SignalService.CreateSignal", signal=book.signal(symbol=text, notes=text + " notes"))
    assert (made.symbol, made.notes) == (text, text + " notes")
    quoted = "'" + text.replace("'", "''") + "'"
    found = client.ok("SignalService.ListSignals", filter=f"symbol = {quoted} AND id = {made.id}").signals
    assert list(found) == [made]
    symbols = {s.symbol for s in client.ok("SignalService.ListSignals", filter=f"symbol = {quoted}").signals}
    assert symbols == {text}
    assert book.File(server.db).query("SELECT symbol, notes FROM signals WHERE id = ?", made.id) == [
        (text, text + " notes")]


# A record of each kind with as many things wrong as it has fields, and what is
# said: all of it.
EVERYTHING_WRONG = {
    "signal": (
        dict(id=1, symbol="", direction=0, confidence=2, tier=0, lstm_prediction=math.nan,
             transformer_prediction=math.inf, rl_prediction=-math.inf, ensemble_prediction=math.nan, session=" ",
             entry_price=0, tp_price=-1, sl_price=math.nan, executed=True, execution_time=book.timestamp(0),
             execution_price=1, result=1, exit_time=book.timestamp(0), exit_price=1, pnl=1, latency_ms=-1,
             model_version="x" * 21, strategy="a\nb", timestamp=book.timestamp(0, -1)),
        {"notes"}),
    "theory_record": (
        dict(id=1, signal_id=-1, theory_name=" ", contribution_score=1.5, was_correct=True,
             created_at=book.timestamp(-1 << 62)), set()),
    "pattern": (
        dict(id=1, name="", pattern_hash="xyz", wins=1, total=1, win_rate=1, created_at=book.timestamp(1 << 62),
             updated_at=book.timestamp(0)), set()),
    "risk_snapshot": (
        dict(signal_id="", pair="x" * 21, tier=0, entry_time=book.timestamp(0, -1), entry_price=0, tp_price=-1,
             sl_price=math.inf, rr_expected=1, result=1, exit_time=book.timestamp(0), exit_price=1, r_realized=1,
             time_to_tp_sl_seconds=1, slippage_bps=math.nan, slippage_expected_bps=math.nan, spread_bps=-1,
             latency_ms=-1, mode=0, created_at=book.timestamp(0, -1)), set()),
    "model_deployment": (
        dict(id=1, version="", model_path="x" * 501, model_type="\t", deployed_at=book.timestamp(0, -1),
             metrics_json="{", rollback_reason="x", is_promoted=True, is_active=False), set()),
}


def everything_wrong(resource):
    """The bytes of the record, and the paths of the fields that are wrong in it."""
    values, right = EVERYTHING_WRONG[resource.name]
    message = message_of(resource)()
    assert set(values) | right == set(message.DESCRIPTOR.fields_by_name)
    return b"".join(book.raw_field(message, field, value) for field, value in values.items()), set(values)


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=str)
def test_create_every_violation_at_once(client, unchanged, resource):
    record, fields = everything_wrong(resource)
    reply = client.reply(resource.create, book.length_delimited(1, record))
    assert reply.code == INVALID_ARGUMENT
    found = book.violations(reply)
    assert set(found) == {f"{resource.name}.{field}" for field in fields}
    assert "more" in reply.message


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=str)
def test_batch_every_violation_of_every_item_at_once(client, unchanged, resource):
    record, fields = everything_wrong(resource)
    results = client.ok(resource.batch, book.length_delimited(1, record) * 3 + book.length_delimited(1, b"")).results
    assert len(results) == 4
    for result in results[:3]:
        assert set(book.violations(result.status)) == fields
    assert results[3].status.code == INVALID_ARGUMENT


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=str)
def test_create_nothing_given_every_required_field_named(client, unchanged, resource):
    required = {
        "signal": {"symbol", "direction", "confidence", "tier", "ensemble_prediction"},
        "theory_record": {"signal_id", "theory_name", "contribution_score"},
        "pattern": {"name", "pattern_hash"},
        "risk_snapshot": {"signal_id", "pair", "tier", "entry_time", "entry_price", "mode"},
        "model_deployment": {"version", "model_path", "model_type"},
    }[resource.name]
    reply = client.reply(resource.create, book.length_delimited(1, b""))
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {f"{resource.name}.{field}" for field in required}


def test_create_malformed_and_wrong_values_reported_together(client, unchanged):
    """Text that is not UTF-8 and an unknown enumeration number do not hide the rest."""
    message = book.signal(confidence=7, entry_price=-3)
    record = message.SerializeToString() + book.raw_field(message, "symbol", b"\xff") + book.raw_field(message, "tier", 99)
    reply = client.reply("SignalService.CreateSignal", book.length_delimited(1, record))
    assert set(book.violations(reply)) == {f"signal.{f}" for f in ("symbol", "tier", "confidence", "entry_price")}


MASKS = {
    "unknown field": ["nothing"], "other case": ["Notes"], "with the record's name": ["signal.notes"], "empty path": [""],
    "key": ["id"], "immutable": ["symbol"], "of the server": ["pnl"], "one of two": ["notes", "nothing"],
    "list": ["notes,session"], "star and unknown": ["*", "nothing"], "SQL": ["notes=1; --"],
}


@pytest.mark.parametrize("row", MASKS)
def test_update_bad_mask_invalid_argument(client, stored, unchanged, row):
    signal = book.signal(notes="changed", id=stored["signal"]["id"])
    reply = client.reply("SignalService.UpdateSignal", signal=signal, update_mask={"paths": MASKS[row]})
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {"update_mask"}


@pytest.mark.parametrize("resource, field", [
    ("signal", "confidence"), ("signal", "tier"), ("signal", "ensemble_prediction"), ("pattern", "name"),
    ("risk_snapshot", "tier"), ("model_deployment", "model_path")])
def test_update_clears_required_invalid_argument(client, stored, unchanged, resource, field):
    resource = RESOURCES[resource]
    reply = client.reply(resource.update, **{resource.name: message_of(resource)(**stored[resource.name])},
                         update_mask={"paths": [field]})
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {f"{resource.name}.{field}"}
