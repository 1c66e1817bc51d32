"""Backups of a database that is served and written to, by command and by the
server itself, and what a failed one leaves: nothing."""

import contextlib
import os
import pty
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import threading

import book
import load
import pytest
import serving
import trades

OK, FAILURE, USAGE = 0, 1, 2
COPY = re.compile(r"book-\d{8}T\d{6}Z\.db")


def backup(*arguments, **changes):
    return serving.run("backup", *arguments, **changes)


def done(result):
    assert result.returncode == OK, result.stderr
    return result


def content(path):
    """Every row of every table."""
    with trades.connection(path) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {table: db.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables}


def assert_sound(path):
    assert book.File(path).query("PRAGMA integrity_check") == [("ok",)]


def names(folder, prefix):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(prefix))


def fill(path, megabytes):
    """Makes the database larger, with rows of the users' own."""
    with trades.connection(path) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TABLE ballast (id INTEGER PRIMARY KEY, content BLOB)")
        db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                   "INSERT INTO ballast (content) SELECT randomblob(100000) FROM n", (megabytes * 10,))


@pytest.fixture
def idle(tmp_path):
    """A database that nobody serves, with some rows."""
    with serving.Server(tmp_path / "book.db") as server, book.Client(server.address) as client:
        for number in range(5):
            client.ok("SignalService.CreateSignal", signal=book.signal(notes=str(number)))
    trades.closed(server.db, "BTC-USD", "ETH-USD")
    return server.db


def test_backup_of_an_idle_database_has_the_same_rows_in_one_file(idle, tmp_path):
    said = done(backup("--db", idle, tmp_path / "copy.db")).stdout
    assert content(tmp_path / "copy.db") == content(idle)
    assert names(tmp_path, "copy") == ["copy.db"]
    assert book.File(tmp_path / "copy.db").query("PRAGMA journal_mode") == [("delete",)]
    rows = sum(len(rows) for rows in content(idle).values())
    assert f"{rows} rows" in said and "verified" in said


def test_backup_has_the_permissions_of_the_database(idle, tmp_path):
    idle.chmod(0o640)
    done(backup("--db", idle, tmp_path / "copy.db"))
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o640


def test_backup_finds_the_database_as_serve_does(idle, tmp_path):
    done(backup(tmp_path / "a.db", TRADEBOOK_DB=str(idle)))
    done(backup(tmp_path / "b.db", DB_URL=f"sqlite:///{idle}"))
    assert content(tmp_path / "a.db") == content(tmp_path / "b.db") == content(idle)


def test_backup_under_load_is_a_snapshot(tmp_path):
    """What was acknowledged before it began is in it, each once; what is in it is
    in the database; the server goes on."""
    with serving.Server(tmp_path / "book.db") as server:
        with load.Load(server.address, writers=4, depth=16) as working:
            for number in range(3):
                working.wait_for(book.scaled(100))
                before = set(working.acknowledged)
                copy = tmp_path / f"copy-{number}.db"
                done(backup("--db", server.db, copy))
                working.wait_for(1)
                words = load.stored_words(book.File(copy))
                assert before <= set(words)
                assert set(words.values()) == {1}
                assert_sound(copy)
        assert not working.refused
        served = set(load.stored_words(book.File(server.db)))
        assert set(words) <= served and served == set(working.acknowledged)
    with serving.Server(copy) as restored, book.Client(restored.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal())


def test_backup_while_another_program_writes_too_is_one_snapshot(tmp_path):
    """Trades are closed in transactions of two; no copy has half of one."""
    server = serving.Server(tmp_path / "book.db")
    with server:
        stopping = threading.Event()

        def write():
            while not stopping.is_set():
                trades.closed(server.db, "BTC-USD", "ETH-USD")

        bot = threading.Thread(target=write)
        bot.start()
        try:
            for number in range(5):
                copy = tmp_path / f"{number}.db"
                done(backup("--db", server.db, copy))
                file = book.File(copy)
                assert file.query("SELECT count(*) % 2 FROM signal_results") == [(0,)]
                assert file.query("SELECT count(*), max(sequence) FROM tb_events") == file.query(
                    "SELECT count(*), count(*) FROM signal_results WHERE outcome = 'win'") or file.query(
                    "SELECT count(*) FROM signal_results") == [(0,)]
        finally:
            stopping.set()
            bot.join()


def test_backup_of_a_server_by_its_address(server, client, tmp_path):
    client.ok("SignalService.CreateSignal", signal=book.signal(notes="here"))
    for address in server.addresses.values():
        copy = tmp_path / f"{address.split(':')[0]}-copy.db"
        done(backup("--address", address, copy))
        assert load.stored_words(book.File(copy)) == {"here": 1}


def test_backup_of_no_server_fails(tmp_path):
    failed = backup("--address", f"ipc://{tmp_path}/nothing.sock", tmp_path / "copy.db")
    assert failed.returncode == FAILURE
    assert "UNAVAILABLE" in failed.stderr
    assert not names(tmp_path, "copy")


def test_backup_of_the_log_that_a_killed_server_left(tmp_path):
    server = serving.Server(tmp_path / "book.db").start()
    with book.Client(server.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="in the log"))
    server.kill()
    assert (tmp_path / "book.db-wal").stat().st_size > 0
    done(backup("--db", server.db, tmp_path / "copy.db"))
    assert load.stored_words(book.File(tmp_path / "copy.db")) == {"in the log": 1}


def test_existing_file_is_refused_unless_forced(idle, tmp_path):
    copy = tmp_path / "copy.db"
    copy.write_text("mine")
    refused = backup("--db", idle, copy)
    assert refused.returncode == FAILURE
    assert "already" in refused.stderr
    assert copy.read_text() == "mine"
    done(backup("--db", idle, copy, "--force"))
    assert content(copy) == content(idle)
    assert names(tmp_path, "copy") == ["copy.db"]


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("name, said", [
    ("book.db", "itself"), ("./book.db", "itself"), ("", "folder"), ("nowhere/copy.db", "No such file"),
    ("used.db", "in use")])
def test_destination_that_cannot_be_is_refused(idle, tmp_path, name, said, force):
    (tmp_path / "used.db-wal").write_text("somebody's log")
    before = names(tmp_path, ""), idle.read_bytes()
    refused = backup("--db", idle, f"{tmp_path}/{name}", *force)
    assert refused.returncode in (FAILURE, USAGE)
    assert said in refused.stderr
    assert (names(tmp_path, ""), idle.read_bytes()) == before


def test_forced_backup_over_a_served_database_is_refused(idle, tmp_path):
    with serving.Server(tmp_path / "other.db") as other:
        refused = backup("--db", idle, "--force", other.db)
        assert refused.returncode == FAILURE
        assert "open in another program" in refused.stderr
        with book.Client(other.address) as client:
            client.ok("SignalService.CreateSignal", signal=book.signal())


@pytest.mark.parametrize("make, said", [
    (lambda path: None, "no database"),
    (lambda path: path.write_bytes(b"no database at all" * 1000), "not an SQLite database"),
    (lambda path: path.touch(), "empty"),
    (lambda path: sqlite3.connect(path).execute("CREATE TABLE notes (text)").connection.close(), "another program"),
], ids=["missing", "garbage", "empty", "foreign"])
def test_backup_of_what_is_no_record_book_is_refused(tmp_path, make, said):
    make(tmp_path / "source")
    before = names(tmp_path, "")
    refused = backup("--db", tmp_path / "source", tmp_path / "copy.db")
    assert refused.returncode == FAILURE
    assert said in refused.stderr
    assert names(tmp_path, "") == before


@pytest.mark.parametrize("bytes_damaged", [4096, 1], ids=["page", "key"])
def test_backup_of_a_damaged_database_is_no_backup(idle, tmp_path, bytes_damaged):
    """A page that cannot be read, and a key that only SQLite's check compares with its index."""
    damaged = bytearray(idle.read_bytes())
    place = damaged.index(b"ETH-USD") // bytes_damaged * bytes_damaged
    damaged[place:place + bytes_damaged] = b"\x7f" * bytes_damaged
    idle.write_bytes(damaged)
    failed = backup("--db", idle, tmp_path / "copy.db")
    assert failed.returncode == FAILURE
    assert "damaged" in failed.stderr
    assert not names(tmp_path, "copy")


@pytest.fixture
def large(tmp_path):
    """A server of a database whose backup takes a while."""
    with serving.Server(tmp_path / "book.db") as server:
        fill(server.db, 40)
        yield server


def start_backup(server, copy):
    """A backup that has begun, on a terminal; its progress can be read."""
    ours, its = pty.openpty()
    process = subprocess.Popen([serving.BIN, "backup", "--db", server.db, copy], stderr=its, stdout=subprocess.DEVNULL,
                               env=serving.environment())
    os.close(its)
    said = b""
    while b"copying" not in said:
        said += os.read(ours, 4096)
    return process, ours


def ended(process, terminal):
    """Its exit status and the rest of what it said."""
    said = b""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 4096):
            said += data
    os.close(terminal)
    return process.wait(timeout=60), said.decode()


def test_killed_backup_leaves_no_copy_and_can_be_made_again(large, tmp_path):
    copy = tmp_path / "copy.db"
    with load.Load(large.address, writers=2) as working:
        process, terminal = start_backup(large, copy)
        process.kill()
        assert ended(process, terminal)[0] == -signal.SIGKILL
        assert not copy.exists()
        working.wait_for(10)
    assert not working.refused
    assert_sound(large.db)
    done(backup("--db", large.db, copy))
    assert names(tmp_path, "copy") == ["copy.db"]
    assert set(load.stored_words(book.File(copy))) == set(working.acknowledged)


@pytest.mark.parametrize("call", [1, 2, 20])
def test_what_a_killed_backup_left_is_overwritten(idle, tmp_path, call, run_traced):
    copy = tmp_path / "copy.db"
    partial = tmp_path / "copy.db.partial"
    fill(idle, 8)  # more than SQLite keeps in memory, so that the first page is not the first written
    killed = run_traced(f"pwrite64:signal=KILL:when={call}", "backup", "--db", idle, copy, path=partial)
    assert killed.returncode != OK
    assert names(tmp_path, "copy") == ["copy.db.partial"]
    assert call == 1 or partial.stat().st_size > 0
    done(backup("--db", idle, copy))
    assert names(tmp_path, "copy") == ["copy.db"]
    assert content(copy) == content(idle)


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("make, said", [
    (lambda path, idle: path.write_text("mine"), "not what a backup leaves"),
    (lambda path, idle: path.write_bytes(b"mine" * 1000), "not what a backup leaves"),
    (lambda path, idle: path.mkdir(), "not a file"),
    (lambda path, idle: path.symlink_to(idle), "not a file"),
    (lambda path, idle: [shutil.copy(idle, path), os.link(path, path.with_name("second"))], "second name"),
    (lambda path, idle: [shutil.copy(idle, path), path.with_name("copy.db.partial-wal").write_text("log")], "in use"),
    (lambda path, idle: idle.rename(path), "what is to be copied"),
], ids=["text", "page", "folder", "symbolic link", "hard link", "log", "source"])
def test_what_lies_where_the_copy_is_made_is_left_alone(idle, tmp_path, make, said, force):
    partial = tmp_path / "copy.db.partial"
    make(partial, idle)
    source = idle if idle.exists() else partial
    before = names(tmp_path, ""), source.read_bytes(), partial.is_file() and partial.read_bytes()
    refused = backup("--db", source, tmp_path / "copy.db", *force)
    assert refused.returncode in (FAILURE, USAGE)
    assert said in refused.stderr and str(partial) in refused.stderr
    assert (names(tmp_path, ""), source.read_bytes(), partial.is_file() and partial.read_bytes()) == before


def test_database_that_is_served_where_the_copy_would_be_made_is_left_alone(idle, tmp_path):
    with serving.Server(tmp_path / "copy.db.partial") as other, book.Client(other.address) as client:
        refused = backup("--db", idle, tmp_path / "copy.db")
        assert refused.returncode == FAILURE
        assert f"process, {other.process.pid} (" in refused.stderr
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="goes on"))
    assert load.stored_words(book.File(other.db)) == {"goes on": 1}


def test_one_of_two_backups_that_begin_together_is_made(idle, tmp_path):
    for number in range(10):
        copy = tmp_path / f"copy-{number}.db"
        both = [subprocess.Popen([serving.BIN, "backup", "--db", idle, copy], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True, env=serving.environment()) for _ in range(2)]
        said = [process.communicate(timeout=60)[1] for process in both]
        assert OK in [process.returncode for process in both], said
        assert_sound(copy)


def test_folder_that_cannot_be_read_is_refused_before_there_is_a_copy(idle, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o300)
    refused = serving.run_unprivileged("backup", "--db", idle, secret / "copy.db")
    secret.chmod(0o700)
    assert refused.returncode == FAILURE
    assert "opening the folder" in refused.stderr and "Permission denied" in refused.stderr
    assert names(secret, "") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_interrupted_backup_leaves_nothing(large, tmp_path, number):
    process, terminal = start_backup(large, tmp_path / "copy.db")
    process.send_signal(number)
    status, said = ended(process, terminal)
    assert status == FAILURE
    assert "before it was done" in said
    assert not names(tmp_path, "copy")


def test_two_backups_to_one_file_do_not_mix(large, tmp_path):
    copy = tmp_path / "copy.db"
    process, terminal = start_backup(large, copy)
    os.kill(process.pid, signal.SIGSTOP)
    second = backup("--db", large.db, copy)
    os.kill(process.pid, signal.SIGCONT)
    assert ended(process, terminal)[0] == OK
    assert second.returncode == FAILURE
    assert "Another process" in second.stderr
    assert_sound(copy)


def test_progress_is_shown_on_a_terminal_only(large, tmp_path):
    process, terminal = start_backup(large, tmp_path / "a.db")
    status, said = ended(process, terminal)
    assert status == OK
    assert said.endswith("\r\x1b[K")
    assert done(backup("--db", large.db, tmp_path / "b.db")).stderr == ""


def test_log_starts_over_after_a_backup(large, tmp_path):
    """The snapshot of a backup holds the log back no longer than it lasts."""
    with load.Load(large.address, writers=2) as working:
        done(backup("--db", large.db, tmp_path / "copy.db"))
        working.wait_for(book.scaled(100))
    assert large.stop() == 0
    assert names(tmp_path, "book.db-") == []
    large.restart()


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def test_full_disk_leaves_nothing(large, small_disk):
    failed = backup("--db", large.db, small_disk / "copy.db")
    assert failed.returncode == FAILURE
    assert "disk is full" in failed.stderr
    assert list(small_disk.iterdir()) == []
    with book.Client(large.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal())


# Backups that the server makes by itself.

def wait_for_log(server, text, times=1):
    for _ in range(6000):
        if server.log.read_text().count(text) >= times:
            return
        threading.Event().wait(0.01)
    pytest.fail(f"no {times} lines with {text!r}: {server.log.read_text()}")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


def test_server_makes_backups_and_keeps_the_newest(tmp_path, folder):
    others = ["book-20260102T030405Z.db.gz", "book-yesterday.db", "notes.txt", "other-20260102T030405Z.db"]
    for name in others:
        (folder / name).write_text("mine")
    with serving.Server(tmp_path / "book.db", "--backup-dir", folder, "--backup-interval", 1, "--backup-keep",
                        2) as server, load.Load(server.address, writers=2) as working:
        wait_for_log(server, "backup made", 4)
    copies = [name for name in names(folder, "book-") if COPY.fullmatch(name)]
    made = re.findall(r"backup made file=\S*/(book-\S+\.db) ", server.log.read_text())
    assert copies == made[-2:]
    assert set(names(folder, "")) == {*copies, *others}
    for name in copies:
        assert_sound(folder / name)
        assert set(load.stored_words(book.File(folder / name))) <= set(working.acknowledged)


def test_first_backup_is_made_at_once_and_the_next_counts_from_it(tmp_path, folder):
    options = ["--backup-dir", folder, "--backup-interval", 3600]
    with serving.Server(tmp_path / "book.db", *options) as server:
        wait_for_log(server, "backup made")
    made = names(folder, "")
    assert len(made) == 1
    with serving.Server(tmp_path / "book.db", *options):  # an hour has not passed
        pass
    assert names(folder, "") == made
    (folder / made[0]).rename(folder / "book-20200102T030405Z.db")  # now it has
    with serving.Server(tmp_path / "book.db", *options) as server:
        wait_for_log(server, "backup made")
    assert len(names(folder, "")) == 2


def test_copies_of_the_future_go_first_and_delay_nothing(tmp_path, folder):
    """As a clock that was wrong, and is set back, leaves them."""
    ahead = [f"book-{year}0102T030405Z.db" for year in (2097, 2098, 2099)]
    for name in ahead:
        (folder / name).write_text("of the future")
    options = ["--backup-dir", folder, "--backup-keep", 2]
    with serving.Server(tmp_path / "book.db", *options) as server:
        wait_for_log(server, "removed=2")
    (made,) = re.findall(r"backup made file=\S*/(book-\S+\.db) ", server.log.read_text())
    assert names(folder, "") == [made, ahead[-1]]
    with serving.Server(tmp_path / "book.db", *options):  # a day has not passed
        pass
    assert names(folder, "") == [made, ahead[-1]]


def test_failed_backup_is_tried_again_before_the_interval_is_over(large, small_disk):
    assert large.stop() == 0
    with serving.Server(large.db, "--backup-dir", small_disk, "--backup-interval", 70) as server:
        wait_for_log(server, "backup failed", 2)  # for less than that
        assert "disk is full" in server.log.read_text()
    large.restart()


def test_failed_backup_is_logged_and_tried_again(tmp_path, folder):
    elsewhere = tmp_path / "elsewhere"
    old = folder / "book-20200102T030405Z.db"
    old.write_text("kept as long as there is none newer")
    folder.rename(elsewhere)
    folder.mkdir()
    with serving.Server(tmp_path / "book.db", "--backup-dir", folder, "--backup-interval", 1, "--backup-keep",
                        1) as server:
        wait_for_log(server, "backup made")
        subprocess.run(["rm", "-r", folder], check=True)
        wait_for_log(server, "backup failed", 2)
        with book.Client(server.address) as client:
            client.ok("SignalService.CreateSignal", signal=book.signal())
        before = server.log.read_text().count("backup made")
        elsewhere.rename(folder)
        wait_for_log(server, "backup made", before + 1)
    assert "No such file" in server.log.read_text()
    assert not old.exists()


def test_unfinished_backup_of_a_killed_server_is_removed(tmp_path, folder):
    for suffix in (".partial", ".partial-wal"):
        (folder / f"book-20260102T030405Z.db{suffix}").write_text("half")
    with serving.Server(tmp_path / "book.db", "--backup-dir", folder) as server:
        wait_for_log(server, "backup made")
    assert all(COPY.fullmatch(name) for name in names(folder, ""))


def test_server_that_stops_gives_up_its_backup(tmp_path, folder):
    db = tmp_path / "book.db"
    with serving.Server(db):
        fill(db, 40)
    with serving.Server(db, "--backup-dir", folder):
        for _ in range(6000):
            if names(folder, "book-"):
                break
            threading.Event().wait(0.001)
    assert all(COPY.fullmatch(name) for name in names(folder, ""))
    for name in names(folder, ""):
        assert_sound(folder / name)


def test_folder_that_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(serving.NotServing) as failure:
        serving.Server(tmp_path / "book.db", "--backup-dir", tmp_path / "nowhere").start()
    assert failure.value.status == USAGE
    assert "--backup-dir" in failure.value.text
    assert not (tmp_path / "book.db").exists()


def test_file_instead_of_a_folder_is_refused(tmp_path):
    (tmp_path / "backups").write_text("mine")
    with pytest.raises(serving.NotServing) as failure:
        serving.Server(tmp_path / "book.db", "--backup-dir", tmp_path / "backups").start()
    assert failure.value.status == USAGE
    assert f"--backup-dir: {tmp_path}/backups is not a folder" in failure.value.text
    assert not (tmp_path / "book.db").exists()


def test_settings_from_environment_and_file(tmp_path, folder):
    (tmp_path / "c.ini").write_text("backup-interval = 1\nbackup-keep = 1\n")
    clean = serving.environment(TRADEBOOK_BACKUP_DIR=str(folder))
    server = serving.Server(tmp_path / "book.db", "--config", tmp_path / "c.ini")
    original = serving.environment
    serving.environment = lambda **changes: {**clean, **changes}
    try:
        server.start()
    finally:
        serving.environment = original
    with server:
        wait_for_log(server, "removed=1")
    assert len(names(folder, "")) == 1
