"""The real Prometheus of Debian's package, unpacked and not installed: as a process,
and as a stand-in of the official image."""

import contextlib
import json
import socket
import subprocess
import urllib.parse
import urllib.request

import engine
import machine
import pytest

# As the official image has it: what the compose file counts on.
IMAGE = """
FROM debian:trixie-slim
COPY usr/bin/prometheus /bin/prometheus
RUN mkdir /prometheus && chown nobody:nogroup /prometheus
USER nobody
WORKDIR /prometheus
VOLUME ["/prometheus"]
EXPOSE 9090
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
"""


def unpack(folder):
    """The folder with the programs, downloaded once. Skips the test when there is no package."""
    if not (folder / "usr/bin/promtool").exists():
        folder.mkdir(exist_ok=True)
        got = machine.run("apt-get", "download", "prometheus", cwd=folder, check=False)
        if got.returncode != 0:
            pytest.skip("Prometheus cannot be had: " + " ".join(got.stderr.splitlines()[-1:]))
        for package in folder.glob("prometheus_*.deb"):
            machine.run("dpkg", "-x", package, folder)
            package.unlink()
    return folder


def build_image(docker, folder, name):
    (folder / "Dockerfile").write_text(IMAGE)
    docker.build(folder, folder / "Dockerfile", name)


class Prometheus:
    """One that runs, at host:port."""

    def __init__(self, address):
        self.address = address
        engine.wait_until("Prometheus is ready", self.is_ready)

    def is_ready(self):
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://{self.address}/-/ready").status == 200
        return False

    def get(self, what, **query):
        """An expression that is wrong is an error."""
        with urllib.request.urlopen(f"http://{self.address}/api/v1/{what}?{urllib.parse.urlencode(query)}") as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """The series that it gives."""
        return self.get("query", query=expression)["result"]


@contextlib.contextmanager
def process(program, folder, target):
    """A Prometheus that reads the target every second."""
    config = folder / "prometheus.yml"
    config.write_text("global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
                      "scrape_configs: [{job_name: tradebook, static_configs: [{targets: ['%s']}]}]\n" % target)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % free.getsockname()[1]
    with (folder / "log").open("w") as log:
        running = subprocess.Popen([program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
                                    f"--web.listen-address={address}"], cwd=folder, stdout=log, stderr=log)
    try:
        yield Prometheus(address)
    finally:
        running.terminate()
        running.wait(timeout=60)
