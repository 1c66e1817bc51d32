"""Inserts signals as the users' bots did: a session and a commit for each, every process with
its own engine on the same file, all defaults of SQLAlchemy and sqlite3.

    sqlalchemy_insert.py DB PROCESSES SECONDS

Prints rows a second of all processes and the median of the latency in microseconds.
"""

import datetime
import multiprocessing
import statistics
import sys
import time

from sqlalchemy import Column, DateTime, Float, Integer, String, Text, create_engine
from sqlalchemy.orm import declarative_base, sessionmaker

Base = declarative_base()


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


class Signal(Base):
    __tablename__ = "signals"
    id = Column(Integer, primary_key=True, autoincrement=True)
    timestamp = Column(DateTime, nullable=False, default=utc_now, index=True)
    symbol = Column(String(20), nullable=False, index=True)
    direction = Column(String(10), nullable=False)
    confidence = Column(Float, nullable=False)
    tier = Column(String(10), nullable=False, index=True)
    lstm_prediction = Column(Float)
    transformer_prediction = Column(Float)
    rl_prediction = Column(Float)
    ensemble_prediction = Column(Float, nullable=False)
    session = Column(String(20))
    entry_price = Column(Float)
    tp_price = Column(Float)
    sl_price = Column(Float)
    executed = Column(Integer, default=0)
    execution_time = Column(DateTime)
    execution_price = Column(Float)
    result = Column(String(10))
    exit_time = Column(DateTime)
    exit_price = Column(Float)
    pnl = Column(Float)
    latency_ms = Column(Float)
    model_version = Column(String(20))
    notes = Column(Text)
    strategy = Column(String(50), default="v7_full_math")


def insert(sessions):
    session = sessions()
    session.add(Signal(symbol="BTC-USD", direction="long", confidence=0.75, tier="high", lstm_prediction=0.5,
                       transformer_prediction=0.5, rl_prediction=0.5, ensemble_prediction=0.5, session="london",
                       entry_price=50000.0, tp_price=51000.0, sl_price=49500.0, latency_ms=50.0,
                       model_version="bench"))  # fmt: skip
    session.commit()
    session.close()


def work(path, seconds, barrier, results):
    sessions = sessionmaker(bind=create_engine(f"sqlite:///{path}"))
    insert(sessions)
    barrier.wait()
    latencies = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.monotonic()
        insert(sessions)
        latencies.append((time.monotonic() - started) * 1e6)
    results.put(latencies)


def main():
    path, processes, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    Base.metadata.create_all(create_engine(f"sqlite:///{path}"))
    barrier = multiprocessing.Barrier(processes)
    results = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=work, args=(path, seconds, barrier, results)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    latencies = [latency for _ in workers for latency in results.get()]
    for worker in workers:
        worker.join()
    print(len(latencies) / seconds, statistics.median(latencies))


if __name__ == "__main__":
    main()
