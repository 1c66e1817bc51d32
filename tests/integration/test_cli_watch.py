"""tradebook watch: one line of JSON for every closed trade."""

import json
import signal
import subprocess

import pytest
import serving
import trades


@pytest.fixture
def server(tmp_path):
    with serving.Server(tmp_path / "book.db", "--events", "tcp://127.0.0.1:0", "--heartbeat-ms", "200") as server:
        yield server


def watch(server, *options):
    """A running watch, to be used in a with block."""
    return subprocess.Popen([serving.BIN, "watch", "--address", server.address, *map(str, options)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=serving.environment())


def watched(server, *options):
    """The lines of a watch that ends by itself."""
    with watch(server, *options) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def sequences(events):
    return [int(event["sequence"]) for event in events]


def with_doorbell(server):
    return ["--events", server.events[0]]


def test_watch_prints_each_closed_trade_as_it_happens(server):
    for first, options in ((0, []), (3, with_doorbell(server))):
        with watch(server, "--after", first, *options) as process:
            for symbol in ("BTC-USD", "ETH-USD", "BTC-USD"):
                trades.closed(server.db, symbol)
                event = json.loads(process.stdout.readline())
                assert event["tradeClosed"]["symbol"] == symbol
                assert event["topic"] == f"trade.closed/{symbol}/"
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
            assert (process.stdout.read(), process.stderr.read()) == ("", "")


def test_watch_waits_over_ws(tmp_path):
    with serving.Server(tmp_path / "ws.db", "--listen", "ws://127.0.0.1:0/rpc") as server:
        for number in (1, 2):
            with subprocess.Popen([serving.BIN, "watch", "--address", server.addresses["ws"], "--after",
                                   str(number - 1), "--count", "1"], stdout=subprocess.PIPE, text=True,
                                  env=serving.environment()) as process:
                trades.closed(server.db, "A")
                assert sequences([json.loads(process.stdout.readline())]) == [number]
                assert process.wait(timeout=60) == 0


def test_watch_after_and_count_choose(server):
    trades.closed(server.db, *["A", "B"] * 5)
    assert sequences(watched(server, "--after", 0, "--count", 10)) == list(range(1, 11))
    assert sequences(watched(server, "--after", 4, "--count", 2)) == [5, 6]


def test_watch_symbol_leaves_others_out(server):
    trades.closed(server.db, *["BTC/USD", "BTC"] * 5)
    for options in ([], with_doorbell(server)):
        assert sequences(watched(server, "--after", 2, "--symbol", "BTC/USD", "--count", 4, *options)) == [3, 5, 7, 9]


def test_watch_cursor_goes_on_where_it_was(server):
    trades.closed(server.db, *["A"] * 6)
    assert sequences(watched(server, "--cursor", "alerts", "--after", 1, "--count", 2)) == [2, 3]
    assert sequences(watched(server, "--cursor", "alerts", "--count", 2, *with_doorbell(server))) == [4, 5]
    done = serving.run("call", "--address", server.address, "EventService/GetCursor", '{"name": "alerts"}')
    assert json.loads(done.stdout).items() >= {"sequence": "5", "behind": "1"}.items()


def test_watch_line_that_cannot_be_written_is_not_committed(server):
    trades.closed(server.db, "A", "A")
    assert sequences(watched(server, "--cursor", "alerts", "--after", 0, "--count", 1)) == [1]
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([serving.BIN, "watch", "--address", server.address, "--cursor", "alerts"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=serving.environment())
    assert done.returncode == 1
    assert done.stderr == "tradebook: cannot write the output: No space left on device.\n"
    assert sequences(watched(server, "--cursor", "alerts", "--count", 1)) == [2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_signal_while_no_server_answers_ends_it(number, server):
    with watch(server, "--after", 0) as process:
        trades.closed(server.db, "A")
        assert process.stdout.readline()
        server.kill()
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""
    server.restart()


def test_watch_server_that_stays_away_is_told(server):
    with watch(server, "--after", 0, "--timeout", 1) as process:
        trades.closed(server.db, "A")
        assert process.stdout.readline()
        server.kill()
        assert process.wait(timeout=60) == 1
        assert process.stderr.read().startswith(f"UNAVAILABLE: /tradebook.v1.EventService/ListEvents: no connection to "
                                                f"{server.address} within 1000 ms")
    server.restart()


def test_watch_beyond_the_newest_event_is_told(server):
    trades.closed(server.db, "A")
    done = serving.run("watch", "--address", server.address, "--after", 5)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("DATA_LOSS: the newest event of the server is 1, before 5")


@pytest.mark.parametrize("options", [["--after", "x"], ["--after", "-1"], ["--count", "0"], ["--count", "1x"],
                                     ["--events", "ws://127.0.0.1:1/"], ["--address", "nonsense"], ["more"]])
def test_watch_wrong_options_exit_2(options):
    done = serving.run("watch", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
