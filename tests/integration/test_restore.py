"""Putting a backup in the place of a database, making one compact, and checking
one: what is refused, and that nothing of the former is lost."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys

import book
import load
import pytest
import serving
import trades

OK, FAILURE, USAGE = 0, 1, 2
FIXTURE = pathlib.Path(os.environ.get("TRADEBOOK_FIXTURE", ""))


def done(result):
    assert result.returncode == OK, result.stderr
    return result


def content(path):
    """Every row of every table."""
    with trades.connection(path) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        return {table: db.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables}


def pages(path):
    """The bytes of the file but for SQLite's change counter, of which each file has
    its own."""
    content = path.read_bytes()
    return content[:24], content[28:92], content[96:]


def names(folder, prefix=""):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(prefix))


def kept_beside(db):
    """The former database."""
    (kept,) = [path for path in db.parent.iterdir()
               if re.fullmatch(re.escape(db.name) + r"\.before-restore-\d{8}T\d{6}Z", path.name)]
    return kept


@contextlib.contextmanager
def opened_elsewhere(path, sql="SELECT count(*) FROM signals"):
    """Another program has the file open; sql was the last it did."""
    program = ("import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
               "db.execute(sys.argv[2]).fetchall()\nprint('ready', flush=True)\nsys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", program, path, sql], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


@pytest.fixture
def db(tmp_path):
    """A database that nobody serves, with a word "old" and two closed trades, its
    backup, and then a word "new"."""
    server = serving.Server(tmp_path / "book.db")
    with server, book.Client(server.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="old"))
        trades.closed(server.db, "BTC-USD", "ETH-USD")
        done(serving.run("backup", "--db", server.db, tmp_path / "backup.db"))
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="new"))
    return server.db


@pytest.fixture
def backup(db):
    return db.with_name("backup.db")


def words(path):
    return {word for word in load.stored_words(book.File(path)) if word}


# restore

def test_restore_is_exact_and_keeps_the_former(db, backup):
    former = content(db)
    said = done(serving.run("restore", "--db", db, backup)).stdout
    assert pages(db) == pages(backup)
    assert content(kept_beside(db)) == former
    assert str(kept_beside(db)) in said
    assert words(db) == {"old"} and words(kept_beside(db)) == {"old", "new"}
    assert names(db.parent) == sorted(["backup.db", "book.db", "book.db.log", kept_beside(db).name])
    with serving.Server(db) as server, book.Client(server.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="newer"))
    assert words(db) == {"old", "newer"}


def test_restore_to_a_new_place(db, backup, tmp_path):
    said = done(serving.run("restore", "--db", tmp_path / "new.db", backup)).stdout
    assert pages(tmp_path / "new.db") == pages(backup)
    assert "former" not in said
    assert names(tmp_path, "new") == ["new.db"]


def test_restore_keeps_what_is_only_in_the_log(db, backup):
    server = serving.Server(db).start()
    with book.Client(server.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="in the log"))
    server.kill()
    done(serving.run("restore", "--db", db, backup))
    assert words(kept_beside(db)) == {"old", "new", "in the log"}
    assert words(db) == {"old"}
    assert names(db.parent, "book.db-") == []


def test_restore_can_be_undone_by_renaming(db, backup):
    former = content(db)
    done(serving.run("restore", "--db", db, backup))
    kept_beside(db).rename(db)
    with serving.Server(db):
        pass
    assert content(db) == former


def test_restore_leaves_permissions_as_they_are(db, backup):
    db.chmod(0o640)
    backup.chmod(0o444)
    done(serving.run("restore", "--db", db, backup))
    assert stat.S_IMODE(db.stat().st_mode) == 0o640
    done(serving.run("restore", "--db", db.with_name("new.db"), backup))
    assert stat.S_IMODE(db.with_name("new.db").stat().st_mode) == 0o644  # it will be written


@pytest.mark.parametrize("damage", [
    lambda content: b"\xff" * len(content),
    lambda content: content[:4096] + b"\xff" * 4096 + content[8192:],
    lambda content: b"",
], ids=["all", "page", "empty"])
def test_restore_over_a_damaged_database_keeps_file_and_log(db, backup, damage):
    server = serving.Server(db).start()
    with book.Client(server.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="in the log"))
    server.kill()
    db.write_bytes(damage(db.read_bytes()))
    damaged, log = db.read_bytes(), (db.parent / "book.db-wal").read_bytes()
    done(serving.run("restore", "--db", db, backup))
    assert pages(db) == pages(backup)
    assert names(db.parent, "book.db-") == []
    kept = kept_beside(db)
    with_log = kept.with_name(kept.name + "-wal")
    assert not with_log.exists() or (kept.read_bytes(), with_log.read_bytes()) == (damaged, log)
    assert with_log.exists() or b"in the log" in kept.read_bytes()


def put_back(folder, files):
    """Makes these all that there is."""
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    for path, content in files.items():
        path.write_bytes(content)


def restore_killed_at_each_step(run_traced, db, backup):
    """Yields after each kill; then everything is as it was before."""
    before = {path: path.read_bytes() for path in db.parent.iterdir() if path.is_file()}
    for call in ("link", "unlink", "rename", "renameat2", "fsync"):
        for number in range(1, 50):
            if run_traced(f"{call}:signal=KILL:when={number}", "restore", "--db", db, backup).returncode == OK:
                break
            yield f"{call} {number}"
            put_back(db.parent, before)
        else:
            pytest.fail("it never ends")
        put_back(db.parent, before)


def test_restore_killed_at_any_step_leaves_one_whole_database(db, backup, run_traced):
    former, restored = content(db), content(backup)
    seen = set()
    for step in restore_killed_at_each_step(run_traced, db, backup):
        assert db.stat().st_nlink == 1, step
        now = content(db)
        assert now in (former, restored), step
        seen.add(now == restored)
        assert now == former or content(kept_beside(db)) == former, step
        assert check(db)["sound"], step
    assert seen == {False, True}


def test_restore_over_a_damaged_database_killed_at_any_step_can_be_repeated(db, backup, run_traced):
    server = serving.Server(db).start()
    with book.Client(server.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="in the log"))
    server.kill()
    db.write_bytes(b"\xff" * 8192)
    log = (db.parent / "book.db-wal").read_bytes()
    assert b"in the log" in log
    for step in restore_killed_at_each_step(run_traced, db, backup):
        assert db.stat().st_nlink == 1, step
        while (again := serving.run("restore", "--db", db, backup)).returncode != OK:
            assert "File exists" in again.stderr, step  # the second is not over
        assert pages(db) == pages(backup), step
        assert names(db.parent, "book.db-") == [], step
        kept = [path.read_bytes() for path in db.parent.iterdir() if path.name.startswith("book.db.before-restore-")]
        assert b"\xff" * 8192 in kept and log in kept, step


def test_restore_without_exchange_of_names_keeps_the_former(db, backup, run_traced):
    """As on file systems that cannot do it."""
    former = content(db)
    done(run_traced("renameat2:error=EINVAL", "restore", "--db", db, backup))
    assert pages(db) == pages(backup)
    assert content(kept_beside(db)) == former
    assert db.stat().st_nlink == kept_beside(db).stat().st_nlink == 1


def test_source_where_the_copy_would_be_made_is_left_alone(db, backup):
    source = backup.rename(db.with_name("book.db.partial"))
    before = db.read_bytes(), source.read_bytes()
    refused = serving.run("restore", "--db", db, source)
    assert refused.returncode == USAGE
    assert "is what is to be copied" in refused.stderr
    assert (db.read_bytes(), source.read_bytes()) == before


@pytest.mark.parametrize("command", ["restore", "vacuum"])
def test_file_where_the_copy_would_be_made_is_left_alone(db, backup, command):
    db.with_name("book.db.partial").write_text("mine")
    before = content(db)
    refused = serving.run(command, "--db", db, *([backup] if command == "restore" else []))
    assert refused.returncode == FAILURE
    assert "not what a backup leaves" in refused.stderr
    assert (content(db), db.with_name("book.db.partial").read_text()) == (before, "mine")


def test_vacuum_killed_at_any_write_can_be_repeated(db, run_traced):
    former = content(db)
    for number in (1, 2, 20):
        killed = run_traced(f"pwrite64:signal=KILL:when={number}", "vacuum", "--db", db,
                            path=db.with_name("book.db.partial"))
        assert killed.returncode != OK
        assert content(db) == former
    done(serving.run("vacuum", "--db", db))
    assert content(db) == former
    assert names(db.parent, "book.db.partial") == []


def test_restore_of_a_served_database_is_refused(db, backup):
    with serving.Server(db) as server, book.Client(server.address) as client:
        refused = serving.run("restore", "--db", db, backup)
        assert refused.returncode == FAILURE
        assert "served already by process" in refused.stderr
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="goes on"))
    assert words(db) == {"old", "new", "goes on"}
    assert not names(db.parent, "book.db.before")


@pytest.mark.parametrize("command", ["restore", "vacuum"])
@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT count(*) FROM signals", "BEGIN IMMEDIATE"])
def test_replacing_what_another_program_has_open_is_refused(db, backup, command, sql):
    before = names(db.parent), db.read_bytes()
    with opened_elsewhere(db, sql) as program:
        refused = serving.run(command, "--db", db, *([backup] if command == "restore" else []))
        assert refused.returncode == FAILURE
        assert f"process {program.pid} (" in refused.stderr
    assert (sorted(set(names(db.parent)) - {"book.db-wal", "book.db-shm"} | {"book.db.lock"}), db.read_bytes()) == before


@pytest.mark.parametrize("make, said", [
    (lambda path: path.unlink(), "no database"),
    (lambda path: path.write_bytes(b""), "empty"),
    (lambda path: path.write_bytes(b"garbage" * 5000), "not an SQLite database"),
    (lambda path: path.write_bytes(path.read_bytes()[:-8192]), "damaged"),
    (lambda path: path.write_bytes(path.read_bytes().replace(b"ETH-USD", b"ETH-USE", 1)), "damaged"),
    (lambda path: trades_run(path, "UPDATE tb_meta SET value = 99 WHERE key = 'schema_version'"), "newer tradebook"),
    (lambda path: [path.unlink(), trades_run(path, "CREATE TABLE notes (text)")], "another program"),
], ids=["missing", "empty", "garbage", "short", "damaged", "newer", "foreign"])
def test_backup_that_is_none_is_not_restored(db, backup, make, said):
    make(backup)
    before = names(db.parent), db.read_bytes()
    refused = serving.run("restore", "--db", db, backup)
    assert refused.returncode == FAILURE
    assert said in refused.stderr
    assert (sorted({*names(db.parent), "book.db.lock"}), db.read_bytes()) == before


def trades_run(path, sql):
    with trades.connection(path) as db:
        db.execute(sql)


def test_database_is_no_backup_of_itself(db):
    refused = serving.run("restore", "--db", db, db)
    assert refused.returncode == USAGE
    assert "itself" in refused.stderr


@pytest.mark.skipif(not FIXTURE.is_file(), reason="TRADEBOOK_FIXTURE names no database")
def test_backup_of_a_bots_own_database_is_restored(tmp_path):
    done(serving.run("backup", "--db", FIXTURE, tmp_path / "bot.db"))
    done(serving.run("restore", "--db", tmp_path / "new.db", tmp_path / "bot.db"))
    assert content(tmp_path / "new.db") == content(FIXTURE)


def test_events_of_a_restored_database_go_on_from_the_backup(db, backup):
    trades.closed(db, "SOL-USD")
    done(serving.run("restore", "--db", db, backup))
    assert book.File(db).query("SELECT max(sequence) FROM tb_events") == [(2,)]
    trades.closed(db, "SOL-USD")
    assert book.File(db).query("SELECT max(sequence) FROM tb_events") == [(3,)]


# vacuum

def test_vacuum_gives_space_back_and_keeps_every_row(db):
    with trades.connection(db) as connection:
        connection.execute("CREATE TABLE ballast (content BLOB)")
        connection.execute("INSERT INTO ballast VALUES (zeroblob(3000000))")
        connection.execute("DROP TABLE ballast")
    rows, before = content(db), db.stat()
    said = done(serving.run("vacuum", "--db", db)).stdout
    after = db.stat()
    assert f"{before.st_size} bytes before, {after.st_size} after" in said
    assert after.st_size < before.st_size - 2900000
    assert stat.S_IMODE(after.st_mode) == stat.S_IMODE(before.st_mode)
    assert content(db) == rows
    assert names(db.parent) == ["backup.db", "book.db", "book.db.log"]
    with serving.Server(db) as server, book.Client(server.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal())


def test_vacuum_takes_what_is_only_in_the_log(db):
    server = serving.Server(db).start()
    with book.Client(server.address) as client:
        client.ok("SignalService.CreateSignal", signal=book.signal(notes="in the log"))
    server.kill()
    done(serving.run("vacuum", "--db", db))
    assert words(db) == {"old", "new", "in the log"}
    assert names(db.parent, "book.db-") == []


def test_vacuum_of_a_served_or_missing_database_is_refused(db, tmp_path):
    with serving.Server(db):
        refused = serving.run("vacuum", "--db", db)
        assert refused.returncode == FAILURE
        assert "served already by process" in refused.stderr
    missing = serving.run("vacuum", "--db", tmp_path / "missing.db")
    assert missing.returncode == FAILURE
    assert "no database" in missing.stderr
    assert names(tmp_path, "missing") == []


# check

def check(path):
    result = serving.run("check", "--db", path, "--format", "json")
    said = json.loads(result.stdout)
    assert result.returncode == (OK if said["sound"] else FAILURE)
    assert said["sound"] == (said["findings"] == [])
    return said


def test_check_of_a_served_database_finds_nothing_and_says_its_size(db):
    with serving.Server(db) as server, load.Load(server.address, writers=2) as working:
        working.wait_for(5)
        said = check(db)
    assert said["sound"]
    assert said["database"] == str(db)
    assert said["schema_version"] > 0
    assert said["wal_bytes"] > 0
    rows = {table["name"]: table["rows"] for table in said["tables"]}
    assert rows["signal_results"] == 2 and rows["patterns"] == 0
    assert rows["signals"] >= 14
    assert set(book.TABLES) < set(rows) and "tb_events" in rows


def test_check_changes_nothing(db):
    before = names(db.parent), db.read_bytes()
    assert check(db)["sound"]
    assert (names(db.parent), db.read_bytes()) == before


@pytest.mark.parametrize("command", ["check", "doctor"])
def test_check_in_a_folder_that_cannot_be_written_says_what_is_needed(db, tmp_path, command):
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(db, folder / "book.db")
    trades_run(folder / "book.db", "PRAGMA journal_mode = WAL")
    folder.chmod(0o555)
    option = ["--db"] if command == "check" else []
    failed = serving.run_unprivileged(command, *option, folder / "book.db")
    folder.chmod(0o755)
    assert failed.returncode == FAILURE
    assert "folder of the database cannot be written" in failed.stderr and "copy the database" in failed.stderr


@pytest.mark.parametrize("sql, finding, where", [
    ("DROP INDEX ix_signals_symbol", "missing", "index ix_signals_symbol"),
    ("DROP INDEX idx_signal_outcome", "missing", "index idx_signal_outcome"),
    ("DROP INDEX tb_requests_key", "missing", "index tb_requests_key"),
    ("DROP TRIGGER tb_signal_results_close", "missing", "trigger tb_signal_results_close"),
    ("DROP TRIGGER tb_signals_delete; CREATE TRIGGER tb_signals_delete AFTER DELETE ON signals BEGIN SELECT 1; END",
     "differs", "trigger tb_signals_delete"),
    ("ALTER TABLE signals DROP COLUMN notes", "missing", "column signals.notes"),
    ("DROP TABLE tb_cursors", "missing", "table tb_cursors"),
    ("PRAGMA foreign_keys = OFF; INSERT INTO theory_performance (signal_id, theory_name, contribution_score) "
     "VALUES (777, 'x', 0.5)", "orphan", "theory_performance row 1"),
])
def test_check_finds_what_is_missing_or_wrong(db, sql, finding, where):
    with trades.connection(db) as connection:
        connection.executescript(sql)
    (found,) = check(db)["findings"]
    assert (found["finding"], found["where"]) == (finding, where)


def test_check_finds_a_missing_table_with_its_indexes(db):
    trades_run(db, "DROP TABLE patterns")
    said = check(db)
    assert {table["name"]: table["rows"] for table in said["tables"]}["patterns"] is None
    assert {f["where"] for f in said["findings"]} == {
        "table patterns", "index ix_patterns_name", "index ix_patterns_pattern_hash"}


def pages_with(content, text):
    return sorted({match.start() // 4096 for match in re.finditer(re.escape(text), content)})


def test_check_finds_every_damaged_page_of_the_users_tables(db):
    """A page of the database that holds their data, one after the other."""
    sound = db.read_bytes()
    pages = pages_with(sound, b"BTC-USD")
    assert pages
    for page in pages:
        damaged = bytearray(sound)
        damaged[page * 4096:page * 4096 + 16] = b"\xff" * 16
        db.write_bytes(damaged)
        findings = check(db)["findings"]
        assert "damage" in {finding["finding"] for finding in findings}
        if (table := serving.run("check", "--db", db)).returncode != FAILURE or "damage" not in table.stdout:
            pytest.fail(table.stdout)


def test_check_finds_a_flipped_bit_of_a_key(db):
    content = db.read_bytes()
    place = content.index(b"ETH-USD")
    db.write_bytes(content[:place] + b"XTH-USD" + content[place + 7:])
    assert "damage" in {finding["finding"] for finding in check(db)["findings"]}


@pytest.mark.parametrize("make, said", [
    (lambda path: path.unlink(), "no database"),
    (lambda path: path.write_bytes(b"garbage" * 5000), "not an SQLite database"),
    (lambda path: [path.unlink(), trades_run(path, "CREATE TABLE notes (text)")], "another program"),
], ids=["missing", "garbage", "foreign"])
def test_check_of_what_is_no_record_book_fails(db, make, said):
    make(db)
    failed = serving.run("check", "--db", db)
    assert (failed.returncode, failed.stdout) == (FAILURE, "")
    assert said in failed.stderr


@pytest.mark.skipif(not FIXTURE.is_file(), reason="TRADEBOOK_FIXTURE names no database")
def test_check_of_a_bots_database_looks_at_its_own_tables_only(tmp_path):
    db = tmp_path / "tradingai.db"
    shutil.copy(FIXTURE, db)
    db.chmod(0o644)
    said = check(db)
    assert said["schema_version"] == 0
    assert {table["name"] for table in said["tables"]} == set(book.TABLES)
    assert all(finding["where"].startswith("index") for finding in said["findings"])
    trades_run(db, "DROP TABLE risk_book_snapshots")
    assert "table risk_book_snapshots" in {finding["where"] for finding in check(db)["findings"]}
    with serving.Server(db):
        pass
    assert check(db)["sound"]


def test_check_prints_a_table(db):
    trades_run(db, "DROP INDEX ix_signals_symbol")
    failed = serving.run("check", "--db", db)
    assert failed.returncode == FAILURE
    lines = failed.stdout.splitlines()
    assert lines[0].startswith(f"{db}: ") and "kB" in lines[0]
    assert ["signals", "4"] in [line.split() for line in lines]
    assert ["missing", "index", "ix_signals_symbol", "is", "missing"] in [line.split() for line in lines]


def test_check_of_an_old_schema_says_so(db):
    with trades.connection(db) as connection:
        connection.execute("UPDATE tb_meta SET value = 1 WHERE key = 'schema_version'")
    assert "the next start brings it up to date" in done(serving.run("check", "--db", db)).stdout


@pytest.mark.parametrize("arguments, said", [
    (["backup"], "the file to make is missing"),
    (["backup", "a", "b"], "one argument too many"),
    (["backup", "--db", "a", "--address", "ipc:///b", "c"], "exclude each other"),
    (["restore"], "the backup is missing"),
    (["restore", "a", "b"], "one argument too many"),
    (["vacuum", "a"], "one argument too many"),
    (["check", "a"], "one argument too many"),
    (["check", "--format", "xml"], "no format"),
    (["check", "--db", "postgresql://x"], "cannot be served"),
])
def test_wrong_arguments_are_named(arguments, said):
    refused = serving.run(*arguments)
    assert (refused.returncode, refused.stdout) == (USAGE, "")
    assert said in refused.stderr
