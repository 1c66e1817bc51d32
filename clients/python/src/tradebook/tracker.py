"""A stand-in for the trackers that bots bring along: they write to a shared SQLite file
by SQLAlchemy, this one asks a tradebook server. Moving a bot over changes the import.

    from tradebook.tracker import PerformanceTracker

Answers are dictionaries named by columns; text, numbers and timestamps are as plain
SQL gives them ("YYYY-MM-DD HH:MM:SS.ffffff" in UTC, None for NULL). Errors are raised
as grpc.RpcError instead of printed.
"""

import datetime
import os
from collections.abc import Iterable, Iterator
from typing import Any, Self

from google.protobuf import message, timestamp_pb2

from tradebook._channel import Channel
from tradebook.v1 import analytics_pb2, signal_pb2, theory_pb2, trade_pb2
from tradebook.v1.analytics_pb2_grpc import AnalyticsServiceStub
from tradebook.v1.signal_pb2_grpc import SignalServiceStub
from tradebook.v1.theory_pb2_grpc import TheoryServiceStub
from tradebook.v1.trade_pb2_grpc import TradeServiceStub

ADDRESS = "tcp://127.0.0.1:7601"
PAGE_SIZE = 1000
# Comparisons that one filter may have.
IDS_MAX = 64
CLOSED = "outcome = 'win' OR outcome = 'loss' OR outcome = 'breakeven'"
# What a recent trade tells of its signal.
SIGNAL_COLUMNS = {"symbol", "direction", "strategy", "confidence", "tier", "session"}
FIRST_ARM, SECOND_ARM = "v7_full_math", "v7_deepseek_only"

Row = dict[str, Any]


class PerformanceTracker:
    """For any number of threads."""

    def __init__(self, address: str | None = None, **options: Any) -> None:
        """address: the server's; default: TRADEBOOK_ADDRESS of the environment, or the port of
        this machine that tradebook serves by default. options: as of tradebook.Channel."""
        self._channel = Channel(address or os.environ.get("TRADEBOOK_ADDRESS") or ADDRESS, **options)
        self._signals = SignalServiceStub(self._channel)
        self._trades = TradeServiceStub(self._channel)
        self._theories = TheoryServiceStub(self._channel)
        self._analytics = AnalyticsServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    # --- recording ---

    def record_entry(
        self, signal_id: int, entry_price: float, entry_timestamp: datetime.datetime | None = None
    ) -> Row:
        """Opens the trade of a signal, now unless said otherwise; its row of signal_results.
        A signal is traded once: ALREADY_EXISTS."""
        request = trade_pb2.OpenTradeRequest(signal_id=signal_id, entry_price=entry_price)
        if entry_timestamp is not None:
            request.entry_time.CopyFrom(moment(entry_timestamp))
        return row(self._trades.OpenTrade(request))

    def record_exit(
        self,
        signal_id: int,
        exit_price: float,
        *details: str | datetime.datetime | None,
        exit_timestamp: datetime.datetime | None = None,
        exit_reason: str = "manual",
    ) -> Row:
        """Closes the trade of a signal; its row of signal_results, whose profit and outcome the
        server computes. Trackers differ in the order of reason and time: as details they may
        come in either. A trade is closed once: FAILED_PRECONDITION."""
        for detail in details:
            if isinstance(detail, datetime.datetime):
                exit_timestamp = detail
            elif detail is not None:
                exit_reason = detail
        request = trade_pb2.CloseTradeRequest(signal_id=signal_id, exit_price=exit_price, exit_reason=exit_reason)
        if exit_timestamp is not None:
            request.exit_time.CopyFrom(moment(exit_timestamp))
        return row(self._trades.CloseTrade(request))

    def record_theory_contribution(
        self, signal_id: int, theory_name: str, contribution_score: float, was_correct: bool | None = None
    ) -> Row:
        """Its row of theory_performance. Whether the theory was right is found out when the
        trade is closed, and cannot be said here."""
        if was_correct is not None:
            raise ValueError("was_correct is set when the trade of the signal is closed: leave it out")
        record = theory_pb2.TheoryRecord(
            signal_id=signal_id, theory_name=theory_name, contribution_score=contribution_score
        )
        return row(self._theories.CreateTheoryRecord(theory_pb2.CreateTheoryRecordRequest(theory_record=record)))

    # --- asking ---

    def get_win_rate(self, days: int = 30, strategy: str | None = None) -> Row:
        """Figures of the trades closed in the last days, in percent. Trackers say 0.0 for a
        figure that is not defined, and so does this; AnalyticsService tells the two apart."""
        request = analytics_pb2.GetPerformanceRequest(start_time=days_ago(days))
        if strategy is not None:
            request.slice.dimension = analytics_pb2.DIMENSION_STRATEGY
            request.slice.value = strategy
        return figures(self._analytics.GetPerformance(request).total)

    def get_strategy_comparison(self, days: int = 30, a: str = FIRST_ARM, b: str = SECOND_ARM) -> Row:
        """The figures of two strategies under their names, and a less b under "comparison"."""
        request = analytics_pb2.GetPerformanceRequest(
            start_time=days_ago(days), breakdown=analytics_pb2.DIMENSION_STRATEGY
        )
        groups = {group.value: group.performance for group in self._analytics.GetPerformance(request).groups}
        of_a, of_b = (figures(groups.get(name, analytics_pb2.Performance())) for name in (a, b))
        return {
            a: of_a,
            b: of_b,
            "comparison": {
                "win_rate_diff": of_a["win_rate"] - of_b["win_rate"],
                "pnl_diff": of_a["avg_pnl"] - of_b["avg_pnl"],
                "profit_factor_diff": of_a["profit_factor"] - of_b["profit_factor"],
            },
        }

    def get_open_positions(self) -> list[Row]:
        """The trades that are open, newest first."""
        request = trade_pb2.ListOpenPositionsRequest(page_size=PAGE_SIZE)
        positions: list[Row] = []
        while True:
            page = self._trades.ListOpenPositions(request)
            positions += map(row, page.open_positions)
            if not page.HasField("next_page_token"):
                return positions
            request.page_token = page.next_page_token

    def get_recent_trades(self, limit: int = 20, strategy: str | None = None) -> list[Row]:
        """The trades that were closed last, newest first, with what their signals say."""
        trades: list[Row] = []
        for page in self._closed_pages(limit if strategy is None else PAGE_SIZE):
            signals = self._signals_of(result.signal_id for result in page)
            for result in page:
                signal = signals[result.signal_id]
                if strategy is None or signal.strategy == strategy:
                    said = {name: value for name, value in row(signal).items() if name in SIGNAL_COLUMNS}
                    trades.append({**row(result), **said})
            if len(trades) >= limit:
                break
        return trades[:limit]

    def _closed_pages(self, page_size: int) -> Iterator[list[trade_pb2.SignalResult]]:
        request = trade_pb2.ListSignalResultsRequest(
            filter=CLOSED, order_by="exit_timestamp desc", page_size=min(page_size, PAGE_SIZE)
        )
        while True:
            page = self._trades.ListSignalResults(request)
            yield list(page.signal_results)
            if not page.HasField("next_page_token"):
                return
            request.page_token = page.next_page_token

    def _signals_of(self, ids: Iterable[int]) -> dict[int, signal_pb2.Signal]:
        wanted = list(ids)
        found: dict[int, signal_pb2.Signal] = {}
        for start in range(0, len(wanted), IDS_MAX):
            condition = " OR ".join(f"id = {number}" for number in wanted[start : start + IDS_MAX])
            request = signal_pb2.ListSignalsRequest(filter=condition, page_size=IDS_MAX)
            found |= {signal.id: signal for signal in self._signals.ListSignals(request).signals}
        return found


def figures(performance: analytics_pb2.Performance) -> Row:
    percent = performance.percent
    lost = performance.losses * abs(percent.mean_loss)
    return {
        "total_trades": performance.n,
        "wins": performance.wins,
        "losses": performance.losses,
        "win_rate": performance.win_rate.value * 100,
        "avg_win": percent.mean_win,
        "avg_loss": percent.mean_loss,
        "avg_pnl": percent.mean,
        "profit_factor": performance.wins * percent.mean_win / lost if lost else 0.0,
    }


# --- rows and times ---


def row(record: message.Message) -> Row:
    """A record as SQL has it."""
    return {field.name: column(record, field) for field in record.DESCRIPTOR.fields}


def column(record: message.Message, field: Any) -> Any:
    if not record.HasField(field.name):
        return None
    value = getattr(record, field.name)
    if isinstance(value, timestamp_pb2.Timestamp):
        return value.ToDatetime().strftime("%Y-%m-%d %H:%M:%S.%f")
    if field.enum_type is not None:
        # DIRECTION_LONG of Direction is 'long'.
        name = field.enum_type.values_by_number[value].name
        return name.removeprefix(f"{field.enum_type.name.upper()}_").lower()
    return value


def moment(when: datetime.datetime) -> timestamp_pb2.Timestamp:
    """A time without time zone is UTC."""
    found = timestamp_pb2.Timestamp()
    found.FromDatetime(when)
    return found


def days_ago(days: int) -> timestamp_pb2.Timestamp:
    """To the second, as SQL's datetime('now', '-30 days') is."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return moment(now - datetime.timedelta(days=days))
