#!/usr/bin/env python3
"""Offers a server twice what it can do, for a while, and looks at what it does.

    overload.py [--seconds N] [--mix MIX]... [--apart]

First the capacity is measured (a closed loop), then calls are started at twice
that rate whether or not earlier ones were answered. The server must go on with
its work, refuse the rest, keep its memory, and be as before when it is over.
Capacity is measured again afterwards, and the lesser counts: machines have other
things to do. The same per second of the server's own CPU time is told as well.

With --seconds 30 or more everything told is judged; with less only what noise
cannot cause is a violation.
--apart gives server and load a CPU each, so that the load does not take the
server's time. The exit status is 1 when there are violations.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import book
import good_client
import serving

TIMEOUT_S = 1.0  # of the calls of the load
CONNECTIONS = 8
GROWTH_KIB_MAX = 64 * 1024  # what overload may add to the server's memory
JUDGED_SECONDS = 30
# UNAVAILABLE is what a client says of a connection that it has lost; the server
# would log it.
REFUSALS = {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNAVAILABLE"}


class Violations(list):
    def expect(self, holds, sentence):
        if not holds:
            self.append(sentence)
            print(f"VIOLATION: {sentence}", flush=True)


class Memory(threading.Thread):
    """Looks at the resident memory of a process, ten times a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.enough = threading.Event()
        self.most_kib = self.kib()
        self.start()

    def kib(self):
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def run(self):
        while not self.enough.wait(0.1):
            self.most_kib = max(self.most_kib, self.kib())

    def stop(self):
        self.enough.set()
        self.join()
        return self.most_kib


def bench(server, prefix, mix, seconds, *options):
    """Runs tradebook bench; returns what it tells."""
    done = subprocess.run([*prefix, serving.BIN, "bench", "--address", server.address, "--mix", mix, "--format", "json",
                           "--quiet", "--connections", str(CONNECTIONS), "--duration", str(seconds),
                           *map(str, options)], capture_output=True, text=True, env=serving.environment())
    if not done.stdout:
        raise SystemExit(f"tradebook bench: {done.stderr}")
    return json.loads(done.stdout)


def codes_of(told):
    codes = {}
    for operation in told["operations"]:
        for name, count in operation["errors"].items():
            codes[name] = codes.get(name, 0) + count
    return codes


def latency_ms(told, key, percent):
    """The worst of the operations."""
    return max(operation[key][f"p{percent}"] for operation in told["operations"]) / 1000


def cpu_seconds(server):
    with open(f"/proc/{server.process.pid}/stat") as stat:
        return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def measured(server, *arguments):
    """What bench tells, and its good calls per second of the server's CPU time."""
    before = cpu_seconds(server)
    told = bench(server, *arguments)
    return told, told["calls"] / max(cpu_seconds(server) - before, 0.01)


def measure_peak(server, prefix, mix, seconds):
    """Calls per second, and per second of CPU time."""
    told, per_cpu = measured(server, prefix, mix, seconds, "--in-flight", 256, "--warmup", 0)
    return told["calls_per_second"], per_cpu


def overload(server, prefix, mix, seconds, violations):
    judged = seconds >= JUDGED_SECONDS
    peak_seconds = max(1, min(5, seconds / 4))
    first_peak, peak_per_cpu = measure_peak(server, prefix, mix, peak_seconds)
    with good_client.GoodClient(server.address) as client:
        quiet = spend(client, max(1, seconds / 20))
        memory = Memory(server.process.pid)
        before_kib, begin = memory.most_kib, time.monotonic()
        told, per_cpu = measured(server, prefix, mix, seconds, "--rate", max(1, int(2 * first_peak)), "--timeout",
                                 TIMEOUT_S, "--warmup", 0)
        ended = time.monotonic()
        most_kib = memory.stop()
        beside = client.between(begin, ended)
        time.sleep(1)
        after = spend(client, max(1, seconds / 20))
    peak = min(first_peak, measure_peak(server, prefix, mix, peak_seconds)[0])
    codes, goodput = codes_of(told), told["calls_per_second"]
    refused_ms = [latency_ms(told, "error_latency_us", percent) for percent in (50, 99)]
    quiet_ms, beside_ms, after_ms = (good_client.percentile_ms(calls, 95) for calls in (quiet, beside, after))
    print(f"{mix}: peak {peak:.0f} calls/s; offered {2 * first_peak:.0f} for {told['seconds']:.1f} s: "
          f"goodput {goodput:.0f} ({goodput / peak:.0%}; per CPU time {per_cpu / peak_per_cpu:.0%}), refused {codes}, "
          f"told so after p50 {refused_ms[0]:.1f} ms, p99 {refused_ms[1]:.1f} ms (the load itself was late by p99 "
          f"{told['started_late_us']['p99'] / 1000:.1f} ms); memory {before_kib // 1024} -> {most_kib // 1024} MiB; a "
          f"client beside: p95 {quiet_ms:.1f} ms before, {beside_ms:.1f} ms meanwhile, {after_ms:.1f} ms from a second "
          f"after, {refusals(beside)} of {len(beside)} calls refused meanwhile, {refusals(after)} after", flush=True)
    violations.expect(not client.wrong, f"{mix}: the client beside: {client.wrong}")
    violations.expect(set(codes) <= REFUSALS, f"{mix}: refused with {codes}")
    violations.expect(" ERROR " not in server.log.read_text(), f"{mix}: {server.log.read_text()[-1000:]}")
    violations.expect(most_kib <= before_kib + GROWTH_KIB_MAX, f"{mix}: memory grew from {before_kib} to {most_kib} KiB")
    violations.expect(after and refusals(after) == 0, f"{mix}: refused a second after the end")
    if judged:
        violations.expect(goodput > 0.8 * peak, f"{mix}: goodput {goodput:.0f} of {peak:.0f} calls/s")
        violations.expect(after_ms < max(2 * quiet_ms, 5), f"{mix}: a second after the end p95 is {after_ms:.1f} ms")
    else:
        violations.expect(max(goodput / peak, per_cpu / peak_per_cpu) > 0.5,
                          f"{mix}: goodput {goodput:.0f} of {peak:.0f} calls/s")


def spend(client, seconds):
    """The client's calls of so much time from now."""
    begun = time.monotonic()
    time.sleep(seconds)
    return client.between(begun)


def refusals(calls):
    return sum(code != book.OK for _, _, code in calls)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60, help="of overload (default 60)")
    options.add_argument("--mix", action="append", help="operations, as of tradebook bench (default create, and list)")
    options.add_argument("--apart", action="store_true", help="a CPU each for server and load")
    given = options.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    apart = given.apart and len(cpus) > 1
    server_prefix, load_prefix = (["taskset", "-c", str(cpu)] for cpu in cpus[:2]) if apart else ([], [])
    violations = Violations()
    with tempfile.TemporaryDirectory(prefix="overload-") as folder:
        with serving.Server(pathlib.Path(folder) / "book.db", prefix=server_prefix) as server:
            for mix in given.mix or ["create", "list"]:
                overload(server, load_prefix, mix, given.seconds, violations)
    print(f"{len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
