"""Outcomes of patterns and grades of theories that do not come from a trade."""

import contextlib
import sqlite3
import uuid

import book
import pytest
from book import FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, OK


@pytest.fixture
def pattern(client):
    return client.ok("PatternService.CreatePattern", pattern=book.pattern())


def outcome(client, pattern, won):
    return client.ok("PatternService.RecordPatternOutcome", pattern_hash=pattern.pattern_hash, won=won)


def test_outcomes_are_counted_and_the_rate_is_exact(client, file, pattern):
    wins = 0
    for total, won in enumerate([True, False, True, True, False, False, True], 1):
        wins += won
        answer = outcome(client, pattern, won)
        assert [answer.wins, answer.total, answer.win_rate] == [wins, total, wins / total]
        assert file.query("SELECT wins, total, win_rate FROM patterns") == [(wins, total, wins / total)]
        assert client.ok("PatternService.GetPattern", id=pattern.id) == answer
    assert answer.created_at == pattern.created_at
    assert answer.updated_at.ToNanoseconds() > pattern.updated_at.ToNanoseconds()


def test_outcome_of_a_hash_in_upper_case_is_counted(client, pattern):
    answer = client.ok("PatternService.RecordPatternOutcome", pattern_hash=pattern.pattern_hash.upper(), won=True)
    assert [answer.id, answer.total] == [pattern.id, 1]


def test_outcome_of_others_stays(client, file, pattern):
    other = client.ok("PatternService.CreatePattern", pattern=book.pattern())
    outcome(client, pattern, True)
    assert client.ok("PatternService.GetPattern", id=other.id) == other


def test_outcome_of_unknown_pattern_not_found(client, file, pattern):
    before = file.rows("patterns")
    reply = client.reply("PatternService.RecordPatternOutcome", pattern_hash="ab" * 32, won=True)
    assert reply.code == NOT_FOUND
    assert "abab" in reply.message
    assert file.rows("patterns") == before


def test_outcome_retry_counts_once(client, file, pattern):
    id = uuid.uuid4().bytes
    message = book.request_of("PatternService.RecordPatternOutcome", pattern_hash=pattern.pattern_hash, won=True)
    first = client.reply("PatternService.RecordPatternOutcome", message, request_id=id)
    assert first.code == OK
    assert client.reply("PatternService.RecordPatternOutcome", message, request_id=id) == first
    assert file.query("SELECT wins, total FROM patterns") == [(1, 1)]


@pytest.mark.parametrize("fields, wrong", [
    ({}, ["pattern_hash", "won"]),
    ({"pattern_hash": "ab"}, ["pattern_hash", "won"]),
    ({"pattern_hash": "g" * 64, "won": False}, ["pattern_hash"]),
    ({"pattern_hash": "ab" * 32}, ["won"]),
])
def test_bad_outcome_reports_every_violation(client, fields, wrong):
    reply = client.reply("PatternService.RecordPatternOutcome", **fields)
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == wrong


# As only another program writes them. The last total is one that SQLite reads as the largest integer.
@pytest.mark.parametrize("wins, total", [(-1, 3), (0, -1), (5, 4), (0, 2**63 - 1), (2**63 - 1, 2**63 - 1), (0, 1e300)])
def test_pattern_with_impossible_counts_refuses_its_own_trade_only(client, file, wins, total):
    broken, sound = (client.ok("PatternService.CreatePattern", pattern=book.pattern()) for _ in range(2))
    file.execute("UPDATE patterns SET wins = ?, total = ? WHERE id = ?", wins, total, broken.id)
    before = file.rows("patterns")
    refused = client.reply("PatternService.RecordPatternOutcome", pattern_hash=broken.pattern_hash, won=True)
    assert refused.code == FAILED_PRECONDITION and broken.pattern_hash in refused.message
    assert file.rows("patterns") == before
    trades = []
    for pattern in (sound, broken, sound):
        signal = client.ok("SignalService.CreateSignal", signal=book.signal())
        client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=100)
        trades.append({"signal_id": signal.id, "exit_price": 110, "exit_reason": "manual",
                       "pattern_hashes": [pattern.pattern_hash]})
    results = client.ok("TradeService.BatchCloseTrades", trades=trades).results
    assert [result.status.code for result in results] == [OK, FAILED_PRECONDITION, OK]
    assert broken.pattern_hash in results[1].status.message
    assert file.query("SELECT outcome FROM signal_results ORDER BY id") == [("win",), ("open",), ("win",)]
    assert file.query("SELECT wins, total FROM patterns WHERE id = ?", sound.id) == [(2, 2)]


def test_counts_that_another_program_stored_as_fractions_go_on_in_whole_numbers(client, file, pattern):
    file.execute("UPDATE patterns SET wins = 1.5, total = 3.5")
    answer = outcome(client, pattern, True)
    assert [answer.wins, answer.total, answer.win_rate] == [2, 4, 0.5]
    assert file.query("SELECT wins, total, typeof(wins), typeof(total) FROM patterns") == [(2, 4, "integer", "integer")]


def theory(client, signal, name):
    return client.ok("TheoryService.CreateTheoryRecord", theory_record=book.theory_record(signal.id, theory_name=name))


def grade(client, signal, was_correct):
    return client.ok("TheoryService.GradeTheories", signal_id=signal.id, was_correct=was_correct).graded


def test_grade_marks_the_ungraded_of_the_signal(client, file, signal):
    other = client.ok("SignalService.CreateSignal", signal=book.signal())
    for name in ("a", "b"):
        theory(client, signal, name)
    theory(client, other, "a")
    assert grade(client, signal, True) == 2
    theory(client, signal, "c")
    assert grade(client, signal, False) == 1
    assert grade(client, signal, True) == 0
    assert file.query("SELECT signal_id, theory_name, was_correct FROM theory_performance ORDER BY id") == [
        (signal.id, "a", 1), (signal.id, "b", 1), (other.id, "a", None), (signal.id, "c", 0)]


def test_grade_without_records_is_none(client, signal):
    assert grade(client, signal, True) == 0


def test_grade_of_unknown_signal_not_found(client, signal):
    reply = client.reply("TheoryService.GradeTheories", signal_id=signal.id + 1, was_correct=True)
    assert reply.code == NOT_FOUND
    assert str(signal.id + 1) in reply.message


@pytest.mark.parametrize("exit_price, right", [(110, True), (90, False)])
def test_grade_after_the_close_is_what_the_trade_came_to(client, file, signal, exit_price, right):
    client.ok("TradeService.OpenTrade", signal_id=signal.id, entry_price=100)
    theory(client, signal, "before")
    client.ok("TradeService.CloseTrade", signal_id=signal.id, exit_price=exit_price, exit_reason="manual")
    for name in ("after", "later"):
        theory(client, signal, name)
    contrary = client.reply("TheoryService.GradeTheories", signal_id=signal.id, was_correct=not right)
    assert contrary.code == FAILED_PRECONDITION and ("win" if right else "loss") in contrary.message
    assert file.query("SELECT was_correct FROM theory_performance ORDER BY id") == [(right,), (None,), (None,)]
    assert [grade(client, signal, right) for _ in range(2)] == [2, 0]
    assert file.query("SELECT was_correct FROM theory_performance") == [(right,)] * 3
    ranked = client.ok("AnalyticsService.RankTheories").theories
    assert sorted(rank.theory_name for rank in ranked) == ["after", "before", "later"]


@pytest.mark.parametrize("outcome", ["open", "breakeven", "unheard of"])
def test_grade_of_a_trade_that_tells_nothing_failed_precondition(client, file, signal, outcome):
    theory(client, signal, "a")
    with contextlib.closing(sqlite3.connect(file.path)) as connection, connection:
        connection.execute("INSERT INTO signal_results (signal_id, entry_price, entry_timestamp, outcome) "
                           "VALUES (?, 100, '2026-01-01 00:00:00.000000', ?)", (signal.id, outcome))
    reply = client.reply("TheoryService.GradeTheories", signal_id=signal.id, was_correct=True)
    assert reply.code == FAILED_PRECONDITION
    assert "trade" in reply.message
    assert file.query("SELECT was_correct FROM theory_performance") == [(None,)]


def test_grade_retry_answers_the_first_count(client, signal):
    theory(client, signal, "a")
    id = uuid.uuid4().bytes
    message = book.request_of("TheoryService.GradeTheories", signal_id=signal.id, was_correct=True)
    first = client.reply("TheoryService.GradeTheories", message, request_id=id)
    assert book.response_of("TheoryService.GradeTheories", first).graded == 1
    assert client.reply("TheoryService.GradeTheories", message, request_id=id) == first


@pytest.mark.parametrize("fields, wrong", [
    ({}, ["signal_id", "was_correct"]),
    ({"signal_id": 0}, ["signal_id", "was_correct"]),
    ({"signal_id": -1, "was_correct": True}, ["signal_id"]),
    ({"signal_id": 1}, ["was_correct"]),
])
def test_bad_grade_reports_every_violation(client, file, signal, fields, wrong):
    theory(client, signal, "a")
    reply = client.reply("TheoryService.GradeTheories", **fields)
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == wrong
    assert file.query("SELECT was_correct FROM theory_performance") == [(None,)]
