"""Trades made by another program, with plain SQL: what a bot does that still
writes to the file itself. Closing one makes its event."""

import contextlib
import sqlite3


@contextlib.contextmanager
def connection(path):
    db = sqlite3.connect(str(path), timeout=60, isolation_level=None)
    try:
        yield db
    finally:
        db.close()


def open_trade(db, symbol="BTC-USD", direction="long", strategy="v7_full_math"):
    """A signal and its open trade; returns the id of the signal."""
    signal = db.execute(
        "INSERT INTO signals (timestamp, symbol, direction, confidence, tier, ensemble_prediction, strategy) "
        "VALUES ('2026-01-02 03:04:05.000006', ?, ?, 0.7, 'high', 0.5, ?)", (symbol, direction, strategy)).lastrowid
    db.execute("INSERT INTO signal_results (signal_id, entry_price, entry_timestamp, outcome, created_at, updated_at) "
               "VALUES (?, 100.0, '2026-01-02 03:05:00.000000', 'open', '2026-01-02 03:05:00.000000', "
               "'2026-01-02 03:05:00.000000')", (signal,))
    return signal


def close_trade(db, signal, outcome="win", reason="tp_hit"):
    db.execute("UPDATE signal_results SET exit_price = 110.0, exit_timestamp = '2026-01-02 04:05:59.000000', "
               "exit_reason = ?, pnl_percent = 10.0, pnl_usd = 10.0, outcome = ?, "
               "hold_duration_minutes = 60 WHERE signal_id = ?", (reason, outcome, signal))


def closed_by(db, symbols=("BTC-USD",), reason="tp_hit"):
    """Opens and closes a trade of each symbol, all in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    signals = [open_trade(db, symbol) for symbol in symbols]
    for signal in signals:
        close_trade(db, signal, reason=reason)
    db.execute("COMMIT")
    return signals


def closed(path, *symbols, reason="tp_hit"):
    """The same in a connection of its own."""
    with connection(path) as db:
        return closed_by(db, symbols, reason)
