"""tradebook list shows what SQL shows, in every format."""

import csv
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess

import book
import pytest
import serving
import sp
import terminal
from fake_server import FakeServer

FIXTURE = os.environ.get("TRADEBOOK_FIXTURE", "")
TABLES = {
    "signals": "signals",
    "results": "signal_results",
    "theories": "theory_performance",
    "patterns": "patterns",
    "risk": "risk_book_snapshots",
    "models": "model_deployments",
}
KEYS = {"risk_book_snapshots": "signal_id"}
BOOLEANS = {"executed", "was_correct", "is_promoted", "is_active"}
ENUMS = {"direction": "DIRECTION", "tier": "TIER", "result": "RESULT", "outcome": "OUTCOME", "mode": "MODE"}

needs_fixture = pytest.mark.skipif(not os.path.exists(FIXTURE), reason="no users' database here")


@pytest.fixture(scope="module")
def adopted(tmp_path_factory):
    """A server on a copy of the users' database."""
    db = tmp_path_factory.mktemp("list") / "tradingai.db"
    shutil.copy(FIXTURE, db)
    with serving.Server(db) as server:
        yield server


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server with three signals whose texts are awkward."""
    with serving.Server(tmp_path_factory.mktemp("small") / "book.db") as server:
        with book.Client(server.address) as client:
            for notes in (None, "", 'a "quoted", text\nof two lines\x1b[1m € and a long, long, long, long end'):
                signal = book.signal(symbol="BTC-USD", confidence=0.1, timestamp=None)
                signal.timestamp.FromJsonString("2024-05-01T12:00:00.5Z")
                if notes is not None:
                    signal.notes = notes
                client.ok("SignalService.CreateSignal", signal=signal)
        yield server


def run(server, *arguments):
    """The raw output, as line ends matter."""
    return subprocess.run([serving.BIN, "list", "--address", server.address, *map(str, arguments)],
                          capture_output=True, timeout=120, env=serving.environment(), check=False)


def output(server, *arguments):
    done = run(server, *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def sql(server, query):
    """Column names, declared types, and rows."""
    with sqlite3.connect(f"file:{server.db}?mode=ro", uri=True) as connection:
        cursor = connection.execute(query)
        return [column[0] for column in cursor.description], cursor.fetchall()


def types_of(server, table):
    _, rows = sql(server, f"SELECT name, type FROM pragma_table_info('{table}')")
    return dict(rows)


def camel(name):
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)


def as_json(name, declared, value):
    """A value of SQL as the help text says it appears in JSON."""
    if declared == "DATETIME":
        seconds, fraction = value.replace(" ", "T").split(".")
        if fraction == "000000":
            return seconds + "Z"
        return f"{seconds}.{fraction[:3] if fraction.endswith('000') else fraction}Z"
    if name in BOOLEANS:
        return bool(value)
    if name in ENUMS:
        return f"{ENUMS[name]}_{value.upper()}"
    return str(value) if declared == "INTEGER" else value


def objects(server, table, query):
    names, rows = sql(server, query)
    types = types_of(server, table)
    return [{camel(name): as_json(name, types[name], value) for name, value in zip(names, row) if value is not None}
            for row in rows]


@needs_fixture
@pytest.mark.parametrize("resource, table", TABLES.items())
def test_list_json_equals_sql(adopted, resource, table):
    listed = json.loads(output(adopted, resource, "--format", "json"))
    assert listed == objects(adopted, table, f"SELECT * FROM {table} ORDER BY {KEYS.get(table, 'id')}")


@needs_fixture
@pytest.mark.parametrize("resource, table", TABLES.items())
def test_list_csv_equals_sql(adopted, resource, table):
    names, rows = sql(adopted, f"SELECT * FROM {table} ORDER BY {KEYS.get(table, 'id')}")
    header, *listed = csv.reader(io.StringIO(output(adopted, resource, "--format", "csv"), newline=""))
    assert header == names
    assert len(listed) == len(rows)
    for shown, row in zip(listed, rows):
        for text, value in zip(shown, row):
            assert text == "" if value is None else type(value)(text) == value


@needs_fixture
def test_list_strong_signals_equals_sql(adopted):
    condition = "tier = 'high' AND confidence > 0.65"
    listed = json.loads(output(adopted, "signals", "--filter", condition, "--order-by", "timestamp desc", "--limit", 10,
                               "--format", "json"))
    assert listed == objects(
        adopted, "signals", f"SELECT * FROM signals WHERE {condition} ORDER BY timestamp DESC, id DESC LIMIT 10")
    assert len(listed) == 10


@needs_fixture
@pytest.mark.parametrize("limit", [1, 999, 1000, 1001, 2500, 4620, 10**15])
def test_list_limit_crosses_pages(adopted, limit):
    lines = output(adopted, "signals", "--columns", "id", "--format", "csv", "--limit", limit).split()
    assert lines == ["id", *map(str, range(1, min(limit, 4620) + 1))]


@needs_fixture
def test_list_table_pages_share_their_columns(adopted):
    lines = output(adopted, "signals", "--columns", "id,symbol,tier").splitlines()
    assert len(lines) == 4621
    assert lines[0] == "  id  symbol    tier"
    assert {line[4:6] for line in lines} == {"  "}


def test_list_csv_tells_null_from_empty(small):
    assert run(small, "signals", "--columns", "id,notes,executed,direction,timestamp", "--format", "csv").stdout == (
        'id,notes,executed,direction,timestamp\r\n'
        '1,,0,long,2024-05-01 12:00:00.500000\r\n'
        '2,"",0,long,2024-05-01 12:00:00.500000\r\n'
        '3,"a ""quoted"", text\nof two lines\x1b[1m € and a long, long, long, long end",0,long,'
        '2024-05-01 12:00:00.500000\r\n').encode()


def test_list_json_is_one_object_a_line(small):
    assert output(small, "signals", "--columns", "notes,id,timestamp", "--format", "json") == (
        '[\n'
        '{"id":"1","timestamp":"2024-05-01T12:00:00.500Z"},\n'
        '{"notes":"","id":"2","timestamp":"2024-05-01T12:00:00.500Z"},\n'
        '{"notes":"a \\"quoted\\", text\\nof two lines\\u001b[1m € and a long, long, long, long end","id":"3",'
        '"timestamp":"2024-05-01T12:00:00.500Z"}\n'
        ']\n')


def test_list_table_in_a_pipe_cuts_nothing_and_escapes_controls(small):
    assert output(small, "signals", "--columns", "id,timestamp,direction,executed,rl_prediction,notes") == (
        'id  timestamp            direction  executed  rl_prediction  notes\n'
        ' 1  2024-05-01 12:00:00  long       false                    \n'
        ' 2  2024-05-01 12:00:00  long       false                    \n'
        ' 3  2024-05-01 12:00:00  long       false                    '
        'a "quoted", text\\nof two lines\\x1B[1m € and a long, long, long, long end\n')


@pytest.mark.parametrize("form, expected", [
    ("json", "[]\n"), ("csv", "id,symbol\r\n"), ("table", "id  symbol\n"),
])
def test_list_nothing_prints_the_frame(small, form, expected):
    assert output(small, "signals", "--filter", "symbol = 'NONE'", "--columns", "id,symbol", "--format",
                  form) == expected


def test_list_all_columns_of_table(small):
    header = output(small, "signals", "--columns", "*").splitlines()[0].split()
    assert header == output(small, "signals", "--format", "csv", "--limit", 1).splitlines()[0].split(",")


@pytest.mark.parametrize("arguments", [["--filter", "symbl = 'A'"], ["--order-by", "nothing"]])
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_list_refused_query_prints_reason_only(small, arguments, form):
    done = run(small, "signals", *arguments, "--format", form)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"INVALID_ARGUMENT: ")


def listing(answers):
    """A stand-in server that answers these replies in turn."""
    left = iter(answers)
    return FakeServer(lambda _: next(left))


def page(ids, token=None):
    signals = [book.signal_pb2.Signal(id=number) for number in ids]
    response = book.signal_pb2.ListSignalsResponse(signals=signals, next_page_token=token)
    return sp.messages().Reply(payload=response.SerializeToString())


def test_list_asks_page_after_page():
    with listing([page([1, 2], "two"), page([], "three"), page([3])]) as server:
        shown = output(server, "signals", "--filter", "id > 0", "--order-by", "id", "--limit", 1200, "--format", "csv",
                       "--columns", "id")
    assert shown.split() == ["id", "1", "2", "3"]
    asked = [book.signal_pb2.ListSignalsRequest.FromString(request.payload) for request in server.requests]
    assert [(a.page_size, a.page_token, a.filter, a.order_by) for a in asked] == [
        (1000, "", "id > 0", "id"), (1000, "two", "id > 0", "id"), (1000, "three", "id > 0", "id")]


def test_list_limit_holds_against_a_generous_server():
    with listing([page([1, 2, 3], "more")]) as server:
        assert json.loads(output(server, "signals", "--limit", 2, "--format", "json")) == [{"id": "1"}, {"id": "2"}]


def test_list_failure_after_the_first_page_exits_1_with_an_open_array():
    broken = sp.messages().Reply(code=book.DATA_LOSS, message="A page of the file is damaged.")
    with listing([page([1], "more"), broken]) as server:
        done = run(server, "signals", "--format", "json")
    assert (done.returncode, done.stdout) == (1, b'[\n{"id":"1"}')
    assert done.stderr == b"DATA_LOSS: A page of the file is damaged.\n"


@pytest.mark.parametrize("arguments, reason", [
    ([], "RESOURCE is missing"),
    (["sigals"], 'there is no resource "sigals". Did you mean "signals"?'),
    (["trades"], 'there is no resource "trades"; there are signals, results'),
    (["signals", "risk"], '"risk" is one argument too many'),
    (["signals", "--limit", "0"], '--limit: "0" is not a whole number above 0'),
    (["signals", "--limit", "ten"], '--limit: "ten" is not'),
    (["signals", "--limit", "9" * 30], "--limit: "),
    (["signals", "--format", "xml"], '--format: "xml" is not table, json or csv'),
    (["signals", "--columns", "id,nme"], 'signals has no column "nme"; it has id, timestamp, '),
    (["signals", "--columns", ""], 'signals has no column ""'),
    (["signals", "--columns", "id,symbol,id"], "id is there twice"),
    (["signals", "--columns", ",".join(["id"] * 33)], "id is there twice"),
])
def test_list_wrong_arguments_exits_2(small, arguments, reason):
    done = run(small, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert reason in done.stderr.decode()


def on_terminal(server, width, *arguments, **environment):
    """What list prints to a terminal of that width."""
    return terminal.lines([serving.BIN, "list", "--address", server.address, *arguments], width, **environment)


def test_list_table_on_terminal_is_cut_with_bold_header(small):
    header, *rows = on_terminal(small, 70, "signals", "--columns", "id,notes,timestamp,symbol")
    assert header == "\033[1mid  notes                                 timestamp            symbol\033[0m"
    assert rows[2] == ' 3  a "quoted", text\\nof two lines\\x1B[…  2024-05-01 12:00:00  BTC-USD'
    assert len(rows[2]) == 70


def test_list_table_on_narrow_terminal_cuts_lines(small):
    lines = on_terminal(small, 40, "signals", NO_COLOR="1")
    assert all(len(line) == 40 and line.endswith("…") for line in lines)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_list_table_header_is_plain_when_asked(small, environment):
    assert on_terminal(small, 80, "patterns", **environment)[0] == "id  name  wins  total  win_rate  updated_at"


def test_list_output_that_cannot_be_written_exits_1(small):
    with open("/dev/full", "w") as full:
        done = subprocess.run([serving.BIN, "list", "--address", small.address, "signals", "--format", "csv"],
                              stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=120,
                              env=serving.environment())
    assert done.returncode == 1
    assert done.stderr == "tradebook: cannot write the output: No space left on device.\n"
