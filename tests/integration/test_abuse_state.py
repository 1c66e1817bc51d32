"""What requests get that the present state forbids, and what retries get: the
first answer, and never a second effect."""

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
