"""Metrics, health and readiness over HTTP: what they tell follows from what was
done, and no client of theirs is in anybody's way."""

import contextlib
import http.client
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import urllib.parse

import book
import load
import prometheus_client.openmetrics.parser as openmetrics
import prometheus_client.parser as older
import pytest
import serving
import sp
import trades

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
PAGES = ["/metrics", "/healthz", "/readyz"]
CONNECTIONS_MAX = 32
CURSORS_MAX = 100
OPTIONS = ["--http", "127.0.0.1:0", "--heartbeat-ms", 20]


@pytest.fixture
def server(tmp_path):
    with serving.Server(tmp_path / "book.db", *OPTIONS) as server:
        yield server


def connect(server):
    """A socket at the HTTP address."""
    where = urllib.parse.urlsplit(server.http)
    return socket.create_connection((where.hostname, where.port), 60)


def ask(server, path, method="GET", **headers):
    """Returns the response, its body read into .text."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.http).netloc, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        response.text = response.read().decode()
        return response


def eventually(condition):
    """Waits for what happens in its own time; returns what condition then says."""
    for _ in range(3000):
        if result := condition():
            return result
        threading.Event().wait(0.01)
    pytest.fail("it did not happen")


class Metrics:
    """One scrape, parsed strictly."""

    def __init__(self, server):
        self.text = ask(server, "/metrics").text
        self.families = {family.name: family for family in openmetrics.text_string_to_metric_families(self.text)}
        self.samples = {(sample.name, frozenset(sample.labels.items())): sample.value
                        for family in self.families.values() for sample in family.samples}

    def get(self, name, **labels):
        """The value of one sample, None when there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def labelled(self, name, label):
        """{value of the label: value of the sample}"""
        return {dict(labels)[label]: value for (of, labels), value in self.samples.items() if of == name}

    def requests(self, method, status="OK"):
        return self.get("tradebook_requests_total", method=method, status=status)


def make_trades(client, opened, closed):
    """Opens so many trades and closes so many of them."""
    signals = [client.ok("SignalService.CreateSignal", signal=book.signal(entry_price=100)) for _ in range(opened)]
    for signal in signals:
        client.ok("TradeService.OpenTrade", signal_id=signal.id)
    for signal in signals[:closed]:
        client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=110, exit_reason="tp_hit")


# --- what is told ---

def test_requests_are_counted_by_method_and_status(server, client):
    for _ in range(7):
        client.ok("SignalService.CreateSignal", signal=book.signal())
    for number in range(3):
        client.reply("SignalService.GetSignal", id=1000 + number)
    client.reply("SignalService.CreateSignal", signal=book.signal(confidence=7))
    client.ok("Health.Check")
    client.call("/tradebook.v1.SignalService/Nothing")
    client.call_raw(b"\xff\xff\xff")
    metrics = Metrics(server)
    assert metrics.get("tradebook_requests_total", method="SignalService/CreateSignal", status="OK") == 7
    assert metrics.requests("SignalService/CreateSignal", "INVALID_ARGUMENT") == 1
    assert metrics.requests("SignalService/GetSignal", "NOT_FOUND") == 3
    assert metrics.requests("Health/Check") == 1
    assert metrics.requests("unknown", "UNIMPLEMENTED") == 1
    assert metrics.requests("unknown", "INVALID_ARGUMENT") == 1
    assert sum(metrics.labelled("tradebook_requests_total", "method").values()) > 0
    assert metrics.requests("SignalService/GetSignal") is None


def test_every_request_is_in_a_histogram(server, client):
    for _ in range(5):
        client.ok("SignalService.CreateSignal", signal=book.signal())
    client.reply("SignalService.CreateSignal", signal=book.signal(confidence=7))
    metrics = Metrics(server)
    name, method = "tradebook_request_duration_seconds", "SignalService/CreateSignal"
    assert metrics.get(f"{name}_count", method=method) == 6
    assert metrics.get(f"{name}_bucket", method=method, le="+Inf") == 6
    assert metrics.get(f"{name}_sum", method=method) > 0
    ends = [sample.labels["le"] for sample in metrics.families[name].samples
            if sample.name.endswith("_bucket") and sample.labels["method"] == method]
    assert len(ends) == 17 and (ends[0], ends[-2]) == ("5e-05", "10.0")


def test_batches_commits_and_syncs_follow_from_the_writes(server, client):
    before = Metrics(server)
    for _ in range(4):  # one after the other: each is a batch and a commit
        client.ok("SignalService.CreateSignal", signal=book.signal())
    after = Metrics(server)

    def grown(name, **labels):
        return after.get(name, **labels) - before.get(name, **labels)

    assert grown("tradebook_batch_requests_count") == grown("tradebook_batch_requests_sum") == 4
    assert grown("tradebook_batch_requests_bucket", le="1.0") == 4
    assert grown("tradebook_commit_duration_seconds_count") == 4
    assert grown("tradebook_fsync_duration_seconds_count", file="wal") >= 4
    assert after.get("tradebook_commit_failures_total") == 0


def test_requests_that_wait_together_are_one_batch(server):
    create = book.envelope("SignalService.CreateSignal", book.request_of("SignalService.CreateSignal",
                                                                         signal=book.signal()))
    with trades.connection(server.db) as db, sp.Connection(server.address) as connection:
        db.execute("BEGIN IMMEDIATE")
        connection.send(create.SerializeToString())
        eventually(lambda: Metrics(server).get("tradebook_writer_busy_seconds") > 0)
        for number in range(8):
            create.request_id = number.to_bytes(16, "big")
            connection.send(create.SerializeToString())
        eventually(lambda: Metrics(server).get("tradebook_queue_length", queue="writer") == 8)
        db.execute("ROLLBACK")
        for _ in range(9):
            connection.receive()
    metrics = Metrics(server)
    assert metrics.get("tradebook_batch_requests_sum") == 9
    assert metrics.get("tradebook_batch_requests_count") == 2
    assert metrics.get("tradebook_batch_requests_bucket", le="8.0") == 2
    assert metrics.get("tradebook_queue_length", queue="writer") == 0
    assert metrics.get("tradebook_queue_limit", queue="readers") == 512


def test_checkpoint_syncs_the_database(server, client):
    many = book.request_of("SignalService.BatchCreateSignals", signals=[book.signal(notes="x" * 4000)] * 200)

    def is_synced():
        client.ok("SignalService.BatchCreateSignals", many)
        return Metrics(server).get("tradebook_fsync_duration_seconds_count", file="database") > 0

    # A checkpoint comes after a thousand pages, five of these batches, and does
    # nothing when a reader, such as the analytics, is still in front of them.
    assert any(is_synced() for _ in range(100))
    metrics = Metrics(server)
    assert metrics.get("tradebook_wal_size_bytes") == pathlib.Path(f"{server.db}-wal").stat().st_size > 4e6
    assert metrics.get("tradebook_database_size_bytes") == server.db.stat().st_size
    assert metrics.get("tradebook_wal_limit_bytes") == 4294967296


def test_failed_commit_is_counted(tmp_path):
    with serving.Server(tmp_path / "book.db", *OPTIONS) as server, book.Client(server.address) as client, \
            trades.connection(server.db) as db:
        db.execute("BEGIN IMMEDIATE")  # longer than the server waits for it
        assert client.reply("SignalService.CreateSignal", signal=book.signal()).code == book.UNAVAILABLE
        db.execute("ROLLBACK")
        assert Metrics(server).get("tradebook_commit_failures_total") == 1


def test_open_positions_and_events_follow_from_the_trades(server, client):
    metrics = Metrics(server)
    assert metrics.get("tradebook_open_positions") == 0
    assert metrics.get("tradebook_event_newest_sequence") == 0
    make_trades(client, opened=5, closed=2)
    trades.closed(server.db, "ETH-USD")  # by another program
    metrics = Metrics(server)
    assert metrics.get("tradebook_open_positions") == 3
    assert metrics.get("tradebook_event_newest_sequence") == 3
    assert metrics.get("tradebook_event_oldest_sequence") == 1
    assert metrics.get("tradebook_database_up") == 1


def test_lag_of_a_cursor_is_what_it_has_not_handled(server, client):
    make_trades(client, opened=4, closed=4)
    name = 'alerts "night"\\ä'
    client.ok("EventService.CommitCursor", name=name, sequence=1)
    client.ok("EventService.CommitCursor", name="risk", sequence=4)
    metrics = Metrics(server)
    assert metrics.labelled("tradebook_cursor_lag_events", "cursor") == {name: 3, "risk": 0}
    assert metrics.get("tradebook_cursors_omitted") == 0
    client.ok("EventService.DeleteCursor", name="risk")
    assert metrics.labelled("tradebook_cursor_lag_events", "cursor").keys() - {"risk"} == {name}


def test_cursors_beyond_the_limit_are_omitted_and_that_is_told(server, client):
    for number in range(CURSORS_MAX + 1):
        client.ok("EventService.CommitCursor", name=f"{number:04}", sequence=0)
    metrics = Metrics(server)
    told = metrics.labelled("tradebook_cursor_lag_events", "cursor")
    assert sorted(told) == [f"{number:04}" for number in range(CURSORS_MAX)]
    assert metrics.get("tradebook_cursors_omitted") == 1


def test_connections_are_counted_by_endpoint(server, client):
    def counted():
        return Metrics(server).labelled("tradebook_connections", "endpoint")

    client.ok("Health.Check")
    assert counted() == {"requests": 1, "events": 0}
    with sp.Client(server.address), sp.Subscriber(server.events[0]) as subscriber:
        subscriber.receive()
        eventually(lambda: counted() == {"requests": 2, "events": 1})
    eventually(lambda: counted() == {"requests": 1, "events": 0})
    assert Metrics(server).labelled("tradebook_connections_limit", "endpoint") == {"requests": 1024, "events": 1024}


def test_requests_that_wait_for_events_are_counted(server, client):
    ask_events = book.envelope("EventService.ListEvents", book.request_of("EventService.ListEvents", wait_ms=60000),
                               timeout_ms=100000)
    with sp.Connection(server.address) as connection:
        connection.send(ask_events.SerializeToString())
        eventually(lambda: Metrics(server).get("tradebook_waiting_requests") == 1)
        trades.closed(server.db, "A")
        connection.receive()
    assert Metrics(server).get("tradebook_waiting_requests") == 0


def test_limits_are_those_of_the_options(tmp_path):
    with serving.Server(tmp_path / "book.db", *OPTIONS, "--queue", 17, "--connections", 18, "--memory", 123456789,
                        "--wal-limit", 2000000) as server:
        metrics = Metrics(server)
    assert metrics.get("tradebook_queue_limit", queue="writer") == 17
    assert metrics.get("tradebook_connections_limit", endpoint="requests") == 18
    assert metrics.get("tradebook_memory_limit_bytes") == 123456789
    assert metrics.get("tradebook_memory_used_bytes") == 0
    assert metrics.get("tradebook_wal_limit_bytes") == 2000000


def test_build_and_process_are_told(server):
    versions = dict(line.split(None, 1) for line in serving.run("version").stdout.splitlines())
    metrics = Metrics(server)
    assert metrics.get("tradebook_build_info", version=versions["tradebook"], nng_version=versions["nng"],
                       sqlite_version=versions["SQLite"]) == 1
    process = pathlib.Path(f"/proc/{server.process.pid}")
    assert metrics.get("process_open_fds") == pytest.approx(len(list((process / "fd").iterdir())), abs=2)
    assert metrics.get("process_max_fds") >= 1024
    assert metrics.get("process_resident_memory_bytes") > 1e6
    assert metrics.get("process_cpu_seconds_total") > 0
    created = metrics.get("tradebook_commit_duration_seconds_created")
    assert created == metrics.get("process_start_time_seconds") == pytest.approx(process.stat().st_mtime, abs=60)


def test_backups_are_told(tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    options = [*OPTIONS, "--backup-dir", folder, "--backup-interval", 3600]
    with serving.Server(tmp_path / "book.db", *options) as server:
        eventually(lambda: Metrics(server).get("tradebook_backups_total", result="ok") == 1)
        assert 0 <= Metrics(server).get("tradebook_backup_age_seconds") < 3600
    (copy,) = folder.iterdir()
    copy.rename(folder / "book-20200102T030405Z.db")
    folder.chmod(0o500)
    with serving.Server(tmp_path / "book.db", *options) as server:  # finds the old one, and makes one
        eventually(lambda: any(Metrics(server).labelled("tradebook_backups_total", "result").values()))


def test_without_backups_none_are_told(server):
    metrics = Metrics(server)
    assert metrics.get("tradebook_backup_age_seconds") is None
    assert "tradebook_backups" not in metrics.families


def test_documented_names_are_those_that_are_told(tmp_path):
    text = (pathlib.Path(__file__).parents[2] / "deploy" / "metrics.md").read_text()
    rows = re.findall(r"^\| (`(?:tradebook|process)_.*?) \| (\w+) \|", text, re.MULTILINE)
    documented = {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}
    suffixes = {"counter": "_total", "info": "_info"}
    with serving.Server(tmp_path / "book.db", *OPTIONS, "--backup-dir", tmp_path, "--backup-interval", 3600) as server, \
            book.Client(server.address) as client:
        client.ok("EventService.CommitCursor", name="alerts", sequence=0)
        eventually(lambda: Metrics(server).get("tradebook_backup_age_seconds") is not None)
        told = {name + suffixes.get(family.type, ""): family.type
                for name, family in Metrics(server).families.items()}
    assert told == documented


def test_counters_only_grow_under_load(server):
    seen = 0
    with load.Load(server.address, writers=3) as working:
        for _ in range(book.scaled(40)):
            now = Metrics(server).requests("SignalService/CreateSignal") or 0
            assert now >= seen
            seen = now
        acknowledged = len(working.acknowledged)
    assert Metrics(server).requests("SignalService/CreateSignal") >= max(seen, acknowledged)


# --- formats ---

def test_openmetrics_is_the_default_and_ends_with_eof(server):
    for accept in ["", "*/*", "text/html", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"]:
        response = ask(server, "/metrics", Accept=accept)
        assert response.status == 200
        assert response.headers["Content-Type"] == OPENMETRICS
        assert response.text.endswith("\n# EOF\n")


def test_older_text_format_for_a_client_that_knows_no_other(server, client):
    make_trades(client, opened=2, closed=1)
    response = ask(server, "/metrics", Accept="text/plain;version=0.0.4")
    assert response.headers["Content-Type"] == TEXT
    assert "# EOF" not in response.text and "_created" not in response.text and "# UNIT" not in response.text
    families = {family.name: family for family in older.text_string_to_metric_families(response.text)}
    assert families["tradebook_open_positions"].samples[0].value == 1
    assert families["tradebook_requests"].type == "counter"
    assert set(families) >= {"tradebook_build_info", "tradebook_commit_duration_seconds"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian package prometheus) is not installed")
def test_promtool_finds_nothing(server, client):
    make_trades(client, opened=1, closed=1)
    text = ask(server, "/metrics", Accept="text/plain").text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# --- health and readiness ---

def test_healthy_and_ready_while_serving(server):
    for page in ["/healthz", "/readyz"]:
        assert ask(server, page).status == 200
    assert Metrics(server).get("tradebook_ready") == 1


def test_not_ready_while_stopping_but_alive(server):
    create = book.envelope("SignalService.CreateSignal", book.request_of("SignalService.CreateSignal",
                                                                         signal=book.signal()))
    with trades.connection(server.db) as db, sp.Connection(server.address) as connection:
        db.execute("BEGIN IMMEDIATE")  # so that the server has something to finish
        connection.send(create.SerializeToString())
        eventually(lambda: Metrics(server).get("tradebook_writer_busy_seconds") > 0)
        server.process.terminate()
        answer = eventually(lambda: (answer := ask(server, "/readyz")).status == 503 and answer)
        assert answer.text == "The server is stopping.\n"
        assert ask(server, "/healthz").status == 200
        assert Metrics(server).get("tradebook_ready") == 0
        db.execute("ROLLBACK")
        assert sp.messages().Reply.FromString(connection.receive()[1]).code == book.OK
    assert server.process.wait(timeout=60) == 0
    server.process = None
    with pytest.raises(ConnectionError):
        ask(server, "/healthz")


def test_not_ready_when_the_database_cannot_be_read(server, client):
    client.ok("SignalService.CreateSignal", signal=book.signal())
    with contextlib.closing(sqlite3.connect(server.db, isolation_level=None)) as db:
        db.execute("ALTER TABLE tb_cursors RENAME TO elsewhere")
        answer = ask(server, "/readyz")
        metrics = Metrics(server)
        db.execute("ALTER TABLE elsewhere RENAME TO tb_cursors")
    assert answer.status == 503 and "tb_cursors" in answer.text
    assert metrics.get("tradebook_database_up") == metrics.get("tradebook_ready") == 0
    assert metrics.get("tradebook_open_positions") is None
    assert metrics.requests("SignalService/CreateSignal") == 1
    assert ask(server, "/readyz").status == 200


# --- what clients may do ---

@pytest.mark.parametrize("path", PAGES)
def test_head_is_get_without_its_body(server, path):
    response = ask(server, path, method="HEAD")
    assert (response.status, response.text) == (200, "")
    assert int(response.headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/metrics", "/nothing"])
def test_other_methods_are_refused_with_a_sentence(server, method, path):
    response = ask(server, path, method=method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert "Only GET and HEAD" in response.text


def test_body_is_not_read(server):
    with connect(server) as plain:
        plain.sendall(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert plain.recv(1000).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/METRICS", "/healthz/../metrics", "//metrics", "/%2e%2e/etc/passwd"])
def test_other_paths_are_not_found_with_a_sentence(server, path):
    response = ask(server, path)
    assert response.status == 404
    assert response.text == "There is no such page. There are /metrics, /healthz and /readyz.\n"


def test_query_of_a_page_does_not_count(server):
    assert ask(server, "/healthz?verbose=1").status == 200


GARBAGE = {
    "nothing": b"",
    "zeros": b"\0" * 100,
    "no path": b"GET\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "unknown version": b"GET / HTTP/9.9\r\n\r\n",
    "SP": sp.handshake(sp.REQ),
    "long header": b"GET /metrics HTTP/1.1\r\nX-Long: " + b"x" * 20000 + b"\r\n\r\n",
    "long path": b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n\r\n",
}


def test_garbage_is_refused_or_the_connection_closed(server):
    with contextlib.ExitStack() as stack:
        connections = {name: stack.enter_context(connect(server)) for name in GARBAGE}
        for name, plain in connections.items():
            with contextlib.suppress(ConnectionError):
                plain.sendall(GARBAGE[name])
        assert ask(server, "/healthz").status == 200
        for name, plain in connections.items():
            said = b""
            with contextlib.suppress(ConnectionError):
                said = plain.recv(1000)
            assert said == b"" or re.match(rb"HTTP/1\.[01] [45]\d\d ", said), name


def test_connection_is_for_one_request(server):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(server) as plain:
        plain.sendall(request * 3)
        said = b""
        with contextlib.suppress(ConnectionError):
            while piece := plain.recv(1000):
                said += piece
    assert said.count(b"HTTP/1.1 200 OK") == 1


def is_closed(plain):
    """Whether the server has closed a connection on which it says nothing."""
    plain.setblocking(False)
    try:
        return plain.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_connections_beyond_the_limit_close_the_oldest_and_keep_nobody_out(server):
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(server)) for _ in range(CONNECTIONS_MAX + 8)]
        assert ask(server, "/healthz").status == 200
        eventually(lambda: all(map(is_closed, idle[:8])))
        assert not any(map(is_closed, idle[-CONNECTIONS_MAX // 2:]))


def test_client_that_sends_byte_by_byte_is_closed(server):
    """The time of a connection does not begin anew with each byte."""
    def is_closed_after_another_byte():
        assert ask(server, "/healthz").status == 200
        try:
            slow.sendall(b"x")
        except ConnectionError:
            return True
        return is_closed(slow)

    with connect(server) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        eventually(is_closed_after_another_byte)


def test_client_that_does_not_read_its_answer_harms_nobody(server, client):
    for number in range(CURSORS_MAX):
        client.ok("EventService.CommitCursor", name=f"{number:04}" + "ä" * 90, sequence=0)
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS_MAX):
            plain = stack.enter_context(connect(server))
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(10):
            assert ask(server, "/readyz").status == 200
            client.ok("Health.Check")


def processor_ns(server):
    """{name of a thread: processor time that it has used}"""
    tasks = pathlib.Path(f"/proc/{server.process.pid}/task").iterdir()
    return {(task / "comm").read_text().strip(): int((task / "schedstat").read_text().split()[0]) for task in tasks}


def test_without_a_descriptor_for_a_client_the_server_neither_spins_nor_gives_up(tmp_path):
    with serving.Server(tmp_path / "book.db", *OPTIONS, "--connections", 1000, prefix=["prlimit", "--nofile=100"]) as server, \
            contextlib.ExitStack() as stack, book.Client(server.address) as client:
        client.ok("Health.Check")
        held = [stack.enter_context(sp.connect(server.address)) for _ in range(100)]
        eventually(lambda: len(list(pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir())) == 100)
        with connect(server) as plain:
            plain.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            before = processor_ns(server)
            for _ in range(book.scaled(3000)):
                client.ok("Health.Check")
            used = {name: ns - before.get(name, 0) for name, ns in processor_ns(server).items()}
            assert used["tbk-http"] < sum(used.values()) / 4, used
            for other in held:
                other.close()
            assert plain.recv(1000).startswith(b"HTTP/1.1 200 ")


# --- the address ---

@pytest.mark.parametrize("form", ["127.0.0.1:0", "http://127.0.0.1:0", "http://127.0.0.1:0/", "localhost:0"])
def test_address_is_told_and_logged(tmp_path, form):
    with serving.Server(tmp_path / "book.db", "--http", form) as server:
        assert re.fullmatch(r"http://(127\.0\.0\.1|localhost):[1-9]\d*", server.http)
        assert ask(server, "/healthz").status == 200
    assert server.http in server.log.read_text()


def test_none_turns_it_off(tmp_path):
    with serving.Server(tmp_path / "book.db", "--http", "none") as server:
        assert server.http is None
    assert "metrics" not in server.log.read_text()


def test_setting_from_the_environment_and_the_file(tmp_path):
    file = tmp_path / "tradebook.ini"
    file.write_text("http = 127.0.0.1:0\n")
    with serving.Server(tmp_path / "book.db", "--config", file) as server:
        assert server.http is None  # the environment of tests says none, and wins
    file.write_text("http = none\n")
    with serving.Server(tmp_path / "book.db", "--config", file, prefix=["env", "TRADEBOOK_HTTP=127.0.0.1:0"]) as server:
        assert ask(server, "/healthz").status == 200


def test_address_in_use_is_named_with_status_1(tmp_path, server):
    with pytest.raises(serving.NotServing) as failure:
        serving.Server(tmp_path / "other.db", "--http", server.http).start()
    assert failure.value.status == 1
    assert server.http in failure.value.text and "in use" in failure.value.text


def test_default_address_in_use_is_no_reason_not_to_serve(tmp_path):
    with socket.socket() as plain:
        with contextlib.suppress(OSError):  # in use it is, whoever uses it
            plain.bind(("127.0.0.1", 7603))
            plain.listen()
        with serving.Server(tmp_path / "book.db", prefix=["env", "-u", "TRADEBOOK_HTTP"]) as server:
            assert server.http is None
            with book.Client(server.address) as client:
                client.ok("Health.Check")
    text = server.log.read_text()
    assert "WARNING metrics and health are not served" in text and "127.0.0.1:7603" in text
