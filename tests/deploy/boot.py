"""Boots a root file system with its systemd, in namespaces and a network of its own."""

import contextlib
import os
import pathlib
import re
import subprocess
import tempfile
import uuid

import engine
import machine
import pytest

# Enters its groups, then becomes the command.
START = """
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done
shift
mount --bind "$0" "$0"
exec "$@"
"""


def hierarchies():
    """Where processes are put into the groups by which systemd follows them."""
    found = re.findall(r"^\S+ (\S+) (?:cgroup2 |cgroup \S*name=systemd)", pathlib.Path("/proc/mounts").read_text(), re.M)
    return [pathlib.Path(place) for place in found]


class Booted:
    """A root that runs; leader is its systemd, as seen from outside."""

    def __init__(self, folder, leader):
        self.folder = folder
        self.leader = leader

    def run(self, *command, **options):
        return machine.run("nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "-C", *command, **options)

    def state(self):
        return self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()


def find(folder, nspawn):
    """The root if it is booted, else None. Nspawn's first child still sees the processes of
    this machine, and its systemd."""
    children = pathlib.Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
    inside = [pid for pid in children if os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")]
    booted = Booted(folder, inside[0]) if inside else None
    return booted if booted and booted.state() in ("running", "degraded") else None


@contextlib.contextmanager
def boot(folder):
    """Skips the test, with the reason, when nothing can be booted here."""
    with contextlib.ExitStack() as stack:
        # Nspawn makes groups in each hierarchy by the name of that in cgroup2.
        name = f"tbk-boot-{uuid.uuid4()}"
        groups = [place / name for place in hierarchies()]
        for group in groups:
            group.mkdir()
            stack.callback(remove_groups, group)
        log = stack.enter_context(tempfile.TemporaryFile("w+"))
        # Bound onto itself, the root is without the file systems that the caller has mounted in
        # it, which nspawn would keep. The call bpf is what IPAddressDeny= of a unit is made of.
        nspawn = subprocess.Popen(
            ["unshare", "--mount", "sh", "-ec", START, folder, *groups, "--", "systemd-nspawn", "--quiet", "--directory",
             folder, "--boot", "--register=no", "--keep-unit", "--private-network", "--system-call-filter=bpf",
             "--console=pipe"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
        stack.callback(nspawn.wait, timeout=60)
        stack.callback(nspawn.terminate)
        engine.wait_until("the root is booted or nspawn has ended",
                          lambda: nspawn.poll() is not None or find(folder, nspawn), 60)
        if nspawn.poll() is not None:
            log.seek(0)
            pytest.skip(f"nothing can be booted here: {' '.join(log.read().splitlines()[-1:])}")
        yield find(folder, nspawn)


def remove_groups(top):
    for folder, _, _ in os.walk(top, topdown=False):
        os.rmdir(folder)
