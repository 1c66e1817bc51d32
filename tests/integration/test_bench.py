"""`tradebook bench` against a server: what it says it did is in the file."""

import json

import serving


def bench(server, *options):
    done = serving.run("bench", "--address", server.address, "--format", "json", "--quiet", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_close_of_a_count_closes_as_many(server, file):
    told = bench(server, "--mix", "close", "--count", 1100, "--in-flight", 8)
    assert told["calls"] == 1100 and told["errors"] == 0
    assert file.query("SELECT count(*), sum(pnl_usd IS NOT NULL), sum(outcome IN ('win', 'loss')) "
                      "FROM signal_results") == [(1100, 1100, 1100)]
    assert file.query("SELECT count(*), max(sequence) FROM tb_events") == [(1100, 1100)]


def test_run_ends_with_its_stock(server, file):
    """Long before its time."""
    told = bench(server, "--mix", "close,open=2", "--trades", 30, "--duration", 1000, "--warmup", 0, "--in-flight", 2)
    assert told["errors"] == 0
    opened, closed = file.query("SELECT count(*), sum(outcome <> 'open') FROM signal_results")[0]
    # Each of two slots ends when it finds one of the stocks used up.
    assert 30 <= closed + (opened - 30) == told["calls"] <= 60
    assert closed == 30 or opened == 60


def test_alternation_stocks_each_run_anew(server, file):
    bench(server, "--alternate", "open,close", "--levels", "4", "--rounds", 2, "--trades", 20, "--duration", 1000,
          "--warmup", 0)
    assert file.query("SELECT count(*), sum(outcome <> 'open') FROM signal_results") == [(80, 40)]
