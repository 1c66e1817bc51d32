"""Makes the modules of tests/support importable, and a server with an empty
database for each test that asks for one."""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import book  # noqa: E402
import serving  # noqa: E402


@pytest.fixture
def server(tmp_path):
    with serving.Server(tmp_path / "book.db") as server:
        yield server


@pytest.fixture
def run_traced():
    """serving.run_traced, where strace is installed and allowed."""
    try:
        subprocess.run(["strace", "-o", "/dev/null", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as failure:
        pytest.skip(f"strace does not run here: {failure}")
    return serving.run_traced


@pytest.fixture
def file(server):
    return book.File(server.db)


@pytest.fixture
def client(server):
    with book.Client(server.address) as client:
        yield client


@pytest.fixture
def signal(client):
    return client.ok("SignalService.CreateSignal", signal=book.signal())
