"""Another program keeps a snapshot of the database: the write-ahead log cannot
start over. It grows up to its limit and no further, and people are told who it is."""

import contextlib
import os
import pathlib
import sqlite3

import book
import pytest
import serving

MIB = 1 << 20
LIMIT = 16 * MIB


@pytest.fixture
def server(tmp_path):
    with serving.Server(tmp_path / "book.db", "--wal-limit", LIMIT) as server:
        yield server


def log_bytes(server):
    return pathlib.Path(f"{server.db}-wal").stat().st_size


@pytest.fixture
def snapshot(server):
    """A transaction of this process that sees the empty table."""
    with contextlib.closing(sqlite3.connect(server.db, isolation_level=None)) as other:
        other.execute("BEGIN")
        assert other.execute("SELECT count(*) FROM signals").fetchone() == (0,)
        yield other


def write(client):
    return client.reply("SignalService.CreateSignal", signal=book.signal(notes="n" * 100_000))


def write_until_refused(client):
    for written in range(1000):
        reply = write(client)
        if reply.code != book.OK:
            return written, reply
    raise AssertionError("never refused")


def test_log_stops_at_its_limit_and_goes_on_when_the_reader_ends(server, client, file, snapshot):
    written, reply = write_until_refused(client)
    assert reply.code == book.RESOURCE_EXHAUSTED
    assert "--wal-limit" in reply.message and f"process {os.getpid()} (" in reply.message
    assert LIMIT <= log_bytes(server) < LIMIT + MIB
    assert write(client).code == book.RESOURCE_EXHAUSTED
    assert file.query("SELECT count(*) FROM signals") == [(written,)]
    assert len(client.ok("SignalService.ListSignals", page_size=5).signals) == 5

    snapshot.rollback()
    assert write(client).code == book.OK
    for _ in range(2 * written):
        assert write(client).code == book.OK
    assert log_bytes(server) < LIMIT + MIB


def test_operator_is_warned_before_the_limit(server, client, snapshot):
    write_until_refused(client)
    warnings = [line for line in server.log.read_text().splitlines() if "write-ahead log has grown" in line]
    assert 1 <= len(warnings) <= 4
    assert f"process {os.getpid()} (" in warnings[0] and "--wal-limit" in warnings[0]


def test_readers_that_end_are_no_reason(server, client, file):
    """Far more than the limit in all."""
    for number in range(3 * LIMIT // 100_000):
        assert write(client).code == book.OK
        assert file.query("SELECT count(*) FROM signals") == [(number + 1,)]
    assert log_bytes(server) < LIMIT + MIB
    assert "write-ahead log" not in server.log.read_text()
