#!/usr/bin/env python3
"""A trading day on a small disk that is full before each of its steps, but for some
pages. What was answered OK is there, what was refused is not, reads go on, and as
soon as there is room the same server does what it refused. Ends with status 77
where no file system can be mounted."""

import collections
import contextlib
import pathlib
import subprocess
import sys
import tempfile

import disk
import story
from book import OK

SKIPPED = 77
PAGE = 4096
PAGES_LEFT = (0, 1, 2, 5, 12, 31)
SIZE = "24m"


class FullDay(disk.Day):
    def __init__(self, folder, pages_left, expected, count):
        self.pages_left = pages_left
        super().__init__(folder, None, expected, count)

    def fill(self):
        filler = self.db.with_name("filler")
        with filler.open("wb", buffering=0) as file:
            for piece in (bytes(256 * PAGE), bytes(PAGE)):
                with contextlib.suppress(OSError):
                    while file.write(piece) == len(piece):
                        pass
            file.truncate(max(0, file.tell() - PAGE * self.pages_left))
        return filler

    def step_on_full_disk(self, number, step):
        filler = self.fill()
        replies = self.send(step)
        refused = {request: reply for request, reply in replies.items() if reply is None or reply.code != OK}
        for request, reply in refused.items():
            disk.insist(reply is not None, f"'{request.word}' was not answered")
            self.check_refusal(request, reply)
        self.count["answered OK"] += len(replies) - len(refused)
        self.check_file(number, [])
        if number > 0:
            self.read()
        filler.unlink()
        again = self.send(list(refused))
        disk.insist(all(reply is not None and reply.code == OK for reply in again.values()),
                    "there is room, and still", again)
        self.check_replay(replies)

    def live(self):
        self.start(faulty=False)
        for number, step in enumerate(self.steps):
            if isinstance(step, story.Neighbour):
                step.write(self.db)
            elif self.expected is None:
                self.send(step)
            else:
                self.step_on_full_disk(number, step)
            self.pictures.append(story.picture(self.db))
        self.finish()


def main():
    count = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="tradebook-full-") as place:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True,
                                 text=True)
        if mounted.returncode != 0:
            print(f"skipped: no small disk can be mounted here: {mounted.stderr.strip()}")
            return SKIPPED
        try:
            expected = None
            for pages_left in (None, *PAGES_LEFT):
                folder = pathlib.Path(place) / "day"
                folder.mkdir()
                day = FullDay(folder, pages_left, expected, count)
                try:
                    day.live()
                finally:
                    day.close()
                expected = expected or [{name: [] for name in day.pictures[0]}, *day.pictures]
                subprocess.run(["rm", "-rf", folder], check=True)
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)
    print(f"{len(PAGES_LEFT)} days on a full disk; "
          + ", ".join(f"{what}: {number}" for what, number in sorted(count.items())) + "; violations: 0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
