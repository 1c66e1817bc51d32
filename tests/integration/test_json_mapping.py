"""tradebook call and Google's own json_format agree, for every method.

A stand-in server records what the program sends and answers random messages,
so that both directions are seen on the wire.
"""

import importlib
import json
import os
import pathlib
import random
import subprocess

import pytest
from google.protobuf import json_format, symbol_database, timestamp_pb2

import sp
from fake_server import FakeServer
from random_messages import fill

BIN = os.environ["TRADEBOOK_BIN"]
# Builds with sanitizers, in which every start of the program is slow, ask for less.
ROUNDS = max(1, round(4 * float(os.environ.get("TRADEBOOK_SCALE", "1"))))


def load_methods():
    """All methods of the protocol files: name, request class, response class."""
    rpc = sp.messages()
    root = pathlib.Path(os.environ["TRADEBOOK_PY"])
    database = symbol_database.Default()
    found = {}
    for path in sorted(root.rglob("*_pb2.py")):
        module = importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                found[f"{service.full_name}/{method.name}"] = (
                    database.GetPrototype(method.input_type),
                    database.GetPrototype(method.output_type),
                )
    return rpc, found


RPC, METHODS = load_methods()


def any_types():
    from tradebook.v1 import signal_pb2

    return [signal_pb2.Signal, timestamp_pb2.Timestamp]


def call(method, text, answer, *options):
    """Runs tradebook call against a stand-in; returns the process and the requests."""
    with FakeServer(answer) as server:
        done = subprocess.run(
            [BIN, "call", "--address", server.address, *options, method, "-"],
            input=text.encode(), capture_output=True, timeout=60, check=False)
    return done, server.requests


@pytest.mark.parametrize("method", sorted(METHODS))
def test_json_mapping_of_method_agrees_with_json_format(method):
    request_class, response_class = METHODS[method]
    for seed in range(ROUNDS):
        rng = random.Random(f"{method} {seed}")
        request = fill(rng, request_class(), any_types())
        response = fill(rng, response_class(), any_types())
        text = json_format.MessageToJson(request, preserving_proto_field_name=seed % 2 == 1)
        options = ["--compact"] if seed % 2 == 1 else []
        done, requests = call(method, text, lambda _: RPC.Reply(payload=response.SerializeToString()), *options)
        assert done.returncode == 0, done.stderr.decode() + text
        assert [sent.method for sent in requests] == ["/" + method]
        assert request_class.FromString(requests[0].payload) == request, text
        assert json.loads(done.stdout) == json_format.MessageToDict(response)
        again = json_format.Parse(done.stdout.decode(), response_class())
        assert again == response
        assert done.stdout.count(b"\n") == 1 or not options


def test_json_mapping_of_method_list_is_complete():
    done = subprocess.run([BIN, "call"], capture_output=True, timeout=60, check=True)
    assert done.stdout.decode().split() == sorted(METHODS)


def test_json_mapping_of_present_zeros_keeps_them():
    from tradebook.v1 import pattern_pb2

    response = pattern_pb2.Pattern(id=0, name="", wins=0, win_rate=0.0)
    done, _ = call("PatternService/GetPattern", "{}", lambda _: RPC.Reply(payload=response.SerializeToString()))
    assert json.loads(done.stdout) == {"id": "0", "name": "", "wins": "0", "winRate": 0}


def test_json_mapping_of_bad_request_in_any_shows_fields():
    from tradebook.v1 import signal_pb2

    bad = RPC.BadRequest(field_violations=[RPC.FieldViolation(field="symbol", description="is missing")])
    response = signal_pb2.BatchCreateSignalsResponse()
    status = response.results.add().status
    status.code = RPC.CODE_INVALID_ARGUMENT
    detail = status.details.add(type_url="type.googleapis.com/google.rpc.BadRequest")
    detail.value = bad.SerializeToString()
    done, _ = call("SignalService/BatchCreateSignals", "{}",
                   lambda _: RPC.Reply(payload=response.SerializeToString()))
    assert json.loads(done.stdout) == {"results": [{"status": {"code": "CODE_INVALID_ARGUMENT", "details": [{
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "symbol", "description": "is missing"}]}]}}]}


def test_json_mapping_of_special_doubles_reaches_the_server():
    from tradebook.v1 import signal_pb2

    text = '{"signal": {"confidence": "NaN", "entryPrice": "Infinity", "tp_price": "-Infinity", "pnl": "1.5"}}'
    _, requests = call("SignalService/CreateSignal", text, lambda _: RPC.Reply())
    signal = signal_pb2.CreateSignalRequest.FromString(requests[0].payload).signal
    assert signal.confidence != signal.confidence
    assert (signal.entry_price, signal.tp_price, signal.pnl) == (float("inf"), float("-inf"), 1.5)


def test_json_mapping_of_wrong_request_sends_nothing():
    for text, reason in [
        ('{"signal": {"confidence": "high"}}', 'signal.confidence: expected a number, found a string ("high")'),
        ('{"signal": {"symbl": "A"}}', "signal.symbl: Signal has no such field"),
        ('{"signal": {"tier": "high"}}', 'signal.tier: there is no value "high"; expected one of '),
        ('{"signal": {"timestamp": "yesterday"}}', "signal.timestamp: expected a time such as "),
        ('{"signal": {"symbol": "A", "symbol": "B"}}', "line 1, column "),
        ('{"signal": ', "line 1, column "),
    ]:
        done, requests = call("SignalService/CreateSignal", text, lambda _: RPC.Reply())
        assert done.returncode == 2
        assert requests == []
        assert done.stdout == b""
        assert done.stderr.decode().startswith("tradebook call: the request is wrong: " + reason), done.stderr
