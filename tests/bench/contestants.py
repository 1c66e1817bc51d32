"""What tests/bench/compare measures: how each contestant is started, and how one short run of it
is measured. Every measurement answers calls (or rows) a second and the median of the latency.

All data lie in one folder on one disk. Whatever is started ends with the `with` block.
"""

import contextlib
import csv
import getpass
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = ROOT / "build/release"
PEERS = ROOT / "build/bench/peers"
VENV = ROOT / "build/bench/venv"
SOURCES = ROOT / "tests/bench/peers"
POSTGRES = pathlib.Path("/usr/lib/postgresql/15/bin")
MIB = 1 << 20
SLACK_S = 60  # beyond the time that a run is to take

COLUMNS = ("symbol, direction, confidence, tier, lstm_prediction, transformer_prediction, rl_prediction, "
           "ensemble_prediction, session, entry_price, tp_price, sl_price, latency_ms, model_version, strategy")  # fmt: skip
VALUES = {"symbol": "BTC-USD", "direction": "long", "confidence": 0.75, "tier": "high", "lstm_prediction": 0.5,
          "transformer_prediction": 0.5, "rl_prediction": 0.5, "ensemble_prediction": 0.5, "session": "london",
          "entry_price": 50000.0, "tp_price": 51000.0, "sl_price": 49500.0, "latency_ms": 50.0,
          "model_version": "bench", "strategy": "v7_full_math"}  # fmt: skip


class Failed(Exception):
    """A contestant cannot be measured; the text says why."""


def output_of(command, seconds=0.0, **options):
    try:
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                                timeout=seconds + SLACK_S, stdin=subprocess.DEVNULL, **options)  # fmt: skip
    except subprocess.TimeoutExpired as failure:
        raise Failed(f"{' '.join(map(str, command))}: did not end in time") from failure
    if result.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}:\n{result.stdout}{result.stderr}")
    return result.stdout


def rate_and_median(text):
    rate, median_us = text.split()
    return {"per_second": float(rate), "median_us": float(median_us)}


@contextlib.contextmanager
def running(command, **options):
    """A program that ends with SIGTERM, or by force."""
    process = subprocess.Popen([str(word) for word in command], **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def ready(command):
    """A program that prints "ready" and ends with its standard input."""
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout.readline() != "ready\n":
            raise Failed(f"{command[0]} did not start")
        yield process


# --- tradebook ---


def build_tradebook():
    for command in (["deploy/install-packages", "build", "test"], ["cmake", "--preset", "release"],
                    ["cmake", "--build", "--preset", "release"]):  # fmt: skip
        output_of(command, 1500, cwd=ROOT)


class Tradebook:
    """A server on a file, with its addresses by transport."""

    def __init__(self, process, addresses):
        self.process = process
        self.addresses = addresses

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def bench(self, transport, mix, in_flight, seconds, *options):
        text = output_of(
            [RELEASE / "tradebook", "bench", "--address", self.addresses[transport], "--mix", mix, "--in-flight",
             in_flight, "--duration", seconds, "--warmup", 0.2, "--format", "json", "--quiet", *options], seconds)  # fmt: skip
        result = json.loads(text)["operations"][0]
        return {"per_second": result["records_per_second"], "calls_per_second": result["calls_per_second"],
                "median_us": result["latency_us"]["p50"], "p99_us": result["latency_us"]["p99"]}  # fmt: skip


def clean_environment():
    return {name: value for name, value in os.environ.items()
            if not name.startswith("TRADEBOOK_") and name != "DB_URL"}  # fmt: skip


@contextlib.contextmanager
def tradebook(path, *options):
    told, tell = os.pipe()
    command = [RELEASE / "tradebook", "serve", "--db", path, "--listen", "tcp://127.0.0.1:0", "--listen",
               f"ipc://{path}.sock", "--events", "tcp://127.0.0.1:0", "--http", "none", "--ready-fd", tell, "--quiet",
               *options]  # fmt: skip
    with open(f"{path}.log", "w", encoding="utf-8") as log, open(told, encoding="utf-8") as lines:
        with running(command, pass_fds=[tell], stdout=log, stderr=log, env=clean_environment()) as process:
            os.close(tell)
            said = lines.read().split("\n")
            if said[0] != "ready":
                raise Failed(pathlib.Path(f"{path}.log").read_text(encoding="utf-8"))
            urls = [line.split()[1] for line in said if line.startswith(("listen ", "events "))]
            addresses = {"events" if line.startswith("events") else url.split(":")[0]: url
                         for line, url in zip(said[1:], urls)}  # fmt: skip
            yield Tradebook(process, addresses)


def fill(server, rows):
    """Records rows signals."""
    batch = min(rows, 1000)
    output_of([RELEASE / "tradebook", "bench", "--address", server.addresses["ipc"], "--mix", "batch", "--batch", batch,
               "--count", rows // batch, "--in-flight", 4, "--timeout", 60, "--quiet"], 1200)  # fmt: skip


# --- SQLite ---


def plain_database(path):
    """The users' tables without tradebook's own and without triggers."""
    with tradebook(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as db:
        for kind, name in db.execute("SELECT type, name FROM sqlite_schema WHERE type = 'trigger' OR type = 'table'"
                                     " AND name LIKE 'tb\\_%' ESCAPE '\\' ORDER BY type DESC").fetchall():  # fmt: skip
            db.execute(f"DROP {kind} {name}")
        db.commit()
    sqlite_rows(path, 500, 1.0)  # makes the log as long as it gets
    return path


def sqlite_rows(path, rows_per_transaction, seconds):
    text = output_of([RELEASE / "tests/bench/sqlite_inprocess", path, rows_per_transaction, seconds], seconds)
    rate = float(text)
    return {"per_second": rate, "median_us": 1e6 * rows_per_transaction / rate}


def sqlalchemy_rows(path, processes, seconds):
    command = [VENV / "bin/python", SOURCES / "sqlalchemy_insert.py", path, processes, seconds]
    return rate_and_median(output_of(command, seconds))


def make_venv():
    python = VENV / "bin/python"
    wanted = (SOURCES / "requirements.txt").read_text(encoding="utf-8").strip()
    if not python.exists() or wanted not in output_of([python, "-m", "pip", "freeze"]):
        output_of(["/usr/bin/python3", "-m", "venv", "--clear", VENV], 300)
        output_of([python, "-m", "pip", "install", "--quiet", "-r", SOURCES / "requirements.txt"], 600)


# --- nng, gRPC ---


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def nng_echo(url):
    return ready([RELEASE / "tests/bench/nng_echo", url])


def nng_calls(url, in_flight, seconds):
    return rate_and_median(output_of([RELEASE / "tests/bench/nng_client", url, in_flight, seconds], seconds))


def grpc_server(address, path):
    return ready([PEERS / "grpc_server", address, path])


def grpc_calls(address, in_flight, seconds):
    return rate_and_median(output_of([PEERS / "grpc_client", address, in_flight, seconds], seconds))


# --- PostgreSQL ---


def as_postgres(command):
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


@contextlib.contextmanager
def postgres(folder):
    folder.mkdir()
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    shutil.chown(folder, user)
    output_of(as_postgres([POSTGRES / "initdb", "-D", folder / "data", "-A", "trust", "-U", "bench", "--locale=C"]), 60,
              cwd=folder)  # fmt: skip
    command = as_postgres([POSTGRES / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-c",
                           "fsync=on", "-c", "synchronous_commit=on", "-c", "max_connections=300"])  # fmt: skip
    with open(f"{folder}.log", "w", encoding="utf-8") as log:
        process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, cwd=folder,
                                   start_new_session=True)  # fmt: skip
    try:
        wait_until(lambda: (folder / ".s.PGSQL.5432").exists(), process, f"{folder}.log")
        names = COLUMNS.split(", ")
        kinds = ", ".join(f"{name} {'float8' if isinstance(VALUES[name], float) else 'text'}" for name in names)
        values = ", ".join(str(VALUES[name]) if isinstance(VALUES[name], float) else f"'{VALUES[name]}'"
                           for name in names)  # fmt: skip
        psql(folder, "CREATE DATABASE bench", "postgres")
        psql(folder, f"CREATE TABLE signals (id bigserial PRIMARY KEY, timestamp timestamp DEFAULT now(), {kinds})")
        for column in ("timestamp", "symbol", "tier"):
            psql(folder, f"CREATE INDEX ON signals ({column})")
        (folder / "insert.sql").write_text(f"INSERT INTO signals ({COLUMNS}) VALUES ({values}) RETURNING id;\n")
        yield folder
    finally:
        os.killpg(process.pid, signal.SIGINT)  # the fast shutdown, through runuser
        process.wait(60)


def psql(folder, sql, database="bench"):
    output_of(["psql", "-q", "-h", folder, "-U", "bench", "-d", database, "-v", "ON_ERROR_STOP=1", "-c", sql])


def wait_until(condition, process, log):
    until = time.monotonic() + SLACK_S
    while not condition():
        if process.poll() is not None or time.monotonic() > until:
            raise Failed(pathlib.Path(log).read_text(encoding="utf-8"))
        time.sleep(0.05)
    time.sleep(0.2)


def pgbench(folder, in_flight, seconds):
    text = output_of([POSTGRES / "pgbench", "-n", "-M", "prepared", "-f", folder / "insert.sql", "-c", in_flight, "-j",
                      min(in_flight, 2), "-T", max(1, round(seconds)), "-h", folder, "-U", "bench", "bench"],
                     seconds)  # fmt: skip
    rate = float(text.split("tps = ")[1].split()[0])
    mean_ms = float(text.split("latency average = ")[1].split()[0])
    return {"per_second": rate, "median_us": mean_ms * 1000.0}


# --- Redis ---


@contextlib.contextmanager
def redis(folder):
    folder.mkdir()
    path = folder / "redis.sock"
    with open(f"{folder}.log", "w", encoding="utf-8") as log:
        with running(["redis-server", "--port", 0, "--unixsocket", path, "--dir", folder, "--appendonly", "yes",
                      "--appendfsync", "always", "--save", ""], stdout=log, stderr=log) as process:  # fmt: skip
            wait_until(path.exists, process, f"{folder}.log")
            yield path


def redis_calls(path, in_flight, seconds):
    """redis-benchmark takes a number of calls: a short run says how many."""
    few = redis_benchmark(path, in_flight, 1000 + 50 * in_flight, SLACK_S)
    return redis_benchmark(path, in_flight, int(few["per_second"] * seconds) + in_flight, seconds)


def redis_benchmark(path, in_flight, count, seconds):
    fields = [word for name, value in VALUES.items() for word in (name, value)]
    text = output_of(["redis-benchmark", "-s", path, "-c", in_flight, "-n", count, "-r", 10**11, "--csv", "HSET",
                      "signal:__rand_int__", "timestamp", "2026-01-02 03:04:05.123456", *fields], seconds)  # fmt: skip
    row = list(csv.DictReader(line for line in text.splitlines() if line.startswith('"')))[-1]
    return {"per_second": float(row["rps"]), "median_us": float(row["p50_latency_ms"]) * 1000.0}


# --- the disk ---


def sync_us(folder, grows, seconds):
    """The median of one fdatasync after writing 4 KiB, to the end of a file or over what is there."""
    times = []
    file = os.open(folder / "sync", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.write(file, bytes(MIB))
    os.fsync(file)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        os.pwrite(file, bytes(4096), MIB + 4096 * len(times) if grows else 4096 * len(times) % MIB)
        started = time.monotonic()
        os.fdatasync(file)
        times.append((time.monotonic() - started) * 1e6)
    os.close(file)
    median_us = statistics.median(times)
    return {"per_second": 1e6 / median_us, "median_us": median_us}
