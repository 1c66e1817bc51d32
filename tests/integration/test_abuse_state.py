"""What requests get that the present state forbids, and what retries get: the
first answer, and never a second effect."""

import sqlite3
import uuid

import book
import pytest
from book import ALREADY_EXISTS, FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, OK, RESOURCES, rpc_pb2

ID_MAX = (1 << 63) - 1


# Fields that no two records of a kind share.
UNIQUE = {"pattern": ("pattern_hash", "ab" * 32), "risk_snapshot": ("signal_id", "17"),
          "model_deployment": ("version", "lstm-1.0")}


@pytest.mark.parametrize("name", UNIQUE)
def test_create_duplicate_already_exists(client, file, name):
    resource, (field, value) = RESOURCES[name], UNIQUE[name]
    first = client.ok(resource.create, **{name: book.record(name, 1, **{field: value})})
    before = file.rows(resource.table)
    reply = client.reply(resource.create, **{name: book.record(name, 1, **{field: value})})
    assert reply.code == ALREADY_EXISTS
    assert field in reply.message
    assert file.rows(resource.table) == before
    assert client.ok(resource.get, **{field: value}) == first


@pytest.mark.parametrize("name", UNIQUE)
def test_batch_duplicate_refused_alone(client, file, name):
    """Duplicates of what is stored and of each other; the others are recorded."""
    resource, (field, value) = RESOURCES[name], UNIQUE[name]
    client.ok(resource.create, **{name: book.record(name, 1, **{field: value})})
    twin = book.record(name, 1)
    items = [book.record(name, 1), book.record(name, 1, **{field: value}), twin, twin, book.record(name, 1)]
    results = client.ok(resource.batch, **{resource.plural: items}).results
    assert [result.status.code for result in results] == [OK, ALREADY_EXISTS, OK, ALREADY_EXISTS, OK]
    assert file.counts()[resource.table] == 4


def test_create_duplicate_hash_in_other_case_already_exists(client):
    client.ok("PatternService.CreatePattern", pattern=book.pattern(pattern_hash="ab" * 32))
    reply = client.reply("PatternService.CreatePattern", pattern=book.pattern(pattern_hash="AB" * 32))
    assert reply.code == ALREADY_EXISTS


def test_theory_of_missing_signal_not_found(client, file, signal):
    before = file.counts()
    for missing in (signal.id + 1, ID_MAX):
        reply = client.reply("TheoryService.CreateTheoryRecord", theory_record=book.theory_record(missing))
        assert reply.code == NOT_FOUND
        assert str(missing) in reply.message
    assert file.counts() == before


def test_batch_theory_of_missing_signal_refused_alone(client, file, signal):
    items = [book.theory_record(signal.id), book.theory_record(signal.id + 1), book.theory_record(signal.id)]
    results = client.ok("TheoryService.BatchCreateTheoryRecords", theory_records=items).results
    assert [result.status.code for result in results] == [OK, NOT_FOUND, OK]
    assert file.counts()["theory_performance"] == 2


@pytest.mark.parametrize("method, fields", [
    ("SignalService.UpdateSignal", {"signal": {"id": 99, "notes": "x"}}),
    ("PatternService.UpdatePattern", {"pattern": {"id": 99, "name": "x"}}),
    ("RiskService.UpdateRiskSnapshot", {"risk_snapshot": {"signal_id": "99", "exit_price": 1}}),
    ("ModelService.UpdateModelDeployment", {"model_deployment": {"id": 99, "model_path": "x"}}),
    ("SignalService.GetSignal", {"id": 99}),
    ("TradeService.GetSignalResult", {"id": 99}),
    ("TradeService.GetSignalResult", {"signal_id": 1}),
    ("TheoryService.GetTheoryRecord", {"id": 99}),
    ("PatternService.GetPattern", {"id": 99}),
    ("RiskService.GetRiskSnapshot", {"signal_id": "99"}),
    ("ModelService.GetModelDeployment", {"version": "99"}),
], ids=lambda value: value if isinstance(value, str) else "-".join(value))
def test_missing_record_not_found(client, file, method, fields):
    before = file.counts()
    reply = client.reply(method, **fields)
    assert reply.code == NOT_FOUND
    assert reply.message
    assert file.counts() == before


def create_signal(**given):
    return book.request_of("SignalService.CreateSignal", signal=book.signal(**given))


def test_retry_replays_first_answer(client, file):
    id = uuid.uuid4().bytes
    message = create_signal(notes="once")
    first = client.reply("SignalService.CreateSignal", message, request_id=id)
    before = file.counts()
    for _ in range(3):
        assert client.reply("SignalService.CreateSignal", message, request_id=id) == first
    assert first.code == OK
    assert file.counts() == before


def test_retry_over_another_connection_replays_first_answer(client, server, file):
    id = uuid.uuid4().bytes
    message = create_signal()
    first = client.reply("SignalService.CreateSignal", message, request_id=id)
    with book.Client(server.addresses["ipc"]) as other:
        assert other.reply("SignalService.CreateSignal", message, request_id=id) == first
    assert file.counts()["signals"] == 1


def test_retry_of_update_replays_first_answer(client, signal):
    """Also when the record has changed since; the first effect is not repeated."""
    id = uuid.uuid4().bytes
    message = book.request_of("SignalService.UpdateSignal", signal={"id": signal.id, "notes": "first"})
    first = client.reply("SignalService.UpdateSignal", message, request_id=id)
    client.ok("SignalService.UpdateSignal", signal={"id": signal.id, "notes": "second"})
    assert client.reply("SignalService.UpdateSignal", message, request_id=id) == first
    assert client.ok("SignalService.GetSignal", id=signal.id).notes == "second"


def test_retry_of_batch_replays_every_result(client, file):
    id = uuid.uuid4().bytes
    pattern = book.pattern()
    message = book.request_of("PatternService.BatchCreatePatterns",
                              patterns=[pattern, pattern, book.pattern(name=""), book.pattern()])
    first = client.reply("PatternService.BatchCreatePatterns", message, request_id=id)
    results = book.response_of("PatternService.BatchCreatePatterns", first).results
    assert [r.status.code for r in results] == [OK, ALREADY_EXISTS, INVALID_ARGUMENT, OK]
    assert client.reply("PatternService.BatchCreatePatterns", message, request_id=id) == first
    assert file.counts()["patterns"] == 2


def test_request_id_with_another_body_failed_precondition(client, file):
    id = uuid.uuid4().bytes
    first = client.reply("SignalService.CreateSignal", create_signal(notes="first"), request_id=id)
    before = file.counts()
    reply = client.reply("SignalService.CreateSignal", create_signal(notes="other"), request_id=id)
    assert reply.code == FAILED_PRECONDITION
    assert "request id" in reply.message
    assert file.counts() == before
    # What was first keeps its answer.
    assert client.reply("SignalService.CreateSignal", create_signal(notes="first"), request_id=id) == first


def test_request_id_with_another_method_failed_precondition(client, file):
    """The same bytes are a valid request of both methods."""
    id = uuid.uuid4().bytes
    message = create_signal().SerializeToString()
    client.ok("SignalService.CreateSignal", message, request_id=id)
    reply = client.reply("SignalService.BatchCreateSignals", message, request_id=id)
    assert reply.code == FAILED_PRECONDITION
    assert file.counts()["signals"] == 1


def test_request_id_while_the_first_is_running_one_answer(server, file):
    """Both wait for the writer, which waits for another program; the effect is one."""
    request = book.envelope("SignalService.CreateSignal", create_signal()).SerializeToString()
    with book.Client(server.address) as one, book.Client(server.addresses["ipc"]) as two, file.locked() as unlock:
        for client in (one, two):
            client.send(request)
            client.send(request)
        unlock()
        replies = [client.receive()[1] for client in (one, two, one, two)]
    assert rpc_pb2.Reply.FromString(replies[0]).code == OK
    assert len(set(replies)) == 1
    assert file.counts()["signals"] == 1


def test_request_id_with_another_body_while_the_first_is_running_failed_precondition(server, file):
    id = uuid.uuid4().bytes
    requests = [book.envelope("SignalService.CreateSignal", create_signal(notes=notes), id).SerializeToString()
                for notes in ("one", "two")]
    with book.Client(server.address) as client, file.locked() as unlock:
        for request in requests:
            client.send(request)
        unlock()
        codes = {rpc_pb2.Reply.FromString(client.receive()[1]).code for _ in requests}
    assert codes == {OK, FAILED_PRECONDITION}
    assert file.counts()["signals"] == 1


def test_request_id_of_another_client_independent(server, file):
    id = uuid.uuid4().bytes
    replies = []
    for metadata in ((), [("client-id", b"bot-1")], [("client-id", b"bot-2")], [("client-id", "bot-é".encode())]):
        with book.Client(server.address, metadata) as client:
            message = create_signal(notes=str(metadata))
            replies.append(client.reply("SignalService.CreateSignal", message, request_id=id))
            # Its own retry is one.
            assert client.reply("SignalService.CreateSignal", message, request_id=id) == replies[-1]
    ids = {book.response_of("SignalService.CreateSignal", reply).id for reply in replies}
    assert len(ids) == len(replies)
    assert file.counts()["signals"] == len(replies)


def test_error_is_not_kept_under_request_id(client, file, signal):
    """A refused request had no effect: its id may be used again, put right or when
    the state has changed."""
    wrong_id, early_id = uuid.uuid4().bytes, uuid.uuid4().bytes
    early = book.request_of("TheoryService.CreateTheoryRecord", theory_record=book.theory_record(signal.id + 1))
    assert client.reply("SignalService.CreateSignal", create_signal(confidence=7), request_id=wrong_id).code == (
        INVALID_ARGUMENT)
    assert client.reply("TheoryService.CreateTheoryRecord", early, request_id=early_id).code == NOT_FOUND
    assert file.query("SELECT count(*) FROM tb_requests WHERE request_id IN (?, ?)", wrong_id, early_id) == [(0,)]
    assert client.ok("SignalService.CreateSignal", create_signal(), request_id=wrong_id).id == signal.id + 1
    client.ok("TheoryService.CreateTheoryRecord", early, request_id=early_id)


def test_read_with_request_id_is_not_kept(client, file, signal):
    id = uuid.uuid4().bytes
    before = file.counts()
    client.ok("SignalService.GetSignal", id=signal.id, request_id=id)
    assert file.counts() == before
    client.ok("SignalService.CreateSignal", create_signal(), request_id=id)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_replay_after_restart(server, end):
    """The answer survives the process, however it ended, byte by byte."""
    file = book.File(server.db)
    messages = {
        "SignalService.CreateSignal": create_signal(notes="x" * 5000),
        "PatternService.CreatePattern": book.request_of("PatternService.CreatePattern", pattern=book.pattern()),
        "ModelService.BatchCreateModelDeployments": book.request_of(
            "ModelService.BatchCreateModelDeployments", model_deployments=[book.model_deployment(), {"version": " "}]),
    }
    requests = [book.envelope(name, message).SerializeToString() for name, message in messages.items()]
    with book.Client(server.address) as client:
        replies = [client.call_raw(request) for request in requests]
    assert [reply.code for reply in replies] == [OK] * len(requests)
    before = file.counts()
    ended = getattr(server, end)()
    assert ended == (0 if end == "stop" else -9)
    server.restart()
    with book.Client(server.address) as client:
        assert [client.call_raw(request) for request in requests] == replies
        other = book.envelope("SignalService.CreateSignal", create_signal(notes="other"))
        other.request_id = rpc_pb2.Request.FromString(requests[0]).request_id
        assert client.call_raw(other.SerializeToString()).code == FAILED_PRECONDITION
    assert file.counts() == before


# Trades: opened once and closed once.

def unchanged(file):
    """Everything that a refused request about a trade could have touched."""
    return file.counts(), [file.rows(table) for table in book.TABLES + ["tb_trades", "tb_events", "tb_changes"]]


def open_request(signal, **given):
    return book.request_of("TradeService.OpenTrade",
                           **{"signal_id": signal.id, "entry_price": 100.0, "entry_time": book.timestamp(1000), **given})


def close_request(signal, **given):
    return book.request_of("TradeService.CloseTrade",
                           **{"signal_id": signal.id, "exit_price": 110.0, "exit_reason": "tp_hit", **given})


def stored_result(reply):
    """The SignalResult in the details of a refused close."""
    (detail,) = reply.details
    assert detail.type_url == "type.googleapis.com/tradebook.v1.SignalResult"
    return book.trade_pb2.SignalResult.FromString(detail.value)


@pytest.fixture
def held(client):
    return client.ok("SignalService.CreateSignal", signal=book.signal(direction=book.types_pb2.DIRECTION_HOLD))


@pytest.fixture
def opened(client, signal):
    client.ok("TradeService.OpenTrade", open_request(signal))
    return signal


def refused(client, file, method, message, code, *words):
    before = unchanged(file)
    reply = client.reply(method, message)
    assert reply.code == code
    for word in words:
        assert word in reply.message
    assert unchanged(file) == before
    return reply


@pytest.mark.parametrize("missing", [2, ID_MAX])
def test_trade_of_missing_signal_not_found(client, file, signal, missing):
    for method, message in [("TradeService.OpenTrade", open_request(signal, signal_id=missing)),
                            ("TradeService.CloseTrade", close_request(signal, signal_id=missing))]:
        refused(client, file, method, message, NOT_FOUND, str(missing))


def test_open_twice_already_exists(client, file, opened):
    refused(client, file, "TradeService.OpenTrade", open_request(opened), ALREADY_EXISTS, "open")
    client.ok("TradeService.CloseTrade", close_request(opened))
    refused(client, file, "TradeService.OpenTrade", open_request(opened), ALREADY_EXISTS, "closed", "win")


def test_record_traded_already_exists(client, file, opened):
    message = book.request_of("TradeService.RecordTrade", open=open_request(opened),
                              close=close_request(opened, exit_time=book.timestamp(2000)))
    refused(client, file, "TradeService.RecordTrade", message, ALREADY_EXISTS, "open")


def test_open_retried_replays_first_answer(client, file, signal):
    id = uuid.uuid4().bytes
    first = client.reply("TradeService.OpenTrade", open_request(signal), request_id=id)
    before = unchanged(file)
    assert first.code == OK
    assert client.reply("TradeService.OpenTrade", open_request(signal), request_id=id) == first
    assert unchanged(file) == before


def test_open_a_hold_failed_precondition(client, file, held):
    refused(client, file, "TradeService.OpenTrade", open_request(held), FAILED_PRECONDITION, "hold")


def test_close_a_hold_failed_precondition(client, file, held):
    refused(client, file, "TradeService.CloseTrade", close_request(held), FAILED_PRECONDITION, "hold")


def test_open_without_any_price_failed_precondition(client, file, signal):
    message = book.request_of("TradeService.OpenTrade", signal_id=signal.id)
    refused(client, file, "TradeService.OpenTrade", message, FAILED_PRECONDITION, "entry_price")


def test_close_unopened_failed_precondition(client, file, signal):
    reply = refused(client, file, "TradeService.CloseTrade", close_request(signal), FAILED_PRECONDITION, "not opened")
    assert not reply.details


def test_close_twice_failed_precondition_with_the_result(client, file, opened):
    closed = client.ok("TradeService.CloseTrade", close_request(opened))
    reply = refused(client, file, "TradeService.CloseTrade", close_request(opened, exit_price=50.0),
                    FAILED_PRECONDITION, "closed", "win")
    assert stored_result(reply) == closed


def test_close_retried_replays_first_answer(client, file, opened):
    id = uuid.uuid4().bytes
    first = client.reply("TradeService.CloseTrade", close_request(opened), request_id=id)
    before = unchanged(file)
    assert first.code == OK
    for _ in range(2):
        assert client.reply("TradeService.CloseTrade", close_request(opened), request_id=id) == first
    assert unchanged(file) == before


def test_close_refused_may_be_retried_by_the_same_id(client, signal):
    """A refusal is not kept: when the trade is open by then, it is closed."""
    id = uuid.uuid4().bytes
    assert client.reply("TradeService.CloseTrade", close_request(signal), request_id=id).code == FAILED_PRECONDITION
    client.ok("TradeService.OpenTrade", open_request(signal))
    client.ok("TradeService.CloseTrade", close_request(signal), request_id=id)


def test_two_closes_at_once_one_is_refused(server, file, opened):
    """Both wait for the writer, which waits for another program."""
    requests = [book.envelope("TradeService.CloseTrade", close_request(opened, exit_price=price)).SerializeToString()
                for price in (110.0, 90.0)]
    with book.Client(server.address) as one, book.Client(server.addresses["ipc"]) as two, file.locked() as unlock:
        for client, request in zip((one, two), requests):
            client.send(request)
        unlock()
        replies = [rpc_pb2.Reply.FromString(client.receive()[1]) for client in (one, two)]
    assert sorted(reply.code for reply in replies) == [OK, FAILED_PRECONDITION]
    winner, loser = sorted(replies, key=lambda reply: reply.code)
    assert stored_result(loser) == book.response_of("TradeService.CloseTrade", winner)
    assert file.query("SELECT count(*) FROM tb_events") == [(1,)]


def test_two_opens_at_once_one_is_refused(server, file, signal):
    requests = [book.envelope("TradeService.OpenTrade", open_request(signal, quantity=quantity)).SerializeToString()
                for quantity in (1.0, 2.0)]
    with book.Client(server.address) as one, book.Client(server.addresses["ipc"]) as two, file.locked() as unlock:
        for client, request in zip((one, two), requests):
            client.send(request)
        unlock()
        codes = [rpc_pb2.Reply.FromString(client.receive()[1]).code for client in (one, two)]
    assert sorted(codes) == [OK, ALREADY_EXISTS]
    assert file.counts()["signal_results"] == 1
    assert file.query("SELECT quantity FROM tb_trades") == [(1.0 if codes[0] == OK else 2.0,)]


def test_close_before_entry_invalid_argument(client, file, opened):
    reply = refused(client, file, "TradeService.CloseTrade", close_request(opened, exit_time=book.timestamp(999)),
                    INVALID_ARGUMENT)
    assert set(book.violations(reply)) == {"exit_time"}
    # At the same moment it may end.
    client.ok("TradeService.CloseTrade", close_request(opened, exit_time=book.timestamp(1000)))


def test_close_with_unknown_pattern_not_found(client, file, opened):
    known = client.ok("PatternService.CreatePattern", pattern=book.pattern()).pattern_hash
    refused(client, file, "TradeService.CloseTrade", close_request(opened, pattern_hashes=[known, "ab" * 32]),
            NOT_FOUND, "ab" * 32)
    client.ok("TradeService.CloseTrade", close_request(opened, pattern_hashes=[known]))


def test_close_survives_kill_and_is_replayed(server, opened):
    file = book.File(server.db)
    request = book.envelope("TradeService.CloseTrade", close_request(opened)).SerializeToString()
    with book.Client(server.address) as client:
        first = client.call_raw(request)
    assert first.code == OK
    before = unchanged(file)
    server.kill()
    server.restart()
    with book.Client(server.address) as client:
        assert client.call_raw(request) == first
    assert unchanged(file) == before


def test_id_given_again_starts_with_terms_of_its_own(client, server, signal):
    """Another program deletes a trade and opens one on the same signal."""
    client.ok("TradeService.OpenTrade", open_request(signal, quantity=3.0, fees_usd=1.0))
    connection = sqlite3.connect(server.db)
    with connection:
        connection.execute("DELETE FROM signal_results")
        connection.execute("INSERT INTO signal_results (signal_id, entry_price, entry_timestamp) "
                           "VALUES (?, 100, '2020-01-01 00:00:00')", (signal.id,))
    connection.close()
    assert client.ok("TradeService.CloseTrade", close_request(signal)).pnl_usd == 10


@pytest.mark.parametrize("change, word", [
    ("UPDATE signal_results SET outcome = 'pending'", "outcome"),
    ("UPDATE signal_results SET entry_price = 0", "entry price"),
    ("UPDATE signal_results SET entry_timestamp = 'yesterday'", "entry price or time"),
    ("UPDATE signals SET direction = 'up'", "direction"),
])
def test_close_of_damaged_record_failed_precondition(client, server, file, opened, change, word):
    connection = sqlite3.connect(server.db)
    with connection:
        connection.execute(change)
    connection.close()
    refused(client, file, "TradeService.CloseTrade", close_request(opened), FAILED_PRECONDITION, word)
