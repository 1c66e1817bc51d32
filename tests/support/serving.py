"""A running `tradebook serve`, and what it says when it does not run.

    with serving.Server(tmp_path / "book.db") as server:
        with book.Client(server.address) as client:
            ...

Addresses are chosen by the system and told through --ready-fd. Leaving the
block ends the server with SIGTERM and insists on exit status 0, so that a
finding of a sanitizer fails the test.
"""

import os
import pathlib
import re
import signal
import subprocess
import urllib.request

BIN = os.environ["TRADEBOOK_BIN"]


class NotServing(Exception):
    """The server ended before it was ready."""

    def __init__(self, status, text):
        super().__init__(f"exit status {status}: {text}")
        self.status = status
        self.text = text


def environment(**changes):
    """The environment without settings of tradebook, but for a free address for
    events and no HTTP, and these changes."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TRADEBOOK_") and k != "DB_URL"}
    return {**clean, "TRADEBOOK_EVENTS": "tcp://127.0.0.1:0", "TRADEBOOK_HTTP": "none", **changes}


def run(*arguments, **changes):
    """Runs tradebook to its end; returns the finished process with its text."""
    return subprocess.run([BIN, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env=environment(**changes))


def run_unprivileged(*arguments):
    """run, but permissions of files count for root, too."""
    prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    return subprocess.run([*prefix, BIN, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env=environment())


def run_traced(inject, *arguments, path=None):
    """run, but that system calls, all or those with the file at path, fare as strace's option "inject" says."""
    calls = inject.split(":")[0]
    only = ["-P", path] if path is not None else []
    return subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", *only, "-e", f"trace={calls}", "-e",
                           f"inject={inject}", BIN, *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env=environment(ASAN_OPTIONS="detect_leaks=0"))  # which works by tracing, too


class Server:
    def __init__(self, db, *options, ipc=True, prefix=(), **popen):
        """prefix runs the program, as in ["prlimit", "--nofile=64"]."""
        self.db = pathlib.Path(db)
        self.options = [str(option) for option in options]
        self.listen = ["--listen", "tcp://127.0.0.1:0"]
        if ipc:
            self.listen += ["--listen", f"ipc://{self.db}.sock"]
        self.prefix = list(prefix)
        self.popen = popen
        self.log = self.db.with_name(self.db.name + ".log")
        self.process = None
        self.addresses = {}
        self.events = []
        self.http = None  # the address, when --http is among the options

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, kind, *_):
        if self.process is None:
            return
        status = self.stop()
        assert kind is not None or status == 0, f"exit status {status}: {self.log.read_text()}"

    @property
    def address(self):
        return self.addresses["tcp"]

    def start(self):
        ready, told = os.pipe()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*self.prefix, BIN, "serve", "--db", str(self.db), *self.listen, "--ready-fd", str(told),
                 *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[told], env=environment(), **self.popen)
        os.close(told)
        with open(ready) as lines:
            said = lines.read().split("\n")
        if said[0] != "ready":
            process, self.process = self.process, None
            raise NotServing(process.wait(), self.log.read_text())
        addresses = [line.split() for line in said[1:] if line]
        self.addresses = {address.split(":")[0]: address for what, address in addresses if what == "listen"}
        self.events = [address for what, address in addresses if what == "events"]
        self.http = next((address for what, address in addresses if what == "http"), None)
        return self

    def stop(self):
        """Ends it with SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self):
        """Ends it as a power cut would, as far as the process is concerned."""
        self.process.kill()
        return self._ended()

    def restart(self):
        """Starts it again after stop or kill, at a new tcp port."""
        return self.start()

    def wait_for_metric(self, line):
        """Returns when /metrics has such a line, an expression; --http must be among the options."""
        wanted = re.compile(f"^{line}$", re.MULTILINE)
        while not wanted.search(urllib.request.urlopen(f"{self.http}/metrics", timeout=60).read().decode()):
            os.sched_yield()

    def _ended(self):
        process, self.process = self.process, None
        return process.wait(timeout=60)
