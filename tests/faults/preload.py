"""Lets a call of the program under test fail, by a library that is loaded into it
(preload_disk.c, preload_memory.c).

    control = preload.Control(folder / "control")
    with serving.Server(db, prefix=preload.disk(control, folder)): ...
        control.arm(preload.WRITE, errno.ENOSPC, nth=3)
"""

import mmap
import os
import struct

WRITE, SYNC, TRUNCATE = DISK_KINDS = 1, 2, 3
ALLOCATION = 1
NAMES = {WRITE: "write", SYNC: "sync", TRUNCATE: "truncate"}
NEVER = 0xFFFFFFFF

_SIZE = 14 * 4  # struct fault_control of fault_control.h


class Control:
    """The file by which both sides talk."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb+") as file:
            file.truncate(_SIZE)
            self.memory = mmap.mmap(file.fileno(), _SIZE)

    def arm(self, kind, error, nth, every=0):
        """From now on the nth call fails, the next one being the first; every=1: and
        all after it, every=N: and each Nth after it."""
        struct.pack_into("=6I", self.memory, 0, kind, error, NEVER, every, 0, 0)
        struct.pack_into("=8I", self.memory, 24, *[0] * 8)
        struct.pack_into("=I", self.memory, 8, nth)

    def disarm(self):
        struct.pack_into("=I", self.memory, 0, 0)

    @property
    def failed(self):
        """How many calls have failed since it was armed."""
        return struct.unpack_from("=I", self.memory, 16)[0]

    @property
    def live(self):
        """How many allocations the ended process had not freed."""
        return struct.unpack_from("=I", self.memory, 20)[0]

    def calls(self, kind):
        """How many calls of this kind there were since it was armed."""
        return struct.unpack_from("=8I", self.memory, 24)[kind]


def disk(control, files):
    """What to put before a command so that writing to paths that begin with files fails."""
    return ["env", f"LD_PRELOAD={os.environ['TRADEBOOK_FAULT_DISK']}", f"TBK_FAULT_CONTROL={control.path}",
            f"TBK_FAULT_FILES={files}"]


def memory(control, callers):
    """What to put before a command so that its allocations fail; callers are parts
    of the names of the files whose calls count."""
    return ["env", f"LD_PRELOAD={os.environ['TRADEBOOK_FAULT_MEMORY']}", f"TBK_FAULT_CONTROL={control.path}",
            f"TBK_FAULT_CALLERS={','.join(callers)}"]
