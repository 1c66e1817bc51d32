#!/usr/bin/env python3
"""A server that is refused memory, allocation after allocation, by a library that
is loaded into it: while it starts, serves a trading day and stops. It must not
crash, hang or leak. A request that is answered RESOURCE_EXHAUSTED, or whose
connection is closed instead, has changed nothing, and its repetition with the same
request id succeeds.

  start    one allocation fails, once or all from then on, from the start of the process;
           a start that is refused leaves no file, an empty one or a whole one, by
           which the next start succeeds
  serving  every Kth allocation fails while a day is served, whatever could not be
           answered being sent again, each such day beginning with another one, so that
           all together every allocation fails; or all from the Nth on for a while

The metrics are asked for as well: they come, or 500, 503 or a closed connection.

Allocations count that are asked for by the program, SQLite, protobuf-c, jansson,
libmicrohttpd and others of its libraries. Not those of nng, which are not ours (--callers nng tries
them), nor those that the loader makes for new threads: nng 1.5.2 crashes or hangs
when one of its threads cannot be started.

  memory.py --starts 40 --days 30    the first allocations, and a sample by --seed
  memory.py --all --jobs 2           every allocation; takes an hour. The start after a
                                     refused one, and its day, in one life of a hundred
  memory.py --one LIFE               one life, as a violation names it
"""

import argparse
import collections
import contextlib
import errno
import http.client
import multiprocessing
import os
import pathlib
import random
import signal
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import book  # noqa: E402
import preload  # noqa: E402
import serving  # noqa: E402
import story  # noqa: E402
from book import OK, RESOURCE_EXHAUSTED  # noqa: E402
from disk import Violation, insist  # noqa: E402

FAILURE = 1
CALLERS = {
    "program": ["program", "libxxhash", "libinih", "libjansson"],
    "sqlite": ["libsqlite3"],
    "protobuf": ["libprotobuf-c"],
    "libc": ["libc.so"],
    "http": ["libmicrohttpd"],
    "nng": ["libnng"],
}
OURS = ["program", "sqlite", "protobuf", "libc", "http"]
PERIOD = 2000    # more than any request allocates at once
ANSWER_S = 30    # no answer for so long is a hang, on a busy machine, too
TRIES = 40       # of one request while memory is short
FIRST_LIVES = 6  # in every sample: the first allocations start a library
GOES_ON = 100    # of so many refused starts one is tried again where all are tried

# phase: "start" or "serving". every: 0 one fails, 1 all from the nth on, else each such one.
Life = collections.namedtuple("Life", "phase callers nth every")


def name_of(life):
    return ":".join(map(str, life))


def life_named(name):
    phase, callers, nth, every = name.split(":")
    return Life(phase, callers, int(nth), int(every))


class Session:
    """One server, and one client that does not give up."""

    def __init__(self, folder, life, count, goes_on):
        self.db = folder / "book.db"
        self.life = life
        self.count = count
        self.goes_on = goes_on  # after a start that is refused
        self.control = preload.Control(folder / "control")
        self.server = serving.Server(self.db, "--http", "127.0.0.1:0",
                                     prefix=preload.memory(self.control, CALLERS[life.callers]))
        self.client = None
        self.ids = {}
        self.done = set()
        self.live = None
        self.marks = {}

    def close(self):
        self.disconnect()
        if self.server.process is not None:
            self.server.kill()

    def threads(self):
        """Where the threads of a server are that hangs."""
        lines = []
        for task in pathlib.Path(f"/proc/{self.server.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                state = (task / "stat").read_text().rsplit(")", 1)[1].split()[0]
                lines.append(f"{(task / 'comm').read_text().strip()} {state} {(task / 'wchan').read_text()}")
        return "\n".join(lines)

    def disconnect(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def exchange(self, body):
        """The reply, or None when the connection was closed instead."""
        try:
            if self.client is None:
                self.client = book.Client(self.server.address, timeout=ANSWER_S)
            return self.client.call_raw(body)
        except TimeoutError:
            self.disconnect()
            raise Violation(f"no answer\n{self.threads()}") from None
        except OSError:
            self.disconnect()
            insist(self.server.process.poll() is None, "the server has ended with status", self.server.process.poll(),
                   self.server.log.read_text())
            return None

    def insist_on(self, what, body, audit):
        """Sends it until it succeeds; each failure has a cause and no effect. Figures
        are read anew after they had no memory, so they may come back a little later."""
        later_until = time.monotonic() + ANSWER_S if "Analytics" in what else 0
        attempt = 0
        while attempt < TRIES:
            failed = self.control.failed
            reply = self.exchange(body)
            if reply is not None and reply.code == OK:
                return reply
            insist(self.control.failed > 0, f"'{what}' failed without a fault", reply)
            insist(reply is None or (reply.code == RESOURCE_EXHAUSTED and "emory" in reply.message),
                   f"an unexpected answer to '{what}'", reply)
            self.count["closed instead of answered" if reply is None else "answered RESOURCE_EXHAUSTED"] += 1
            audit()
            attempt += 1
            if self.control.failed == failed and attempt > 1:
                insist(time.monotonic() < later_until, f"'{what}' fails although memory is there", reply)
                attempt = 2
                time.sleep(0.02)
            if self.life.every == 1 and attempt >= 3:
                self.control.disarm()
        raise Violation(f"'{what}' never succeeds")

    def audit(self):
        insist(story.executed(self.db) == self.done, "the executed requests are not those that were answered OK")

    def write_all(self):
        for step in story.steps():
            for request in step if isinstance(step, list) else []:
                reply = self.insist_on(request.word, request.envelope(self.ids), self.audit)
                request.learn(reply, self.ids)
                self.done.add(request.id)

    def read_all(self):
        for method, fields in story.READS:
            self.insist_on(method, book.envelope(method, book.request_of(method, **fields)).SerializeToString(),
                           lambda: None)

    def scrape(self):
        """Whether the metrics came, all of them."""
        try:
            with urllib.request.urlopen(f"{self.server.http}/metrics", timeout=ANSWER_S) as page:
                return b"\ntradebook_database_up 1\n" in page.read()
        except urllib.error.HTTPError as answer:
            insist(answer.code in (500, 503), "metrics were answered", answer.code)
        except TimeoutError:
            raise Violation(f"no metrics\n{self.threads()}") from None
        except (OSError, http.client.HTTPException):
            pass
        return False

    def insist_on_metrics(self):
        failed = -1
        for _ in range(TRIES):
            failed, before = self.control.failed, failed
            if self.scrape():
                return
            self.count["metrics refused"] += 1
            insist(self.control.failed != before, "no metrics although memory is there", self.server.log.read_text())
            if self.life.every == 1:
                self.control.disarm()
        raise Violation("the metrics never come")

    def start(self):
        """False: it refused to, in order."""
        try:
            self.server.start()
        except serving.NotServing as failure:
            insist(failure.status == FAILURE, "the start failed with status", failure.status, failure.text)
            insist(self.control.failed > 0, "the start failed without a fault", failure.text)
            insist("emory" in failure.text, "the start failed without saying why", failure.text)
            self.count["starts refused"] += 1
            return False
        return True

    def stop(self):
        """The end is in order and frees everything."""
        self.disconnect()
        process = self.server.process
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(timeout=ANSWER_S)
        except subprocess.TimeoutExpired:
            raise Violation(f"the server does not end\n{self.threads()}") from None
        self.server.process = None
        insist(status == 0, "the end has status", status, self.server.log.read_text())
        self.live = self.control.live

    def run(self):
        life = self.life
        self.control.arm(preload.ALLOCATION, errno.ENOMEM, preload.NEVER)
        if life.phase == "start":
            self.control.arm(preload.ALLOCATION, errno.ENOMEM, life.nth, life.every)
            if not self.start():
                self.live = self.control.live
                wrong = story.unbegun(self.db)
                insist(not wrong, "a refused start left", wrong)
                if not self.goes_on:
                    return
                self.control.arm(preload.ALLOCATION, errno.ENOMEM, preload.NEVER)
                insist(self.start(), "it does not start with memory either")
            elif life.every == 1:
                self.control.disarm()
        else:
            insist(self.start(), "it does not start")
            self.marks["start"] = self.control.calls(preload.ALLOCATION)
            self.control.arm(preload.ALLOCATION, errno.ENOMEM, life.nth, life.every)
        self.insist_on_metrics()
        self.write_all()
        self.read_all()
        self.insist_on_metrics()
        self.marks["serving"] = self.control.calls(preload.ALLOCATION)
        if self.life.every == 1:
            self.control.disarm()
        refused_live = self.live
        self.stop()
        self.live = max(self.live, refused_live or 0)
        wrong = story.soundness(self.db)
        insist(not wrong, "the file is not sound", wrong)


class Tester:
    def __init__(self, jobs, tries_all):
        self.count = collections.Counter()
        self.jobs = jobs
        self.tries_all = tries_all
        shared = pathlib.Path("/dev/shm")
        self.place = shared if os.access(shared, os.W_OK) else None
        self.usual = {}  # callers: (allocations while starting, while serving, not freed at the end)
        self.picture = None

    def live(self, life):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tradebook-memory-", dir=self.place))
        session = Session(folder, life, self.count, not self.tries_all or life.nth % GOES_ON == 0)
        try:
            session.run()
            if life.callers in self.usual:
                insist(session.live <= self.usual[life.callers][2], "not freed", session.live,
                       session.server.log.read_text())
                if "serving" in session.marks:
                    different = story.difference(self.picture, story.picture(session.db))
                    insist(not different, "the day does not end as one with memory does", different)
            else:
                self.picture = story.picture(session.db)
        except (Violation, AssertionError, OSError) as failure:
            session.close()
            raise Violation(f"{name_of(life)}: {type(failure).__name__}: {failure}\n"
                            f"reproduce: {sys.argv[0]} --one {name_of(life)}\nfiles: {folder}") from failure
        finally:
            session.close()
        self.count["allocations failed"] += session.control.failed
        shutil.rmtree(folder)
        return session

    def measure(self, callers):
        session = self.live(Life("serving", callers, preload.NEVER, 0))
        self.usual[callers] = (session.marks["start"], session.marks["serving"], session.live)

    def try_life(self, life):
        """(what was counted, what is wrong or None)"""
        self.count = collections.Counter()
        try:
            self.live(life)
        except Violation as violation:
            return self.count, violation
        return self.count, None

    def run(self, lives):
        violations = 0
        count = collections.Counter()
        with multiprocessing.get_context("fork").Pool(self.jobs) as pool:
            for done, (counted, violation) in enumerate(pool.imap_unordered(self.try_life, lives)):
                count += counted
                if violation is not None:
                    violations += 1
                    print(f"VIOLATION {violation}", flush=True)
                if sys.stderr.isatty():
                    print(f"\r{done + 1} of {len(lives)}", end="", file=sys.stderr)
        made = "; ".join(f"{callers}: {start} to start, {serve} to serve"
                         for callers, (start, serve, _) in self.usual.items())
        print(f"{len(lives)} lives; allocations of a life: {made}; "
              + ", ".join(f"{what}: {number}" for what, number in sorted(count.items()))
              + f"; violations: {violations}")
        return 1 if violations else 0


def every_life(usual):
    """The lives that together let each allocation fail: (those that start, days)."""
    starts = [Life("start", callers, nth, every)
              for callers, (start, _, _) in usual.items() for nth in range(1, start + 1) for every in (0, 1)]
    days = []
    for callers, (_, serve, _) in usual.items():
        days += [Life("serving", callers, nth, PERIOD) for nth in range(1, min(PERIOD, serve) + 1)]
        days += [Life("serving", callers, nth, 1) for nth in range(1, serve + 1, 1 + serve // PERIOD)]
    return starts, days


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--starts", type=int, default=0)
    parser.add_argument("--days", type=int, default=0)
    parser.add_argument("--one", type=life_named)
    parser.add_argument("--callers", nargs="+", choices=CALLERS, default=OURS)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=1, help="lives at a time")
    arguments = parser.parse_args()
    tester = Tester(arguments.jobs, arguments.all)
    for callers in [arguments.one.callers] if arguments.one else arguments.callers:
        tester.measure(callers)
    starts, days = every_life(tester.usual)
    if arguments.one:
        return tester.run([arguments.one])
    if arguments.all:
        return tester.run(days + starts)
    print(f"seed {arguments.seed}")
    chance = random.Random(arguments.seed)
    lives = []
    for kind, number in ((starts, arguments.starts), (days, arguments.days)):
        for callers in arguments.callers:  # the few allocations of the program are as likely as SQLite's many
            mine = [life for life in kind if life.callers == callers]
            share = -(-number // len(arguments.callers))
            lives += mine[:FIRST_LIVES] + chance.sample(mine, min(share, len(mine)))
    return tester.run(lives)


if __name__ == "__main__":
    sys.exit(main())
