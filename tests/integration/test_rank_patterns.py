"""The ranking of patterns equals what SQL and an independent calculation give."""

import contextlib
import os
import pathlib
import random
import shutil
import sqlite3

import book
import pytest
import serving
from book import INVALID_ARGUMENT, analytics_pb2
from scipy import stats

FIXTURE = pathlib.Path(os.environ.get("TRADEBOOK_FIXTURE", ""))
RATE, LOWER_BOUND = analytics_pb2.RANK_ORDER_RATE, analytics_pb2.RANK_ORDER_LOWER_BOUND


def insert(path, counts):
    """Patterns with these (wins, total), whose names say nothing about them."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO patterns (name, pattern_hash, wins, total, win_rate) VALUES ('flag', ?, ?, ?, ?)",
            [(f"{i:064x}", w, n, w / n if n else 0.0) for i, (w, n) in enumerate(counts, 1)])


def rank(client, **fields):
    return client.ok("AnalyticsService.RankPatterns", **fields)


def pages(client, between=lambda: None, **fields):
    found, token = [], None
    while True:
        answer = rank(client, page_token=token, **fields)
        found += answer.patterns
        token = answer.next_page_token
        if not token:
            return found
        between()


def counts(patterns):
    return [(p.pattern.id, p.pattern.wins, p.pattern.total) for p in patterns]


def wilson(wins, total):
    return stats.binomtest(wins, total).proportion_ci(0.95, method="wilson")


def test_ranks_by_rate_and_by_lower_bound(client, file):
    random.seed(7)
    given = [(random.randint(0, n), n) for n in (random.choice([1, 2, 3, 10, 50, 1000]) for _ in range(300))]
    insert(file.path, given)
    ids = range(1, len(given) + 1)
    bounds = {i: wilson(w, n) for i, (w, n) in zip(ids, given)}
    by_rate = file.query("SELECT id FROM patterns ORDER BY wins * 1.0 / total DESC, total DESC, id")
    by_rate = [id for (id,) in by_rate]
    found = pages(client, page_size=1000)
    assert [p.pattern.id for p in found] == by_rate
    assert [p.rank_by_rate for p in found] == list(ids)
    for p in found:
        wins, total = given[p.pattern.id - 1]
        assert [p.win_rate.n, p.win_rate.value] == [total, wins / total]
        assert p.win_rate.lower == pytest.approx(bounds[p.pattern.id].low, abs=1e-9)
        assert p.win_rate.upper == pytest.approx(bounds[p.pattern.id].high, abs=1e-9)
        assert p.pattern == client.ok("PatternService.GetPattern", id=p.pattern.id)
    by_bound = pages(client, page_size=1000, order=LOWER_BOUND)
    assert [p.rank_by_lower_bound for p in by_bound] == list(ids)
    lowers = [round(bounds[p.pattern.id].low, 9) for p in by_bound]
    assert lowers == sorted(lowers, reverse=True)
    # Both answers give both places.
    place = {p.pattern.id: (p.rank_by_rate, p.rank_by_lower_bound) for p in found}
    assert place == {p.pattern.id: (p.rank_by_rate, p.rank_by_lower_bound) for p in by_bound}


def test_few_lucky_trades_are_first_by_rate_only(client, file):
    insert(file.path, [(2, 2), (70, 100)])
    assert counts(rank(client).patterns) == [(1, 2, 2), (2, 70, 100)]
    assert counts(rank(client, order=LOWER_BOUND).patterns) == [(2, 70, 100), (1, 2, 2)]


def test_ties_by_total_then_by_id(client, file):
    insert(file.path, [(1, 2), (5, 10), (1, 2), (5, 10)])
    assert counts(rank(client, order=RATE).patterns) == [(2, 5, 10), (4, 5, 10), (1, 1, 2), (3, 1, 2)]


def test_limits_are_applied_before_ranking(client, file):
    insert(file.path, [(9, 9), (13, 20), (12, 20), (20, 25), (0, 0)])
    found = rank(client, min_total=10, min_win_rate=0.65).patterns
    assert counts(found) == [(4, 20, 25), (2, 13, 20)]
    assert [(p.rank_by_rate, p.rank_by_lower_bound) for p in found] == [(1, 1), (2, 2)]
    # Without trades there is no rate, hence no place.
    assert len(rank(client).patterns) == 4


def test_impossible_counts_are_left_out(client, file):
    insert(file.path, [(3, 2), (-1, 2), (1, 2)])
    assert counts(rank(client).patterns) == [(3, 1, 2)]


def test_no_pattern_is_an_empty_ranking(client):
    answer = rank(client)
    assert not answer.patterns and not answer.next_page_token


def test_basis_holds_the_definitions_only(client, file):
    insert(file.path, [(1, 2)])
    basis = rank(client).basis
    assert [field.name for field, _ in basis.ListFields()] == ["definitions"]
    figures = [d.figure for d in basis.definitions]
    assert {"PatternRank.win_rate", "PatternRank.rank_by_rate", "PatternRank.rank_by_lower_bound"} <= set(figures)
    assert all(d.definition for d in basis.definitions)


@pytest.mark.parametrize("order", [RATE, LOWER_BOUND])
def test_pages_show_each_pattern_once_while_others_come(client, file, order):
    insert(file.path, [(i % 4, 4) for i in range(40)])
    expected = counts(pages(client, page_size=1000, order=order))
    made = iter(range(1000))

    def one_more():
        pattern = client.ok("PatternService.CreatePattern", pattern=book.pattern(
            pattern_hash=f"{next(made) + 1:064d}".replace("0", "f")))
        client.ok("PatternService.RecordPatternOutcome", pattern_hash=pattern.pattern_hash, won=True)

    found = counts(pages(client, one_more, page_size=7, order=order))
    assert [c for c in found if c[0] <= 40] == expected
    assert len(set(found)) == len(found)


def test_page_token_of_another_ranking_invalid_argument(client, file):
    insert(file.path, [(1, 2), (1, 3)])
    token = rank(client, page_size=1).next_page_token
    for fields in ({"order": LOWER_BOUND}, {"min_total": 2}, {"min_win_rate": 0.1}):
        reply = client.reply("AnalyticsService.RankPatterns", page_token=token, **fields)
        assert reply.code == INVALID_ARGUMENT
        assert list(book.violations(reply)) == ["page_token"]
    assert counts(rank(client, page_token=token, order=RATE).patterns) == [(2, 1, 3)]


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), float("inf")])
def test_bad_request_reports_every_violation(client, rate):
    reply = client.reply("AnalyticsService.RankPatterns", min_total=0, min_win_rate=rate, page_size=-1,
                         page_token="x")
    assert reply.code == INVALID_ARGUMENT
    assert set(book.violations(reply)) == {"min_total", "min_win_rate", "page_size", "page_token"}


def test_unknown_order_invalid_argument(client):
    message = book.request_of("AnalyticsService.RankPatterns").SerializeToString()
    message += book.raw_field(book.request_of("AnalyticsService.RankPatterns"), "order", 9)
    reply = client.reply("AnalyticsService.RankPatterns", message)
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == ["order"]


@pytest.mark.skipif(not FIXTURE.is_file(), reason="the users' database is not there")
def test_strong_patterns_of_the_users_equal_their_sql(tmp_path):
    db = tmp_path / "users.db"
    shutil.copy(FIXTURE, db)
    with serving.Server(db) as server, book.Client(server.address) as client:
        rows = book.File(db).query("SELECT id, name, wins, total, win_rate FROM patterns "
                                   "WHERE total >= 10 AND win_rate >= 0.65 ORDER BY win_rate DESC, total DESC")
        assert len(rows) == 5
        found = rank(client, min_total=10, min_win_rate=0.65).patterns
        assert [(p.pattern.id, p.pattern.name, p.pattern.wins, p.pattern.total) for p in found] == [r[:4] for r in rows]
        for p, row in zip(found, rows):
            assert p.win_rate.value == pytest.approx(row[4], abs=1e-9)
