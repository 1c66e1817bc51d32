#!/usr/bin/env python3
"""A server whose disk fails: one write, sync or truncation of a trading day after
the other, with EIO or ENOSPC, once or from then on. After each fault the database
is compared with what was answered:

  answered OK                 it is there
  answered with an error      it is not there, not even in part
  answered "outcome unknown"  wholly there or not at all; the server ends with the status
                              that asks for a restart, and the same request id settles it

Then the day goes on, with the same request ids for what had no success, and must
end as a day without faults does.

  disk.py --runs 80      a sample of all faults, by --seed
  disk.py --all          every fault
  disk.py --one FAULT    one of them, as a violation names it
"""

import argparse
import collections
import contextlib
import errno
import itertools
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import book  # noqa: E402
import preload  # noqa: E402
import serving  # noqa: E402
import story  # noqa: E402
from book import OK, RESOURCE_EXHAUSTED, UNAVAILABLE  # noqa: E402

FAILURE, RESTART = 1, 75
UNDECIDED = "decided when the server starts again"
Fault = collections.namedtuple("Fault", "kind error nth forever")


def name_of(fault):
    return (f"{preload.NAMES[fault.kind]}:{errno.errorcode[fault.error]}:{fault.nth}:"
            f"{'forever' if fault.forever else 'once'}")


def fault_named(name):
    kind, error, nth, how = name.split(":")
    kinds = {name: kind for kind, name in preload.NAMES.items()}
    return Fault(kinds[kind], getattr(errno, error), int(nth), how == "forever")


class Violation(Exception):
    pass


def insist(condition, what, *details):
    if not condition:
        raise Violation(": ".join([what, *map(str, details)]))


class Day:
    """One life of a database: the server, its disk, and how far the story is."""

    def __init__(self, folder, fault, expected, count):
        self.db = folder / "book.db"
        self.fault = fault
        self.expected = expected  # pictures: before the first step and after each; None: they are taken
        self.count = count
        self.control = preload.Control(folder / "control")
        self.steps = story.steps()
        self.requests = [request for step in self.steps if isinstance(step, list) for request in step]
        self.ids = {}
        self.done = {}  # request id: the bytes of its answer
        self.pictures = []
        self.server = None
        self.client = None

    # The process.

    def start(self, faulty):
        prefix = preload.disk(self.control, self.db) if faulty else []
        self.server = serving.Server(self.db, prefix=prefix, ipc=False)
        self.server.start()
        self.client = book.Client(self.server.address)

    def start_with_fault(self):
        """A start that fails says why and leaves a file that can be served."""
        self.control.arm(*self.fault)
        try:
            self.start(faulty=True)
        except serving.NotServing as failure:
            insist(failure.status == FAILURE, "the start failed with status", failure.status, failure.text)
            insist(failure.text.count("tradebook serve: ") == 1, "the start failed without one sentence", failure.text)
            insist(self.control.failed > 0, "the start failed without a fault", failure.text)
            self.count["starts refused"] += 1
            self.start(faulty=False)

    def restart(self):
        """Ends what is left of the server and serves the file on a disk that works."""
        self.client.close()
        if self.server.process is not None:
            status = self.server.stop()
            insist(status in (0, RESTART), "stopping ended with status", status, self.server.log.read_text())
        self.start(faulty=False)

    def end_after_undecided(self):
        try:
            status = self.server.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            raise Violation("the server goes on after a commit whose outcome is unknown") from None
        self.server.process = None
        insist(status == RESTART, "the server ended with status", status, self.server.log.read_text())

    def close(self):
        with contextlib.suppress(Exception):
            self.client.close()
        if self.server is not None and self.server.process is not None:
            self.server.kill()

    # Requests.

    def send(self, requests):
        """Sends all at once; {request: Reply or None when no answer came}."""
        replies = dict.fromkeys(requests)
        with contextlib.suppress(OSError):
            waiting = {self.client.send(request.envelope(self.ids)): request for request in requests}
            while waiting:
                received, body = self.client.receive()
                replies[waiting.pop(received)] = book.rpc_pb2.Reply.FromString(body)
        for request, reply in replies.items():
            if reply is not None and reply.code == OK:
                request.learn(reply, self.ids)
                self.done[request.id] = reply.SerializeToString()
        return replies

    def read(self):
        """Reading does not depend on whether writing works."""
        reply = self.client.reply("SignalService.ListSignals", page_size=1)
        insist(reply.code == OK, "reading failed because writing did", reply.message)

    def check_refusal(self, request, reply):
        known = (reply.code, "disk is full" in reply.message, "disk failed" in reply.message or
                 "restarting after a disk failure" in reply.message or UNDECIDED in reply.message)
        insist(known in [(RESOURCE_EXHAUSTED, True, False), (UNAVAILABLE, False, True)],
               f"an unexpected answer to '{request.word}'", reply)
        self.count["answered " + ("unknown" if UNDECIDED in reply.message else "failed")] += 1

    # Judgement.

    def check_file(self, step, undecided):
        """The file holds what was answered, and of the undecided what it likes, but wholly."""
        executed = story.executed(self.db)
        lost = [r.word for r in self.requests if r.id in self.done and r.id not in executed]
        insist(not lost, "answered OK and lost", lost)
        allowed = set(self.done) | {request.id for request in undecided}
        kept = [r.word for r in self.requests if r.id in executed - allowed]
        insist(not kept, "answered as failed and there", kept)
        wrong = story.soundness(self.db)
        insist(not wrong, "the file is not sound", wrong)
        if len(self.steps[step]) == 1:
            whole = self.steps[step][0].id in executed
            different = story.difference(self.expected[step + whole], story.picture(self.db))
            insist(not different, f"after step {step} the database is not as answered", different)

    def check_replay(self, requests):
        """The same ids get the same answers again, without another effect."""
        for request in requests:
            body = self.client.call_raw(request.envelope(self.ids)).SerializeToString()
            insist(body == self.done[request.id], f"'{request.word}' was answered anew")

    def recover(self, number, replies):
        """Step number has failed in part or wholly: judges, and makes it succeed."""
        insist(self.control.failed > 0, "a request failed without a fault", replies)
        refused = {request: reply for request, reply in replies.items() if reply is not None and reply.code != OK}
        unanswered = [request for request, reply in replies.items() if reply is None]
        for request, reply in refused.items():
            self.check_refusal(request, reply)
        undecided = unanswered + [request for request, reply in refused.items() if UNDECIDED in reply.message]
        if undecided:
            self.count["undecided"] += 1
            self.end_after_undecided()
        else:
            self.check_file(number, [])
            self.read()
        if undecided or self.fault.forever:
            self.restart()
            self.check_file(number, undecided)
            if undecided:
                settled = any(request.id in story.executed(self.db) for request in undecided)
                self.count["undecided and there" if settled else "undecided and not there"] += 1
        again = self.send([request for request in replies if request.id not in self.done])
        for request, reply in again.items():
            insist(reply is not None and reply.code == OK, f"'{request.word}' fails after the fault", reply)
        self.check_replay(replies)

    def live(self):
        self.start_with_fault()
        self.pictures.append(story.picture(self.db))
        for number, step in enumerate(self.steps):
            if isinstance(step, story.Neighbour):
                step.write(self.db)
            else:
                replies = self.send(step)
                if any(reply is None or reply.code != OK for reply in replies.values()):
                    self.recover(number, replies)
            if self.expected is None:
                self.pictures.append(story.picture(self.db))
        self.finish()
        if self.control.failed == 0 and self.fault.nth != preload.NEVER:
            self.count["not reached"] += 1  # requests that come together share a commit, more or less of them

    def finish(self):
        """The server ends in order, and the file is that of a day without faults."""
        self.client.close()
        status = self.server.stop()
        insist(status == 0, "the end has status", status, self.server.log.read_text())
        wrong = story.soundness(self.db)
        insist(not wrong, "the file is not sound", wrong)
        if self.expected is not None:
            different = story.difference(self.expected[-1], story.picture(self.db))
            insist(not different, "the day does not end as one without faults", different)


class Tester:
    def __init__(self):
        self.count = collections.Counter()
        # In memory where possible: the file system's own syncs would only cost time.
        shared = pathlib.Path("/dev/shm")
        self.place = shared if os.access(shared, os.W_OK) else None

    def day(self, fault, expected):
        """Lives one day and removes its files; keeps them when it ends in a violation."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tradebook-disk-", dir=self.place))
        day = Day(folder, fault, expected, self.count)
        try:
            day.live()
        except (Violation, AssertionError, OSError) as failure:
            day.close()
            raise Violation(f"{name_of(fault)}: {failure}\nreproduce: {sys.argv[0]} --one {name_of(fault)}\n"
                            f"files: {folder}") from failure
        finally:
            day.close()
        shutil.rmtree(folder)
        return day

    def without_faults(self):
        """The pictures of a good day, and how many calls of each kind it makes."""
        day = self.day(Fault(preload.WRITE, errno.EIO, preload.NEVER, False), None)
        return day.pictures, {kind: day.control.calls(kind) for kind in preload.DISK_KINDS}

    def run(self, choose):
        expected, calls = self.without_faults()
        faults = [Fault(kind, error, nth, forever)
                  for kind, error, forever in itertools.product(calls, (errno.EIO, errno.ENOSPC), (False, True))
                  for nth in range(1, calls[kind] + 1)]
        chosen = choose(faults)
        violations = []
        for done, fault in enumerate(chosen):
            try:
                self.day(fault, expected)
                self.count[f"{preload.NAMES[fault.kind]} {errno.errorcode[fault.error]}"] += 1
            except Violation as violation:
                violations.append(violation)
                print(f"VIOLATION {violation}", flush=True)
            if sys.stderr.isatty():
                print(f"\r{done + 1} of {len(chosen)}", end="", file=sys.stderr)
        made = ", ".join(f"{count} {preload.NAMES[kind]}" for kind, count in calls.items())
        print(f"{len(chosen)} of {len(faults)} faults of a day of {made} calls; "
              + ", ".join(f"{what}: {count}" for what, count in sorted(self.count.items()))
              + f"; violations: {len(violations)}")
        return 1 if violations else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--runs", type=int)
    how.add_argument("--all", action="store_true")
    how.add_argument("--one", type=fault_named)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()

    def choose(faults):
        if arguments.one:
            return [arguments.one]
        if arguments.all:
            return faults
        print(f"seed {arguments.seed}")
        return random.Random(arguments.seed).sample(faults, min(arguments.runs, len(faults)))

    return Tester().run(choose)


if __name__ == "__main__":
    sys.exit(main())
