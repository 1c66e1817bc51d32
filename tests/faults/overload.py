#!/usr/bin/env python3
"""Offers a server twice what it can do, for a while, and looks at what it does.

    overload.py [--seconds N] [--mix MIX]... [--apart]

First the capacity is measured (a closed loop), then calls are started at twice
that rate whether or not earlier ones were answered. The server must go on with
its work, refuse the rest, keep its memory, and be as before when it is over.

With --seconds 30 or more all of issue's figures are judged; less is for machines
that do other things besides, where only what noise cannot cause is a violation.
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
REFUSALS = {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}


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


def measure_peak(server, prefix, mix, seconds):
    return max(bench(server, prefix, mix, seconds, "--in-flight", level, "--warmup", 0.5)["calls_per_second"]
               for level in (64, 256))


def recovery_seconds(client, ended, quiet_ms):
    """From the end of the overload to the last call that was refused or took more
    than ten times what is usual; what is usual was measured before."""
    bad = [begun + seconds - ended for begun, seconds, code in client.between(ended)
           if code != book.OK or seconds * 1000 > 10 * max(quiet_ms, 5)]
    return max(bad, default=0.0)


def overload(server, prefix, mix, seconds, violations):
    judged = seconds >= JUDGED_SECONDS
    peak = measure_peak(server, prefix, mix, max(1, min(5, seconds / 4)))
    with good_client.GoodClient(server.address) as client:
        began = time.monotonic()
        time.sleep(max(1, seconds / 20))
        quiet_ms = good_client.percentile_ms(client.between(began), 99)
        memory = Memory(server.process.pid)
        before_kib, begin = memory.most_kib, time.monotonic()
        told = bench(server, prefix, mix, seconds, "--rate", max(1, int(2 * peak)), "--timeout", TIMEOUT_S,
                     "--warmup", 0)
        ended = time.monotonic()
        most_kib = memory.stop()
        time.sleep(3)
    codes = codes_of(told)
    goodput = told["calls_per_second"]
    recovered = recovery_seconds(client, ended, quiet_ms)
    beside = client.between(begin, ended)
    late_ms = told["started_late_us"]["p99"] / 1000
    refused_p50, refused_p99 = (latency_ms(told, "error_latency_us", p) for p in (50, 99))
    print(f"{mix}: peak {peak:.0f} calls/s; offered {2 * peak:.0f} for {told['seconds']:.1f} s: goodput {goodput:.0f} "
          f"({goodput / peak:.0%}), refused {codes}, told so after p50 {refused_p50:.1f} ms, p99 {refused_p99:.1f} ms "
          f"(the load itself was late by p99 {late_ms:.1f} ms); memory {before_kib // 1024} -> {most_kib // 1024} MiB; "
          f"a client beside: p99 {quiet_ms:.1f} ms before, {good_client.percentile_ms(beside, 99):.1f} ms meanwhile, "
          f"{sum(code != book.OK for _, _, code in beside)} of {len(beside)} calls refused, "
          f"as before after {recovered:.2f} s", flush=True)
    violations.expect(not client.wrong, f"{mix}: the client beside: {client.wrong}")
    violations.expect(set(codes) <= REFUSALS, f"{mix}: refused with {codes}")
    violations.expect(most_kib <= before_kib + GROWTH_KIB_MAX, f"{mix}: memory grew from {before_kib} to {most_kib} KiB")
    violations.expect(goodput > (0.8 if judged else 0.5) * peak, f"{mix}: goodput {goodput:.0f} of {peak:.0f} calls/s")
    after = client.between(ended + 1)
    violations.expect(after and all(code == book.OK for _, _, code in after), f"{mix}: refused a second after the end")
    violations.expect(not judged or recovered <= 1, f"{mix}: as before only after {recovered:.2f} s")
    return told["calls"] if "create" in mix else 0


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60, help="of overload (default 60)")
    options.add_argument("--mix", action="append", help="operations, as of tradebook bench (default create, and list)")
    options.add_argument("--apart", action="store_true", help="a CPU each for server and load")
    given = options.parse_args()
    apart = given.apart and len(os.sched_getaffinity(0)) > 1
    cpus = sorted(os.sched_getaffinity(0))
    server_prefix, load_prefix = (["taskset", "-c", str(cpu)] if apart else [] for cpu in cpus[:2] * (2 if len(cpus) < 2 else 1))
    violations = Violations()
    with tempfile.TemporaryDirectory(prefix="overload-") as folder:
        with serving.Server(pathlib.Path(folder) / "book.db", prefix=server_prefix) as server:
            for mix in given.mix or ["create", "list"]:
                overload(server, load_prefix, mix, given.seconds, violations)
    print(f"{len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
