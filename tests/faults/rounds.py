"""Rounds of failures under traffic, each with a database of its own and an audit at
its end. What fails and how is the tester's: a victim has

    server          a serving.Server
    fail(running)   ends it at a moment of the victim's choice, in this traffic
    recover()       starts it again
    audit()         what is wrong with what else it left
    close()         gives back what it holds
    counts          figures of its own
"""

import argparse
import pathlib
import random
import shutil
import tempfile
import time
from collections import Counter

import audit
import book
import traffic


def options(description, name, failures):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(name, type=int, default=failures, metavar="N", dest="failures")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", type=pathlib.Path, metavar="FOLDER",
                        help="where to work; files of a round with violations stay there")
    return parser.parse_args()


class Run:
    def __init__(self, given):
        self.seed = given.seed
        self.counts, self.violations = Counter(), []
        self.began = time.monotonic()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tradebook-faults-", dir=given.keep))

    def add(self, tester, failures):
        """A tester that does its own rounds."""
        self.guarded(tester.__name__, tester, self.folder, self.seed, failures, self.violations, self.counts)

    def rounds(self, make_victim, failures, of_a_round):
        number = 0
        while failures > 0 and not self.violations:
            now = min(failures, of_a_round)
            folder = self.folder / str(number)
            folder.mkdir()
            self.guarded(f"round {number}", self.round, make_victim, folder, f"{self.seed}/{number}", now)
            if not self.violations:
                shutil.rmtree(folder)
            failures, number = failures - now, number + 1

    def guarded(self, name, function, *arguments):
        try:
            function(*arguments)
        except Exception as error:  # the server did not start, say
            self.violations.append(f"{name}: {type(error).__name__}: {error}")

    def round(self, make_victim, folder, seed, failures):
        victim = make_victim(folder, random.Random(f"{seed}/moments"))
        try:
            victim.server.start()
            prepare(victim.server)
            with traffic.Traffic(seed, self.violations) as running:
                running.server_is_up(victim.server.addresses, victim.server.events[0])
                for _ in range(failures):
                    victim.fail(running)
                    victim.recover()
                    running.server_is_up(victim.server.addresses, victim.server.events[0])
                    self.counts["failures"] += 1
                running.drain()
                self.violations += audit.audit(victim.server, running, seed)
            self.violations += victim.audit()
            self.counts.update(victim.counts + running.counts())
            self.counts["events"] += len(running.witness.seen)
            if victim.server.stop() != 0:
                self.violations.append(f"the server did not end in order: {victim.server.log.read_text()}")
        finally:
            if victim.server.process:
                victim.server.kill()
            victim.close()

    def report(self, failures):
        """Prints the figures; returns the exit status."""
        counts = self.counts
        print(failures)
        print(f"{counts['acknowledged']} acknowledged writes, {counts['events']} events seen; {counts['retried']} retried, "
              f"{counts['replayed']} replayed, {counts['doubled']} sent twice at once")
        print(f"{len(self.violations)} violations, {time.monotonic() - self.began:.0f} s, seed {self.seed}")
        for violation in self.violations[:20]:
            print(f"VIOLATION {violation}")
        if self.violations:
            print(f"files: {self.folder}")
            return 1
        shutil.rmtree(self.folder)
        return 0


def options_of_server(backups):
    """It makes a backup every second in that new folder."""
    backups.mkdir()
    return ["--heartbeat-ms", 100, "--log-level", "warning", "--backup-dir", backups, "--backup-interval", 1,
            "--backup-keep", 1000]


def prepare(server):
    """The patterns that all clients count on. Nothing fails yet."""
    with book.Client(server.address, [("client-id", b"prepare")]) as client:
        for number in range(traffic.PATTERNS):
            client.ok("PatternService.CreatePattern",
                      pattern=book.pattern(name=f"pattern {number}", pattern_hash=traffic.pattern_hash(number)))
