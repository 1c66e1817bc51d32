#!/usr/bin/env python3
"""Kills the server with SIGKILL again and again while clients write, restarts it,
lets the clients retry what had no answer, and audits what is there (audit.py).

    crash.py [--kills N] [--seed S] [--keep FOLDER]

A round is one database and up to 25 kills: at a random moment, while the server
starts, in a checkpoint, which the load causes every few hundred requests, while it
makes a backup, or when it has just published an event. One kill in ten hits the
first start on a users' database, while it is adopted. The seed makes the same
requests again, not the same moments. On a violation the files of the round are kept
and their place is told; the exit status is then 1.
"""

import contextlib
import random
import struct
import sys
import time
from collections import Counter

import adoption
import audit
import rounds
import serving
import starting

KILLS_OF_A_ROUND = 25
FRAME_BYTES = 24 + 4096
AIM_SECONDS = 0.3  # how long a kill waits for a checkpoint


class Killed:
    """A server that is killed and started again. It makes a backup every second."""

    def __init__(self, folder, chance):
        self.backups = folder / "backups"
        self.server = serving.Server(folder / "book.db", *rounds.options_of_server(self.backups))
        self.chance = chance
        self.counts = Counter()

    def recover(self):
        """Starts it, after some starts that do not get far."""
        while self.chance.random() < 0.15:
            self.counts["while starting"] += starting.kill_while_starting(self.server, self.chance.uniform(0, 0.03))
        self.server.start()

    def fail(self, running):
        moments = [self.any_moment, self.await_checkpoint, self.await_backup, self.await_event]
        self.chance.choices(moments, [4, 2, 2, 3])[0](running)
        self.server.kill()
        self.counts["in a backup"] += any(self.backups.glob("*.partial"))
        for what, was in interrupted(self.server.db).items():
            self.counts[what] += was

    def any_moment(self, _):
        time.sleep(self.chance.choice([self.chance.uniform(0, 0.01), self.chance.uniform(0, 0.2)]))

    def await_checkpoint(self, _):
        """Nothing but a checkpoint writes to the database file itself."""
        before = self.server.db.stat().st_mtime_ns
        self.wait(lambda: self.server.db.stat().st_mtime_ns != before, 0.3)
        time.sleep(self.chance.uniform(0, 0.001))

    def await_backup(self, _):
        self.wait(lambda: any(self.backups.glob("*.partial")), 1)
        time.sleep(self.chance.uniform(0, 0.02))

    def await_event(self, running):
        """Nothing may be published that is not committed."""
        running.listener.at_next_event(self.server.process.kill, 0.3)

    def wait(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            time.sleep(0.0001)

    def audit(self):
        return audit.audit_backups(self.backups, self.counts)

    def close(self):
        pass


def interrupted(db):
    """What the killed server was at, by the files it left: the shared memory still
    says what was committed (SQLite's file format, "WAL-index")."""
    with contextlib.suppress(OSError, struct.error):
        shared = db.with_name(db.name + "-shm").read_bytes()
        (frames,) = struct.unpack_from("=I", shared, 16)
        salts = shared[32:40]
        moved, _, _, _, _, _, _, _, attempted = struct.unpack_from("=9I", shared, 96)
        with db.with_name(db.name + "-wal").open("rb") as log:
            log.seek(32 + frames * FRAME_BYTES)
            beyond = log.read(24)
        return {"in a commit": beyond[8:16] == salts, "in a checkpoint": attempted > moved}
    return {}


def main():
    given = rounds.options(__doc__, "--kills", 50)
    run = rounds.Run(given)
    adopted = given.failures // 10
    run.add(adoption.kill_adoptions, adopted)
    run.rounds(Killed, given.failures - adopted, KILLS_OF_A_ROUND)
    counts = run.counts
    return run.report(
        f"{counts['failures']} kills: {counts['in a commit']} in a commit, {counts['in a checkpoint']} in a checkpoint; "
        f"{counts['in a backup']} in a backup (and {counts['backups']} whole ones), "
        f"{counts['while starting']} more while starting; {counts['adoptions']} during an adoption, "
        f"{counts['in the adoption']} of them in its transaction")


if __name__ == "__main__":
    sys.exit(main())
