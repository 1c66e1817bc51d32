#!/usr/bin/env python3
"""Cuts the power, as far as that can be imitated: the database is on an ext4 image
that writes nothing by itself (commit=300) and does not help programs that forget
to sync (noauto_da_alloc). The server is stopped in the middle of its work (SIGSTOP),
the image is copied as it is, and the copy is what there is after the cut: it is
mounted, the server recovers on it, the clients retry what had no answer, and
audit.py looks. What was not synced is not in the copy.

    power_cut.py [--cuts N] [--seed S] [--keep FOLDER]

Needs root and loop devices; exit status 77 without them.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import audit
import rounds
import serving

CUTS_OF_A_ROUND = 10
IMAGE_BYTES = 512 << 20
SKIPPED = 77


class Cut:
    """A server on a disk whose power is cut."""

    def __init__(self, folder, chance):
        self.chance = chance
        self.counts = Counter()
        self.image, self.disk = folder / "disk.image", folder / "disk"
        make_image(self.image)
        self.disk.mkdir()
        mount(self.image, self.disk)
        self.backups = self.disk / "backups"
        self.server = serving.Server(self.disk / "book.db", *rounds.options_of_server(self.backups))

    def fail(self, _):
        time.sleep(self.chance.uniform(0.02, 0.4))
        stop_all_threads(self.server.process)
        after = self.image.with_suffix(".after")
        subprocess.run(["cp", "--sparse=always", self.image, after], check=True)
        self.server.kill()
        unmount(self.disk)
        after.replace(self.image)
        mount(self.image, self.disk)

    def recover(self):
        self.server.start()

    def audit(self):
        return audit.audit_backups(self.backups, self.counts)

    def close(self):
        unmount(self.disk, "--lazy")  # whoever may still have a file open


def make_image(path):
    with path.open("wb") as image:
        image.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", path], check=True, capture_output=True)


def mount(image, disk):
    subprocess.run(["mount", "-o", "loop,commit=300,noauto_da_alloc", image, disk], check=True, capture_output=True, text=True)


def unmount(disk, *how):
    subprocess.run(["umount", *how, disk], check=True)


def stop_all_threads(process):
    """Returns when none runs any more, nor waits for the disk."""
    process.send_signal(signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{process.pid}/task")
    while any((task / "stat").read_text().rsplit(")", 1)[1].split()[0] != "T" for task in tasks.iterdir()):
        time.sleep(0.001)


def why_not(folder):
    """Why it cannot run here, or None."""
    if os.geteuid() != 0:
        return "only root may mount"
    image, disk = folder / "try.image", folder / "try"
    disk.mkdir()
    try:
        make_image(image)
        mount(image, disk)
        unmount(disk)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no image can be mounted: {getattr(error, 'stderr', None) or error}"
    return None


def main():
    given = rounds.options(__doc__, "--cuts", 3)
    run = rounds.Run(given)
    reason = why_not(run.folder)
    if reason is not None:
        print(f"skipped: {reason}")
        shutil.rmtree(run.folder)
        return SKIPPED
    run.rounds(Cut, given.failures, CUTS_OF_A_ROUND)
    return run.report(f"{run.counts['failures']} power cuts, {run.counts['backups']} whole backups")


if __name__ == "__main__":
    sys.exit(main())
