"""A request id has the effect of one request: while the first is running, after its
connection is gone, late, after a restart, for each client by itself, and for as
long as answers are kept. (The plain cases are in test_abuse_state.py.)"""

import sqlite3
import time
import uuid

import book
import pytest
import serving
import trades
from book import DEADLINE_EXCEEDED, FAILED_PRECONDITION, NOT_FOUND, OK, rpc_pb2

DAY_US = 86_400_000_000
CREATE = "SignalService.CreateSignal"


def create(client=None, request_id=None, **given):
    """A Request for a new signal, under the name of a client."""
    message = book.request_of(CREATE, signal=book.signal(**given))
    metadata = [("client-id", client.encode())] if client else ()
    return book.envelope(CREATE, message, request_id, metadata=metadata)


def send(connection, request):
    connection.send(request.SerializeToString())


def answer(connection):
    return rpc_pb2.Reply.FromString(connection.receive()[1])


def call(client, request):
    return client.call_raw(request.SerializeToString())


def everything(file):
    tables = book.TABLES + ["tb_requests", "tb_trades", "tb_events", "tb_cursors", "tb_model_tenures"]
    return {table: file.query(f"SELECT * FROM {table} ORDER BY 1") for table in tables}


# Writes of every kind that would do more, or be refused, if they were executed
# again. What they refer to is made by prepared().
HASH = "ab" * 32
WRITES = [
    (CREATE, {"signal": book.signal()}),
    ("SignalService.BatchCreateSignals", {"signals": [book.signal(), book.signal(confidence=7.0)]}),
    ("SignalService.UpdateSignal", {"signal": {"id": 1, "notes": "changed"}}),
    ("TheoryService.CreateTheoryRecord", {"theory_record": book.theory_record(1)}),
    ("TheoryService.GradeTheories", {"signal_id": 1, "was_correct": True}),
    ("TradeService.OpenTrade", {"signal_id": 1, "entry_price": 100.0}),
    ("TradeService.CloseTrade", {"signal_id": 2, "exit_price": 110.0, "exit_reason": "tp_hit",
                                 "pattern_hashes": [HASH]}),
    ("TradeService.BatchCloseTrades", {"trades": [{"signal_id": n, "exit_price": 110.0, "exit_reason": "tp_hit"}
                                                  for n in (1, 2)]}),
    ("TradeService.RecordTrade", {
        "open": {"signal_id": 1, "entry_price": 100.0, "entry_time": book.timestamp(1000)},
        "close": {"exit_price": 90.0, "exit_time": book.timestamp(2000), "exit_reason": "sl_hit"}}),
    ("PatternService.CreatePattern", {"pattern": book.pattern(pattern_hash="cd" * 32)}),
    ("PatternService.RecordPatternOutcome", {"pattern_hash": HASH, "won": True}),
    ("RiskService.CreateRiskSnapshot", {"risk_snapshot": book.risk_snapshot()}),
    ("ModelService.CreateModelDeployment", {"model_deployment": book.model_deployment(version="c")}),
    ("ModelService.PromoteModel", {"version": "b"}),
    ("ModelService.RollbackModel", {"version": "a", "reason": "worse"}),
    ("ModelService.RetireModel", {"version": "b"}),
    ("EventService.CommitCursor", {"name": "new", "sequence": 0}),
    ("EventService.SetCursor", {"name": "new", "sequence": 0}),
    ("EventService.DeleteCursor", {"name": "old"}),
]


@pytest.fixture
def prepared(client):
    """Signal 1 has no trade, that of signal 2 is open; model "a" is in production."""
    for _ in range(2):
        client.ok(CREATE, signal=book.signal())
    client.ok("TradeService.OpenTrade", signal_id=2, entry_price=100.0)
    client.ok("TheoryService.CreateTheoryRecord", theory_record=book.theory_record(1))
    client.ok("PatternService.CreatePattern", pattern=book.pattern(pattern_hash=HASH))
    for version in "ab":
        client.ok("ModelService.CreateModelDeployment", model_deployment=book.model_deployment(version=version))
    client.ok("ModelService.PromoteModel", version="a")
    client.ok("EventService.CommitCursor", name="old", sequence=0)


def test_writes_are_all_here():
    """Every method that writes is among those that are sent twice; batches of one
    kind stand for the others, and updates."""
    alike = ("BatchCreate", "Update")
    writes = {full.split(".")[-1].replace("/", ".") for full in (book.full_name(name) for name, _ in WRITES)}
    services = {name for name in dir(book) if name.endswith("_pb2")}
    methods = {f"{service.name}.{method.name}" for module in services - {"rpc_pb2", "health_pb2", "types_pb2"}
               for service in getattr(book, module).DESCRIPTOR.services_by_name.values() for method in service.methods
               if method.GetOptions().idempotency_level != method.GetOptions().NO_SIDE_EFFECTS}
    assert {name for name in methods - writes if not name.split(".")[1].startswith(alike)} == set()


@pytest.mark.parametrize("name, fields", WRITES, ids=[name for name, _ in WRITES])
def test_sent_twice_at_once_is_one(server, file, prepared, name, fields):
    """On two connections, while the writer waits for another program."""
    request = book.envelope(name, book.request_of(name, **fields))
    with book.Client(server.address) as one, book.Client(server.addresses["ipc"]) as two:
        with file.locked() as unlock:
            for connection in (one, two):
                send(connection, request)
            unlock()
            first, second = answer(one), answer(two)
        assert first.code == OK, first.message
        assert second == first
        after = everything(file)
        assert [row for row in after["tb_requests"] if request.request_id in row]
        assert call(two, request) == first
        assert everything(file) == after
    if name == "PatternService.RecordPatternOutcome":
        assert file.query("SELECT wins, total FROM patterns") == [(1, 1)]


def test_sent_many_times_at_once_is_one(server, file):
    request = create()
    connections = [book.Client(server.address) for _ in range(40)]
    try:
        with file.locked() as unlock:
            for connection in connections:
                send(connection, request)
            unlock()
            answers = {connection.receive()[1] for connection in connections}
    finally:
        for connection in connections:
            connection.close()
    assert [rpc_pb2.Reply.FromString(reply).code for reply in answers] == [OK]
    assert file.counts()["signals"] == 1


def test_retry_while_the_first_runs_and_its_connection_is_gone(server, file):
    request = create()
    with book.Client(server.address) as other, file.locked() as unlock:
        with book.Client(server.address) as lost:
            send(lost, request)
            assert lost.reply("AdminService.Echo", payload=b"").code == OK  # so the request has arrived
        send(other, request)
        unlock()
        first = answer(other)
        assert first.code == OK
        assert call(other, request) == first
    assert file.counts()["signals"] == 1


def test_refused_at_once_and_then_possible(client, server, file):
    """Neither of two refusals is kept; the third finds the signal."""
    request = book.envelope("TheoryService.CreateTheoryRecord", book.request_of(
        "TheoryService.CreateTheoryRecord", theory_record=book.theory_record(1)))
    with book.Client(server.address) as one, book.Client(server.address) as two:
        with file.locked() as unlock:
            for connection in (one, two):
                send(connection, request)
            unlock()
            assert [answer(one).code, answer(two).code] == [NOT_FOUND, NOT_FOUND]
        assert file.counts()["tb_requests"] == 0
        client.ok(CREATE, signal=book.signal())
        first = call(one, request)
        assert first.code == OK
        assert call(two, request) == first


def test_late_retry_gets_the_first_answer(server, file):
    """The time of the retry ends while the first one runs: it is told what happened,
    not that nothing did."""
    request = create(notes="once")
    late = rpc_pb2.Request(timeout_ms=1)
    late.MergeFrom(request)
    never = create(notes="never")
    never.timeout_ms = 1
    with book.Client(server.address) as one, book.Client(server.address) as two, file.locked() as unlock:
        send(one, request)
        assert one.reply("AdminService.Echo", payload=b"").code == OK
        send(two, late)
        send(two, never)
        end = time.monotonic() + 0.05  # the millisecond passes
        while time.monotonic() < end:
            assert two.reply("AdminService.Echo", payload=b"").code == OK  # so both have arrived
        unlock()
        first = answer(one)
        assert first.code == OK
        replies = [answer(two), answer(two)]
    assert replies[0] == first
    assert replies[1].code == DEADLINE_EXCEEDED
    assert file.query("SELECT notes FROM signals") == [("once",)]


def test_retry_with_other_timeout_and_metadata_is_the_same_request(client, file):
    request = create("bot")
    first = call(client, request)
    request.timeout_ms = 5000
    request.metadata.add(key="trace-id", value=b"2")
    assert call(client, request) == first
    assert file.counts()["signals"] == 1


NAMES = [None, "bot", "Bot", "bot ", "bot-1", "böt", "' OR 1=1 --", "b" * 128]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_clients_are_told_apart_also_after_a_restart(server, file, end):
    id = uuid.uuid4().bytes
    requests = [create(name, id, notes=str(name)) for name in NAMES]
    with book.Client(server.address) as client:
        replies = [call(client, request) for request in requests]
    assert [reply.code for reply in replies] == [OK] * len(NAMES)
    assert len({reply.payload for reply in replies}) == len(NAMES)
    getattr(server, end)()
    server.restart()
    with book.Client(server.address) as client:
        assert [call(client, request) for request in requests] == replies
        assert call(client, create("bot", id, notes="another")).code == FAILED_PRECONDITION
        assert call(client, create("bot-2", id)).code == OK
    assert file.counts()["signals"] == len(NAMES) + 1


def age(server, request, us):
    """Makes the answer to a request so old, as if the clock had gone on."""
    with trades.connection(server.db) as db:
        rows = db.execute("UPDATE tb_requests SET created_us = created_us - ? WHERE request_id = ?",
                          (us, sqlite3.Binary(request.request_id))).rowcount
    assert rows == 1


def is_kept(file, request):
    return file.query("SELECT count(*) FROM tb_requests WHERE request_id = ?", request.request_id) == [(1,)]


def write_until_forgotten(client, file, request):
    """Answers are forgotten as part of other writes."""
    while is_kept(file, request):
        client.ok(CREATE, signal=book.signal())


def test_answers_are_kept_for_a_day_and_then_forgotten(server, client, file):
    old, young = create(notes="old"), create(notes="young")
    replies = [call(client, request) for request in (young, old)]
    age(server, young, DAY_US - 300_000_000)
    age(server, old, DAY_US + 1)
    write_until_forgotten(client, file, old)
    assert call(client, young) == replies[0]
    assert file.query("SELECT count(*) FROM signals WHERE notes = 'young'") == [(1,)]
    # What is forgotten is new, as another request would be too.
    again = call(client, old)
    assert again.code == OK and again != replies[1]
    assert call(client, old) == again


def test_retention_is_as_configured_also_for_answers_of_before(tmp_path):
    with serving.Server(tmp_path / "book.db", "--request-retention", 3600) as server:
        file = book.File(server.db)
        requests = [create(notes=str(number)) for number in range(3)]
        with book.Client(server.address) as client:
            replies = [call(client, request) for request in requests]
            age(server, requests[0], 3_700_000_000)
            age(server, requests[1], 3_000_000_000)
            write_until_forgotten(client, file, requests[0])
            assert is_kept(file, requests[1]) and is_kept(file, requests[2])
        assert server.stop() == 0
        server.options = ["--request-retention", "600"]
        server.restart()
        with book.Client(server.address) as client:
            write_until_forgotten(client, file, requests[1])
            assert call(client, requests[2]) == replies[2]


def test_an_answer_from_the_future_does_not_keep_the_others(server, client, file):
    """Made while the clock was wrong; it counts as made now."""
    future, old = create(), create()
    for request in (future, old):
        assert call(client, request).code == OK
    age(server, future, -365 * DAY_US)
    age(server, old, 2 * DAY_US)
    write_until_forgotten(client, file, old)
    assert is_kept(file, future)
    ((created_us,),) = file.query("SELECT created_us FROM tb_requests WHERE request_id = ?", future.request_id)
    assert created_us <= time.time() * 1e6


def plant(server, rows, created_us):
    """Answers to so many requests of somebody else."""
    with trades.connection(server.db) as db:
        db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                   "INSERT INTO tb_requests (client, request_id, fingerprint, created_us, response) "
                   "SELECT 'other', randomblob(16), 0, ?, x'' FROM n", (rows, int(created_us)))


def test_forgetting_keeps_up_with_any_load(server, client, file):
    """However many are old, each batch forgets more than it adds."""
    plant(server, 10_000, time.time() * 1e6 - 2 * DAY_US)
    for _ in range(20):
        client.ok(CREATE, signal=book.signal())
    assert file.query("SELECT count(*) FROM tb_requests WHERE client = 'other'") == [(0,)]
