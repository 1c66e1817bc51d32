"""What the tests of the deployment measure is printed at the end, then their counts
in the words that tests/run reads."""

import pathlib
import time

import pytest

FIGURES = []
STARTED = time.monotonic()


@pytest.fixture(scope="session")
def figure():
    """figure(text) notes something measured, with the time of the run."""
    return lambda text: FIGURES.append(f"{time.monotonic() - STARTED:6.1f} s  {text}")


@pytest.fixture(scope="session")
def source():
    return pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def scratch(source):
    """A folder that is kept between runs."""
    folder = source / "build" / "deploy"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def pytest_terminal_summary(terminalreporter):
    if FIGURES:
        terminalreporter.section("figures")
    for line in FIGURES:
        terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    count = {kind: len(reporter.stats.get(kind, [])) for kind in ("passed", "failed", "error", "skipped")}
    print(f"{count['passed']} passed, {count['failed'] + count['error']} failed, {count['skipped']} skipped")
