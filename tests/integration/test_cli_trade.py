"""tradebook open and tradebook close."""

import json
import os

import book
import pytest
import serving
import sp
import terminal
from fake_server import FakeServer

HASH = "ab" * 32


@pytest.fixture
def long(client):
    """The id of a long that can be opened."""
    return client.ok("SignalService.CreateSignal",
                     signal=book.signal(entry_price=100.0, tp_price=110.0, sl_price=95.0)).id


def run(server, command, *arguments):
    return serving.run(command, "--address", server.address, *arguments)


def ok(server, command, *arguments):
    done = run(server, command, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def asked(command, *arguments):
    """The request that a command sends."""
    reply = sp.messages().Reply(payload=book.trade_pb2.SignalResult(id=1).SerializeToString())
    with FakeServer(lambda _: reply) as server:
        ok(server, command, *arguments)
        request, = server.requests
    assert len(request.request_id) == 16
    name = {"open": "OpenTrade", "close": "CloseTrade"}[command]
    assert request.method == f"/tradebook.v1.TradeService/{name}"
    return getattr(book.trade_pb2, name + "Request").FromString(request.payload)


def test_open_and_close_print_what_is_stored(server, file, long):
    opened = ok(server, "open", long, "--quantity", 2, "--fees", "0.5", "--time", "2024-05-01 12:00:00").splitlines()
    assert opened[0].split() == ["Trade", "value"]
    assert [line.split()[-1] for line in opened if line.startswith(("outcome", "entry", "exit"))] == ["open", "100", "-"]
    assert file.query("SELECT entry_price, entry_timestamp FROM signal_results") == [(100.0, "2024-05-01 12:00:00.000000")]
    closed = ok(server, "close", long, "--price", 110, "--reason", "tp_hit", "--fees", "0.5", "--time",
                "2024-05-01 13:30:00").splitlines()
    shown = {line[:21].strip(): line[21:].strip() for line in closed}
    assert shown == {"Trade": "value", "outcome": "win", "profit or loss in USD": "+19.00", "in percent": "+9.50 %",
                     "entry": "100", "opened (UTC)": "2024-05-01 12:00:00", "exit": "110",
                     "closed (UTC)": "2024-05-01 13:30:00", "reason": "tp_hit", "held": "1 h 30 min", "result id": "1"}
    assert file.query("SELECT pnl_usd, outcome FROM signal_results") == [(19.0, "win")]


def test_open_and_close_json_is_the_result(server, client, long):
    opened = json.loads(ok(server, "open", long, "--format", "json"))
    assert (opened["signalId"], opened["outcome"]) == (str(long), "OUTCOME_OPEN")
    closed = json.loads(ok(server, "close", long, "--price", 90, "--reason", "sl_hit", "--format", "json"))
    stored = client.ok("TradeService.GetSignalResult", signal_id=long)
    assert (closed["pnlUsd"], closed["outcome"], closed["exitReason"]) == (-10, "OUTCOME_LOSS", "sl_hit")
    assert (stored.pnl_usd, stored.exit_reason) == (-10, "sl_hit")


def test_close_refused_prints_the_reason(server, long):
    ok(server, "open", long)
    done = run(server, "close", long, "--price", -1)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("INVALID_ARGUMENT: ")
    assert "  exit_price: " in done.stderr and "  exit_reason: " in done.stderr
    ok(server, "close", long, "--price", 1, "--reason", "manual")
    assert run(server, "close", long, "--price", 1, "--reason", "manual").stderr.startswith("FAILED_PRECONDITION: ")
    assert run(server, "open", long).stderr.startswith("ALREADY_EXISTS: ")
    assert run(server, "open", 999).stderr.startswith("NOT_FOUND: ")


def test_open_options_reach_the_request():
    request = asked("open", 7, "--price", "1.5", "--quantity", "1e3", "--fees", 2, "--mode", "live", "--time", "2024-05-01")
    assert request == book.trade_pb2.OpenTradeRequest(
        signal_id=7, entry_price=1.5, quantity=1000, fees_usd=2, mode=book.types_pb2.MODE_LIVE,
        entry_time=book.timestamp(1714521600))
    assert asked("open", 7) == book.trade_pb2.OpenTradeRequest(signal_id=7)


def test_close_options_reach_the_request():
    request = asked("close", "--price", "1.5", "--price", "2.5", "--reason", 'a "b"', 7, "--fees", "0", "--slippage-bps", "-3",
                    "--spread-bps", "0.1", "--latency-ms", "12", "--pattern", HASH, "--pattern", HASH[::-1],
                    "--no-grade", "--time", "2024-05-01T00:00:00.25Z")
    assert request == book.trade_pb2.CloseTradeRequest(
        signal_id=7, exit_price=2.5, exit_reason='a "b"', fees_usd=0, slippage_bps=-3, spread_bps=0.1, latency_ms=12,
        pattern_hashes=[HASH, HASH[::-1]], grade_theories=False, exit_time=book.timestamp(1714521600, 250_000_000))


@pytest.mark.parametrize("arguments, reason", [
    ([], "SIGNAL_ID is missing"),
    (["x"], 'SIGNAL_ID: "x" is not a whole number'),
    (["1", "2"], '"2" is one argument too many'),
    (["1", "--price", "much"], '--price: "much" is not a number'),
    (["1", "--price", "inf"], '--price: "inf" is not a number'),
    (["1", "--time", "noon"], '--time: "noon" is not a time'),
    (["1", "--format", "csv"], '--format: "csv" is not table or json'),
])
@pytest.mark.parametrize("command", ["open", "close"])
def test_trade_wrong_arguments_exits_2(command, arguments, reason):
    done = serving.run(command, "--address", "tcp://127.0.0.1:1", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr


@pytest.mark.parametrize("arguments", [["close", "1", "--price", "1", "--reason"], ["report", "equity", "--symbol"]])
def test_text_that_is_not_utf8_exits_2(arguments):
    done = serving.run(*arguments, os.fsdecode(b"caf\xe9"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"{arguments[-1]}: the value is not UTF-8.\n")


def test_trade_of_more_patterns_than_a_trade_may_have_exits_2():
    done = serving.run("close", "1", *["--pattern=" + HASH] * 65)
    assert (done.returncode, done.stdout) == (2, "")
    assert "more than 64 patterns" in done.stderr


def test_open_wrong_mode_exits_2():
    assert '--mode: "paper" is not dryrun or live' in serving.run("open", "1", "--mode", "paper").stderr


def test_close_on_terminal_shows_loss_red(server, long):
    ok(server, "open", long)
    lines = terminal.lines([serving.BIN, "close", "--address", server.address, str(long), "--price", "90", "--reason",
                            "sl_hit"], 80)
    assert next(line for line in lines if line.startswith("outcome")).endswith("\x1b[31mloss\x1b[0m")
    assert next(line for line in lines if line.startswith("profit")).endswith("\x1b[31m-10.00\x1b[0m")
