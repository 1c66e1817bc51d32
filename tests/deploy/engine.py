"""A container engine of its own, that leaves the machine as it is: own folders, no
rules in the firewall, no registry. Images that it lacks are an error at once."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading

import machine
import pytest

# A port where nobody is: what would go to a registry fails at once.
NOWHERE = "http://127.0.0.1:9"
# Images and layers are 3 GB. They are kept in memory where this much is available.
MEMORY_BYTES_MIN = 8 << 30


def wait_until(what, condition, seconds=120):
    for _ in range(seconds * 5):
        if condition():
            return
        threading.Event().wait(0.2)
    pytest.fail(f"after {seconds} s: not {what}")


class Engine:
    def __init__(self, folder):
        self.data = folder / "engine"
        self.volumes = folder / "volumes"
        # The paths of sockets must be short.
        self.short = pathlib.Path(tempfile.mkdtemp(prefix="tbk-engine-"))
        self.log = folder / "dockerd.log"
        self.socket = f"unix://{self.short}/docker.sock"
        self.environment = {**os.environ, "DOCKER_HOST": self.socket, "DOCKER_BUILDKIT": "1"}
        self.process = None

    def clear(self):
        subprocess.run(["umount", "-R", self.data], capture_output=True, check=False)
        for folder in (self.data, self.volumes):
            shutil.rmtree(folder, ignore_errors=True)

    def prepare(self):
        """Layers are tens of thousands of files, which a disk takes a minute to delete. The
        volumes stay on the disk, and out of the containers' limits of memory."""
        self.clear()
        self.data.mkdir()
        self.volumes.mkdir()
        available = re.search(r"^MemAvailable: *(\d+) kB", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE)
        if int(available[1]) << 10 >= MEMORY_BYTES_MIN:
            machine.run("mount", "-t", "tmpfs", "tmpfs", self.data)
            (self.data / "volumes").mkdir()
            machine.run("mount", "--bind", self.volumes, self.data / "volumes")

    def start(self):
        """Skips the test, with the engine's own words, when it does not start."""
        self.prepare()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["dockerd", "--data-root", self.data, "--exec-root", self.short / "exec", "--pidfile",
                 self.short / "pid", "-H", self.socket, "--iptables=false", "--ip-forward=false",
                 "--ip-masq=false"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "HTTP_PROXY": NOWHERE, "HTTPS_PROXY": NOWHERE})
        wait_until("the engine answers or has ended", lambda: self.answers() or self.process.poll() is not None)
        if self.process.poll() is not None:
            last = self.log.read_text().splitlines()[-1:]
            pytest.skip(f"no container engine can run here: {' '.join(last)}")

    def answers(self):
        return self.docker("info", check=False).returncode == 0

    def stop(self):
        with contextlib.suppress(Exception):
            running = self.docker("ps", "-aq").stdout.split()
            if running:
                self.docker("rm", "-f", *running)
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.clear()
        shutil.rmtree(self.short, ignore_errors=True)

    def docker(self, *arguments, **options):
        return machine.run("/usr/bin/docker", *arguments, env=self.environment, **options)

    def inspect(self, name):
        return json.loads(self.docker("inspect", name).stdout)[0]

    def import_root(self, root, name):
        """Makes an image of a root file system."""
        tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        self.docker("import", "-", name, stdin=tar.stdout)
        assert tar.wait() == 0

    def build(self, source, dockerfile, name, *options):
        # The network of the machine, because the engine may not touch the firewall.
        return self.docker("build", "--network=host", "--progress=plain", "-f", dockerfile, "-t", name, *options,
                           source)


# Containers of all profiles are seen by their names.
PROFILES = ("--profile", "demo", "--profile", "monitoring")


class Stack:
    """The compose file under a project name of its own, with ports that are free. The
    program is compose itself, with what it needs before its arguments."""

    def __init__(self, engine, source, project, program=("docker-compose",), **settings):
        self.engine = engine
        self.program = program
        self.file = source / "deploy" / "docker-compose.yml"
        self.project = project
        free = {f"TRADEBOOK_{kind}_PORT": "0" for kind in ("RPC", "EVENTS", "HTTP")}
        self.environment = {**engine.environment, **free, "PROMETHEUS_PORT": "0", **settings}

    def compose(self, *arguments, **options):
        return machine.run(*self.program, *PROFILES, "-p", self.project, "-f", self.file, *arguments,
                           env=self.environment, **options)

    def up(self, *arguments):
        self.compose("up", "-d", "--no-build", *arguments)

    def down(self, *arguments):
        self.compose("down", "--remove-orphans", *arguments)

    def containers(self, service):
        """Also those that are stopped. Asked of the engine, by compose's labels: compose 1
        takes a second of processor for an answer."""
        labels = (f"project={self.project}", f"service={service}", "oneoff=False")
        wanted = [part for label in labels for part in ("--filter", f"label=com.docker.compose.{label}")]
        return self.engine.docker("ps", "-a", "-q", *wanted).stdout.split()

    def server(self):
        return self.engine.inspect(self.containers("tradebook")[0])

    def wait_healthy(self):
        wait_until("the server is healthy", lambda: self.server()["State"].get("Health", {}).get("Status") == "healthy")

    def tradebook(self, *arguments, **options):
        """Runs the program in the container of the server."""
        return self.engine.docker("exec", self.containers("tradebook")[0], "/usr/bin/tradebook", *arguments, **options)

    def call(self, method, **request):
        return json.loads(self.tradebook("call", method, json.dumps(request)).stdout)

    def lines(self, service):
        """What the containers of a service have printed: the lines of JSON."""
        said = [self.engine.docker("logs", name).stdout.splitlines() for name in self.containers(service)]
        return [json.loads(line) for lines in said for line in lines if line.startswith("{")]

    def volume(self, name):
        """Its folder on this machine."""
        return pathlib.Path(self.engine.docker("volume", "inspect", "-f", "{{.Mountpoint}}",
                                               f"{self.project}_{name}").stdout.strip())
