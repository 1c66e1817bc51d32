"""Files and processes that get in the way: the server refuses to start with a
sentence that says what to do, or answers so and recovers. What was acknowledged
stays, and nothing is stored twice."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading

import book
import load
import pytest
import serving
from book import DATA_LOSS, INVALID_ARGUMENT, OK, RESOURCE_EXHAUSTED, UNAVAILABLE

FAILURE, USAGE = 1, 2


def refused(db, *options, **popen):
    """The exit status and the sentence of a server that does not start."""
    with pytest.raises(serving.NotServing) as failure:
        with serving.Server(db, *options, **popen):
            pass
    said = failure.value.text
    sentence = [line for line in said.splitlines() if line.startswith("tradebook serve: ")]
    assert len(sentence) == 1, said
    return failure.value.status, sentence[0]


def neighbours(path):
    return sorted(entry.name for entry in path.parent.iterdir() if not entry.name.endswith(".log"))


# Start: files.

def foreign_tables(connection):
    connection.executescript("CREATE TABLE contacts (name TEXT); INSERT INTO contacts VALUES ('somebody')")


def newer_schema(connection):
    connection.execute("UPDATE tb_meta SET value = 99 WHERE key = 'schema_version'")


@pytest.mark.parametrize("content", [b"symbol,price\nBTC-USD,100\n" * 50, b"\0" * 8192, b"SQLite format 4\0" + bytes(8000)],
                         ids=["text", "zeroes", "other magic"])
def test_start_not_a_database_refused(tmp_path, content):
    db = tmp_path / "book.db"
    db.write_bytes(content)
    status, sentence = refused(db)
    assert status == FAILURE
    assert "not an SQLite database" in sentence
    assert db.read_bytes() == content
    assert neighbours(db) == ["book.db"]


def test_start_foreign_database_refused(tmp_path):
    db = tmp_path / "book.db"
    with contextlib.closing(sqlite3.connect(db)) as connection:
        foreign_tables(connection)
    content = db.read_bytes()
    status, sentence = refused(db)
    assert status == FAILURE
    assert "another program" in sentence and str(db) in sentence
    assert db.read_bytes() == content
    assert neighbours(db) == ["book.db"]


def test_start_newer_schema_refused(tmp_path):
    db = tmp_path / "book.db"
    with serving.Server(db):
        pass
    with contextlib.closing(sqlite3.connect(db)) as connection, connection:
        newer_schema(connection)
    rows = book.File(db).query("SELECT * FROM tb_meta")
    status, sentence = refused(db)
    assert status == FAILURE
    assert "newer tradebook" in sentence and "99" in sentence
    assert book.File(db).query("SELECT * FROM tb_meta") == rows


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: os.mkfifo(path)], ids=["folder", "fifo"])
def test_start_on_what_is_no_file_refused(tmp_path, make):
    db = tmp_path / "book.db"
    make(db)
    status, sentence = refused(db)
    assert status == FAILURE


def test_start_in_missing_folder_refused(tmp_path):
    (tmp_path / "here").mkdir()
    with pytest.raises(serving.NotServing) as failure:
        server = serving.Server(tmp_path / "here" / "book.db")
        server.db = tmp_path / "nowhere" / "book.db"
        server.start()
    assert failure.value.status == FAILURE
    assert "nowhere" in failure.value.text and "Create it first" in failure.value.text


def test_start_unknown_backend_refused(tmp_path):
    run = serving.run("serve", "--db", "mysql://localhost/book")
    assert run.returncode == USAGE
    assert "mysql://localhost/book" in run.stderr


@pytest.fixture
def unprivileged():
    """A folder that an ordinary user can reach, and what runs a program as one."""
    folder = pathlib.Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    prefix = [] if os.geteuid() else ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    try:
        if prefix and subprocess.run([*prefix, serving.BIN, "version"], capture_output=True).returncode != 0:
            pytest.skip("another user cannot run the program where it is")
        yield folder, prefix
    finally:
        folder.chmod(0o777)
        shutil.rmtree(folder)


@pytest.mark.parametrize("adopted", [True, False], ids=["served before", "of a bot"])
def test_start_read_only_file_refused(unprivileged, adopted):
    folder, prefix = unprivileged
    db = folder / "book.db"
    with serving.Server(db):
        pass
    if not adopted:
        with contextlib.closing(sqlite3.connect(db)) as connection:
            connection.executescript("PRAGMA journal_mode=DELETE; DROP TABLE tb_meta; DROP TABLE tb_requests")
    for name in neighbours(db):
        if name != "book.db":
            (folder / name).unlink()
    db.chmod(0o444)
    content = db.read_bytes()
    status, sentence = refused(db, prefix=prefix)
    assert status == FAILURE
    assert re.search(r"read-only|writ", sentence), sentence
    assert db.read_bytes() == content


def test_start_read_only_folder_refused(unprivileged):
    folder, prefix = unprivileged
    db = folder / "book.db"
    with serving.Server(db):
        pass
    for name in neighbours(db):
        if name != "book.db":
            (folder / name).unlink()
    db.chmod(0o666)
    folder.chmod(0o555)
    status, sentence = refused(db, prefix=prefix, ipc=False)
    assert status == FAILURE
    assert str(folder) in sentence and "writable" in sentence


@pytest.mark.parametrize("way", ["same path", "symbolic link", "relative path"])
def test_start_second_server_on_same_file_refused(tmp_path, way):
    db = tmp_path / "book.db"
    with serving.Server(db) as server:
        other, options = db, {}
        if way == "symbolic link":
            other = tmp_path / "link.db"
            other.symlink_to(db)
        elif way == "relative path":
            other, options = pathlib.Path("sub/../book.db"), {"cwd": tmp_path}
            (tmp_path / "sub").mkdir()
        run = serving.run("serve", "--db", other, "--listen", "tcp://127.0.0.1:0") if not options else subprocess.run(
            [serving.BIN, "serve", "--db", str(other), "--listen", "tcp://127.0.0.1:0"], capture_output=True, text=True,
            env=serving.environment(), timeout=60, **options)
        assert run.returncode == FAILURE
        assert "served already" in run.stderr and str(server.process.pid) in run.stderr
        with book.Client(server.address) as client:
            client.ok("SignalService.CreateSignal", signal=book.signal())


def test_start_after_kill_needs_no_cleaning(tmp_path):
    """Lock file, socket and log of a killed server are in nobody's way."""
    server = serving.Server(tmp_path / "book.db").start()
    with book.Client(server.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal())
    server.kill()
    with server.restart(), book.Client(server.addresses["ipc"]) as client:
        assert len(client.ok("SignalService.ListSignals").signals) == 1


def test_start_file_locked_for_long_refused(tmp_path):
    """It waits first: whoever holds the lock may be about to finish."""
    db = tmp_path / "book.db"
    with serving.Server(db):
        pass
    with book.File(db).locked():
        status, sentence = refused(db)
    assert status == FAILURE
    assert "locked by another program" in sentence
    with serving.Server(db):
        pass


# Start: options and settings.

OPTIONS = {
    "unknown option": (["--nothing"], "nothing"),
    "number expected": (["--readers", "many"], "--readers"),
    "out of range": (["--readers", "0"], "--readers"),
    "beyond 64 bits": (["--queue", "99999999999999999999"], "--queue"),
    "number with a unit": (["--timeout-default", "5s"], "--timeout-default"),
    "not a level": (["--log-level", "loud"], "--log-level"),
    "not octal": (["--ipc-mode", "0999"], "--ipc-mode"),
    "NaN": (["--breakeven-band", "nan"], "--breakeven-band"),
    "default above maximum": (["--timeout-default", "5000", "--timeout-max", "100"], "timeout-default"),
    "no value": (["--queue"], "queue"),
    "argument too many": (["here"], "here"),
    "address without scheme": (["--listen", "localhost:7601"], "localhost:7601"),
    "address of unknown scheme": (["--listen", "udp://127.0.0.1:1"], "udp://127.0.0.1:1"),
    "ipc path not absolute": (["--listen", "ipc://book.sock"], "ipc://book.sock"),
    "ipc path too long": (["--listen", "ipc:///" + "x" * 200], "ipc:///xxx"),
    "port too large": (["--listen", "tcp://127.0.0.1:99999"], "tcp://127.0.0.1:99999"),
    "empty database path": (["--db", ""], "--db"),
    "descriptor not open": (["--ready-fd", "77"], "--ready-fd"),
    "no config file": (["--config", "/nowhere/tradebook.conf"], "/nowhere/tradebook.conf"),
}


@pytest.mark.parametrize("row", OPTIONS)
def test_start_bad_option_named(tmp_path, row):
    options, named = OPTIONS[row]
    run = serving.run("serve", "--db", tmp_path / "book.db", *options)
    assert run.returncode == USAGE, run.stderr
    assert named in run.stderr
    assert not (tmp_path / "book.db").exists() or row.startswith(("address", "ipc", "port"))


@pytest.mark.parametrize("name, value", [("TRADEBOOK_QUEUE", "many"), ("TRADEBOOK_LOG_FORMAT", "xml"),
                                         ("TRADEBOOK_LISTEN", "tcp://a,,tcp://b"), ("DB_URL", "mysql://x/y")])
def test_start_bad_environment_named(tmp_path, name, value):
    run = subprocess.run([serving.BIN, "serve"], capture_output=True, text=True, cwd=tmp_path, timeout=60,
                         env=serving.environment(**{name: value}))
    assert run.returncode == USAGE, run.stderr
    assert (name if name != "DB_URL" else value) in run.stderr


@pytest.mark.parametrize("line, named", [
    ("qeue = 5", "queue"), ("queue = many", "queue"), ("queue", "name = value"), ("[other]\nqueue = 5", "other"),
    ("config = other.conf", "config")], ids=["misspelt", "bad value", "no value", "unknown section", "itself"])
def test_start_bad_config_line_named(tmp_path, line, named):
    config = tmp_path / "tradebook.conf"
    config.write_text("readers = 2\n" + line + "\n")
    run = serving.run("serve", "--config", config, "--db", tmp_path / "book.db")
    assert run.returncode == USAGE, run.stderr
    assert f"{config}:{2 + line.count(chr(10))}" in run.stderr
    assert named in run.stderr


def test_start_address_in_use_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "tcp://127.0.0.1:%d" % taken.getsockname()[1]
        run = serving.run("serve", "--db", tmp_path / "book.db", "--listen", address)
    assert run.returncode == FAILURE
    assert address in run.stderr and "in use" in run.stderr


def test_start_ipc_path_taken_by_a_file_refused(tmp_path):
    (tmp_path / "book.sock").write_text("precious")
    run = serving.run("serve", "--db", tmp_path / "book.db", "--listen", f"ipc://{tmp_path}/book.sock")
    assert run.returncode == FAILURE
    assert "book.sock" in run.stderr
    assert (tmp_path / "book.sock").read_text() == "precious"


# While serving: other programs, and limits.

def test_file_locked_by_another_program_waits_then_unavailable(tmp_path):
    with serving.Server(tmp_path / "book.db") as server, book.Client(server.address) as client:
        file = book.File(server.db)
        kept = client.ok("SignalService.CreateSignal", signal=book.signal())
        request = load.request_for("locked").SerializeToString()
        with file.locked():
            client.send(request)
            # Reads do not wait for writers.
            with book.Client(server.address) as reader:
                for _ in range(20):
                    assert reader.ok("SignalService.GetSignal", id=kept.id) == kept
            reply = book.rpc_pb2.Reply.FromString(client.receive()[1])
        assert reply.code == UNAVAILABLE
        assert "locked by another program" in reply.message
        assert load.stored_words(file).get("locked", 0) == 0
        # It works again, also for the same request.
        assert client.call_raw(request).code == OK
        assert load.stored_words(file)["locked"] == 1


def test_file_locked_for_a_moment_waits_and_succeeds(tmp_path):
    with serving.Server(tmp_path / "book.db") as server, book.Client(server.address) as client:
        with book.File(server.db).locked() as unlock:
            client.send(load.request_for("waits").SerializeToString())
            with book.Client(server.address) as reader:
                reader.ok("Health.Check")
            unlock()
            assert book.rpc_pb2.Reply.FromString(client.receive()[1]).code == OK


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def fill(disk):
    """Takes all room that is left; returns the file that holds it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def test_disk_full_resource_exhausted_and_recovers(small_disk):
    db = small_disk / "book.db"
    file = book.File(db)
    with serving.Server(db) as server, book.Client(server.address) as client:
        kept = client.ok("SignalService.CreateSignal", signal=book.signal(notes="kept"))
        filler = fill(small_disk)
        stored, replies = [], []
        while not replies or replies[-1].code == OK:
            word = f"w{len(replies)}-" + "x" * 8000
            replies.append(client.call_raw(load.request_for(word).SerializeToString()))
            if replies[-1].code == OK:
                stored.append(word)
        assert replies[-1].code == RESOURCE_EXHAUSTED, replies[-1]
        assert "disk is full" in replies[-1].message
        # Reads go on, of what was stored before and since.
        assert client.ok("SignalService.GetSignal", id=kept.id) == kept
        notes = {s.notes for s in client.ok("SignalService.ListSignals", page_size=1000).signals}
        assert notes == {"kept", *stored}
        # Several at once and a batch fail as well, and have no effect.
        for _ in range(8):
            client.send(load.request_for("refused-" + "x" * 8000).SerializeToString())
        assert {book.rpc_pb2.Reply.FromString(client.receive()[1]).code for _ in range(8)} == {RESOURCE_EXHAUSTED}
        batch = client.reply("SignalService.BatchCreateSignals",
                             signals=[book.signal(notes="refused-" + "x" * 8000) for _ in range(50)])
        assert batch.code == RESOURCE_EXHAUSTED
        filler.unlink()
        request = load.request_for("room").SerializeToString()
        first = client.call_raw(request)
        assert first.code == OK
        assert client.call_raw(request) == first
        expected = {word: 1 for word in ["kept", "room", *stored]}
        assert load.stored_words(file) == expected
    assert file.query("PRAGMA integrity_check") == [("ok",)]
    with serving.Server(db):
        assert load.stored_words(file) == expected


def test_start_on_full_disk_refused(small_disk):
    filler = fill(small_disk)
    db = small_disk / "book.db"
    server = serving.Server(db, ipc=False)
    server.log = small_disk.with_name("server.log")
    with pytest.raises(serving.NotServing) as failure:
        server.start()
    assert failure.value.status == FAILURE
    assert re.search(r"disk is full|No space left", failure.value.text), failure.value.text
    filler.unlink()
    with serving.Server(db):
        pass


def test_out_of_descriptors_recovers(tmp_path):
    with serving.Server(tmp_path / "book.db", prefix=["prlimit", "--nofile=64:64"]) as server:
        with book.Client(server.address) as client:
            with contextlib.ExitStack() as stack:
                crowd = [stack.enter_context(book.sp.connect(server.address)) for _ in range(100)]
                # Nobody can come in; who is in is served.
                for _ in range(20):
                    client.ok("SignalService.CreateSignal", signal=book.signal())
                assert len(os.listdir(f"/proc/{server.process.pid}/fd")) >= 60, len(crowd)
            for address in server.addresses.values():
                with book.Client(address) as newcomer:
                    newcomer.ok("SignalService.CreateSignal", signal=book.signal())
            assert client.ok("AdminService.GetServerInfo").tables[0].rows == 22


def test_record_larger_than_the_memory_of_a_request_resource_exhausted(tmp_path):
    """Other programs store what they like; only requests for it fail."""
    with serving.Server(tmp_path / "book.db", "--message-bytes", 65536) as server:
        with book.Client(server.address) as client:
            small = client.ok("SignalService.CreateSignal", signal=book.signal())
            large = client.ok("SignalService.CreateSignal", signal=book.signal())
            with contextlib.closing(sqlite3.connect(server.db)) as connection, connection:
                connection.execute("UPDATE signals SET notes = ? WHERE id = ?", ("x" * (8 << 20), large.id))
            reply = client.reply("SignalService.GetSignal", id=large.id)
            assert reply.code == RESOURCE_EXHAUSTED
            assert "too large" in reply.message
            assert client.reply("SignalService.ListSignals").code == RESOURCE_EXHAUSTED
            assert client.ok("SignalService.GetSignal", id=small.id) == small


def damage_page_of(db, text):
    """Overwrites the page that holds this text."""
    content = bytearray(db.read_bytes())
    page = content.index(text) // 4096 * 4096
    content[page:page + 4096] = b"\xff" * 4096
    db.write_bytes(content)


def test_damaged_page_data_loss(tmp_path):
    db = tmp_path / "book.db"
    marker = "here is the page " + "x" * 3000
    with serving.Server(db) as server, book.Client(server.address) as client:
        pattern = client.ok("PatternService.CreatePattern", pattern=book.pattern())
        signals = [client.ok("SignalService.CreateSignal", signal=book.signal(notes=notes))
                   for notes in ("x" * 3000, marker, "x" * 3000)]
    damage_page_of(db, marker.encode())
    with serving.Server(db) as server, book.Client(server.address) as client:
        reply = client.reply("SignalService.GetSignal", id=signals[1].id)
        assert reply.code == DATA_LOSS
        assert "damaged" in reply.message and "backup" in reply.message
        assert client.reply("SignalService.ListSignals").code == DATA_LOSS
        # What is on other pages is still served.
        assert client.ok("SignalService.GetSignal", id=signals[0].id) == signals[0]
        assert client.ok("PatternService.GetPattern", id=pattern.id) == pattern


# The end of the process.

def assert_kept(file, working):
    """Everything acknowledged is there and nothing is there twice."""
    stored = load.stored_words(file)
    assert all(count == 1 for count in stored.values())
    assert set(working.acknowledged) <= set(stored)
    assert not set(working.refused) & set(stored)


def test_sigterm_while_writing_ends_in_order(tmp_path):
    server = serving.Server(tmp_path / "book.db").start()
    file = book.File(server.db)
    with load.Load(server.address, writers=4, depth=16) as working:
        working.wait_for(book.scaled(100))
        assert server.stop() == 0
    # Nothing is left to recover.
    assert neighbours(server.db) == ["book.db", "book.db.lock"]
    assert_kept(file, working)
    assert all(reply.code == UNAVAILABLE for reply in working.refused.values())
    assert file.query("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_signal_while_idle_exits_0(tmp_path, number):
    server = serving.Server(tmp_path / "book.db").start()
    with book.Client(server.address), book.Client(server.addresses["ipc"]):
        server.process.send_signal(number)
        assert server.process.wait(timeout=60) == 0
    assert not pathlib.Path(f"{server.db}.sock").exists()


def test_kill_while_writing_keeps_what_was_acknowledged(tmp_path):
    """Again and again on the same file; what was not answered is sent again with
    the same request id and then there once."""
    server = serving.Server(tmp_path / "book.db").start()
    file = book.File(server.db)
    expected = set()
    for _ in range(3):
        with load.Load(server.address, writers=4, depth=16) as working:
            working.wait_for(book.scaled(60))
            assert server.kill() == -signal.SIGKILL
        assert not working.refused
        server.restart()
        assert_kept(file, working)
        with book.Client(server.address) as client:
            for request in working.unanswered.values():
                assert client.call_raw(request.SerializeToString()).code == OK
        expected |= set(working.acknowledged) | set(working.unanswered)
        assert load.stored_words(file) == dict.fromkeys(expected, 1)
    assert server.stop() == 0
    assert file.query("PRAGMA integrity_check") == [("ok",)]
