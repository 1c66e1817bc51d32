"""A container engine of its own, that leaves the machine as it is: own folders, no
rules in the firewall, no registry. Images that it lacks are an error at once."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading

import machine
import pytest

# A port where nobody is: what would go to a registry fails at once.
NOWHERE = "http://127.0.0.1:9"


def wait_until(what, condition, seconds=120):
    for _ in range(seconds * 5):
        if condition():
            return
        threading.Event().wait(0.2)
    pytest.fail(f"after {seconds} s: not {what}")


class Engine:
    def __init__(self, folder):
        self.data = folder / "engine"
        # The paths of sockets must be short.
        self.short = pathlib.Path(tempfile.mkdtemp(prefix="tbk-engine-"))
        self.log = folder / "dockerd.log"
        self.socket = f"unix://{self.short}/docker.sock"
        self.environment = {**os.environ, "DOCKER_HOST": self.socket, "DOCKER_BUILDKIT": "1"}
        self.process = None

    def start(self):
        """Skips the test, with the engine's own words, when it does not start."""
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
        subprocess.run(["umount", "-R", self.data], capture_output=True, check=False)
        shutil.rmtree(self.short, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)

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


class Stack:
    """The compose file under a project name of its own, with ports that are free."""

    def __init__(self, engine, source, project, **settings):
        self.engine = engine
        self.file = source / "deploy" / "docker-compose.yml"
        self.project = project
        free = {f"TRADEBOOK_{kind}_PORT": "0" for kind in ("RPC", "EVENTS", "HTTP")}
        self.environment = {**engine.environment, **free, **settings}

    def compose(self, *arguments, **options):
        return machine.run("docker-compose", "-p", self.project, "-f", self.file, *arguments, env=self.environment,
                           **options)

    def up(self, *arguments):
        self.compose("--profile", "demo", "up", "-d", "--no-build", *arguments)

    def down(self, *arguments):
        self.compose("--profile", "demo", "down", "--remove-orphans", *arguments)

    def containers(self, service):
        """Also those that are stopped."""
        return self.compose("--profile", "demo", "ps", "-a", "-q", service).stdout.split()

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
