"""The compose stack as an operator lives with it. The tests build on each other."""

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time

import engine
import machine
import prometheus
import pytest

IMAGE_BYTES_MAX = 30_000_000
KILLS = 5
BOTS = 3
# The same for the image and its tests, which then compile the server once.
WERROR = ("--build-arg", "WERROR=ON")


@pytest.fixture(scope="module")
def base(scratch):
    """The root of a new Debian 13."""
    machine.need("dockerd", "docker", "docker-compose", "debootstrap")
    return machine.make_root(scratch / "trixie", "trixie")


@pytest.fixture(scope="module")
def docker(base, scratch):
    daemon = engine.Engine(scratch)
    try:
        daemon.start()
        daemon.import_root(base, "debian:trixie-slim")
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture(scope="module")
def revision(source):
    return machine.run("git", "-C", source, "rev-parse", "HEAD").stdout.strip()


@pytest.fixture(scope="module")
def image(docker, source, revision):
    docker.build(source, source / "deploy/Dockerfile", "tradebook:new", "--build-arg", f"REVISION={revision}", *WERROR)
    return "tradebook:new"


@pytest.fixture(scope="module")
def demo(docker, source):
    docker.build(source, source / "deploy/compose/Dockerfile", "tradebook-demo:new")


@pytest.fixture(scope="module")
def stack(docker, source, image, demo):
    stack = engine.Stack(docker, source, "book", TRADEBOOK_TAG="new", DEMO_PAUSE_SECONDS="0.01",
                         TRADEBOOK_BACKUP_INTERVAL="60")
    yield stack
    stack.down("--volumes")


def database(stack):
    """The database of the stack, for reading beside the server."""
    file = stack.volume("data") / "tradebook.db"
    return contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True))


def closed_trades(stack):
    with database(stack) as db:
        return dict(db.execute("SELECT signal_id, pnl_usd FROM signal_results WHERE outcome <> 'open'"))


def test_image_is_small_and_holds_nothing_but_the_server(docker, image, revision, figure):
    told = docker.inspect(image)
    figure(f"image {told['Size'] / 1e6:.1f} MB")
    assert told["Size"] < IMAGE_BYTES_MAX
    assert told["Config"]["User"] == "7601:7601"
    assert told["Config"]["Labels"]["org.opencontainers.image.revision"] == revision
    container = docker.docker("create", image).stdout.strip()
    tar = subprocess.run(["/usr/bin/docker", "export", container], env=docker.environment, capture_output=True, check=True)
    names = subprocess.run(["tar", "-t"], input=tar.stdout, capture_output=True, check=True).stdout.decode().split()
    programs = [name for name in names if name.startswith(("usr/bin/", "usr/sbin/", "bin/")) and name[-1] != "/"]
    assert programs == ["usr/bin/tradebook"]
    docker.docker("rm", container)


def test_version_in_the_image_is_that_of_its_label(docker, image):
    said = docker.docker("run", "--rm", "--network=none", image, "--version").stdout
    assert docker.inspect(image)["Config"]["Labels"]["org.opencontainers.image.version"] in said


def test_tests_of_the_server_pass_on_debian_13(docker, source, figure):
    begun = time.monotonic()
    said = docker.build(source, source / "deploy/Dockerfile", "tradebook-tested", "--target", "test", *WERROR, "--build-arg",
                        r"TESTS=unit\.transport|unit\.client|integration\.(transport|exactly_once|http)").stderr
    figure(f"tests in the image's build stage {time.monotonic() - begun:.0f} s: "
           + re.search(r"\d+% tests passed.*", said)[0])


def test_stack_comes_up_healthy(stack, figure):
    begun = time.monotonic()
    stack.up("tradebook")
    stack.wait_healthy()
    figure(f"healthy after {time.monotonic() - begun:.1f} s")


def test_container_is_confined(stack):
    host = stack.server()["HostConfig"]
    assert host["ReadonlyRootfs"] and not host["Privileged"]
    assert host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0 and host["PidsLimit"] > 0 and host["LogConfig"]["Config"]["max-size"]
    pid = stack.server()["State"]["Pid"]
    with open(f"/proc/{pid}/status") as status:
        said = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    assert said["Uid"].split() == ["7601"] * 4
    assert int(said["CapEff"], 16) == int(said["CapBnd"], 16) == 0
    assert said["NoNewPrivs"] == "1"


def test_bot_trades_and_subscriber_hears_of_it(stack):
    stack.up("--scale", f"bot={BOTS}", "bot", "subscriber")
    engine.wait_until("each of the bots has closed a trade",
                      lambda: len({line["symbol"] for line in stack.lines("bot")}) > 1)
    engine.wait_until("the subscriber has heard", lambda: len(stack.lines("subscriber")) > 10)


@pytest.fixture(scope="module")
def monitoring(docker, stack, source, scratch):
    compose = (source / "deploy/docker-compose.yml").read_text()
    name = re.search(r"PROMETHEUS_IMAGE:-(.*)}", compose)[1]
    prometheus.build_image(docker, prometheus.unpack(scratch / "prometheus"), name)
    stack.up("prometheus")
    return prometheus.Prometheus(stack.compose("port", "prometheus", "9090").stdout.strip())


def test_prometheus_of_the_stack_reads_the_server(monitoring, stack, source, figure):
    known = len(stack.lines("bot"))
    engine.wait_until("the server is a target that is up",
                      lambda: [target["health"] for target in monitoring.get("targets")["activeTargets"]] == ["up"])
    rules = [rule for group in monitoring.get("rules")["groups"] for rule in group["rules"]]
    written = (source / "deploy/compose/prometheus/alerts.yml").read_text()
    assert [rule["name"] for rule in rules] == re.findall(r"alert: (\w+)", written) != []
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    closed = 'sum(tradebook_requests_total{method=~".*CloseTrade",status="OK"})'
    engine.wait_until("the trades that the bots have closed before are counted",
                      lambda: [series for series in monitoring.query(closed) if float(series["value"][1]) >= known > 0])
    container = stack.engine.inspect(stack.containers("prometheus")[0])
    assert container["RestartCount"] == 0 and container["HostConfig"]["ReadonlyRootfs"]
    figure(f"Prometheus of the stack: {len(rules)} alerts loaded, target up, at least {known} closed trades counted")


def test_kills_under_load_lose_nothing(stack, figure):
    for number in range(KILLS):
        before = stack.server()
        acknowledged = len(stack.lines("bot"))
        os.kill(before["State"]["Pid"], signal.SIGKILL)
        engine.wait_until("the server was started again",
                          lambda restarts=before["RestartCount"]: stack.server()["RestartCount"] == restarts + 1)
        stack.wait_healthy()
        engine.wait_until("the bots go on", lambda known=acknowledged: len(stack.lines("bot")) > known + 20)
    said = stack.engine.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", stack.containers("tradebook")[0]).stdout
    with open(f"/proc/{stack.server()['State']['Pid']}/status") as status:
        resident = next(line.split(":")[1].strip() for line in status if line.startswith("VmRSS"))
    stack.compose("stop", "bot")
    trades = stack.lines("bot")
    closed = closed_trades(stack)
    figure(f"{KILLS} kills: {len(trades)} trades acknowledged, {len(closed)} closed in the database")
    figure(f"memory of the server under load: {resident} resident, {said.strip()} of the container's limit")

    assert len({trade["signal_id"] for trade in trades}) == len(trades)
    assert {trade["signal_id"]: trade["pnl_usd"] for trade in trades}.items() <= closed.items()
    # What a bot was told nothing of: at most the trade it was at when it was stopped.
    assert len(closed) - len(trades) <= BOTS


def test_subscriber_has_each_event_once_and_in_order(stack, figure):
    closed = closed_trades(stack)
    engine.wait_until("the subscriber has heard of the last trade",
                      lambda: stack.lines("subscriber")[-1]["sequence"] == len(closed))
    events = stack.lines("subscriber")
    figure(f"subscriber: {len(events)} events, in order, none missing, none twice")
    assert [event["sequence"] for event in events] == list(range(1, len(closed) + 1))
    assert {event["signal_id"] for event in events} == set(closed)


def test_database_is_sound_after_the_kills(stack):
    for command in (["check", "--db"], ["doctor"]):
        said = stack.tradebook(*command, "/var/lib/tradebook/tradebook.db", check=False)
        assert said.returncode == 0, said.stdout + said.stderr


def test_volume_survives_down_and_up(stack):
    before = closed_trades(stack)
    stack.down()
    stack.up("tradebook")
    stack.wait_healthy()
    assert closed_trades(stack) == before != {}


def test_server_ends_within_its_grace_and_with_status_0(stack, figure):
    name = stack.containers("tradebook")[0]
    begun = time.monotonic()
    stack.compose("stop", "tradebook")
    figure(f"stopped by SIGTERM after {time.monotonic() - begun:.1f} s")
    assert stack.engine.inspect(name)["State"]["ExitCode"] == 0
    stack.compose("start", "tradebook")
    stack.wait_healthy()


def test_backups_are_made_into_the_second_volume(stack):
    engine.wait_until("there is a backup", lambda: list(stack.volume("backups").glob("tradebook-*.db")))


def test_restored_backup_is_what_it_was(stack):
    before = closed_trades(stack)
    stack.tradebook("backup", "--db", "/var/lib/tradebook/tradebook.db", "/var/backups/tradebook/drill.db")
    stack.call("SignalService/CreateSignal", signal={
        "symbol": "LATER-USD", "direction": "DIRECTION_LONG", "confidence": 0.5, "tier": "TIER_LOW",
        "ensemblePrediction": 0.5, "entryPrice": 1})
    stack.compose("stop", "tradebook")
    stack.compose("run", "--rm", "tradebook", "restore", "--db", "/var/lib/tradebook/tradebook.db",
                  "/var/backups/tradebook/drill.db")
    stack.compose("start", "tradebook")
    stack.wait_healthy()
    assert closed_trades(stack) == before
    assert stack.call("SignalService/ListSignals", filter="symbol = 'LATER-USD'").get("signals", []) == []


def previous_tree(source, folder):
    """The tree of the newest release before this one, else of some commits ago, with
    today's way to make an image of it."""
    tag = machine.run("git", "-C", source, "describe", "--tags", "--abbrev=0", "HEAD^", check=False)
    commit = tag.stdout.strip() if tag.returncode == 0 else "HEAD~40"
    archive = subprocess.run(["git", "-C", source, "archive", commit], capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"the history of this clone does not reach back to {commit}")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    for name in ("Dockerfile", "image-root", "package.cmake", "debian-packages", "install-packages"):
        # With its mode, else what was built for the new image is not used again.
        shutil.copy(source / "deploy" / name, folder / "deploy")
    return commit


def test_upgrade_from_the_previous_image_keeps_everything(docker, source, image, tmp_path, figure):
    commit = previous_tree(source, tmp_path / "previous")
    docker.build(tmp_path / "previous", tmp_path / "previous/deploy/Dockerfile", "tradebook:previous")
    old = engine.Stack(docker, source, "upgrade", TRADEBOOK_TAG="previous")
    new = engine.Stack(docker, source, "upgrade", TRADEBOOK_TAG="new")
    try:
        old.up("tradebook")
        old.wait_healthy()
        before = old.call("SignalService/CreateSignal", signal={
            "symbol": "BTC-USD", "direction": "DIRECTION_LONG", "confidence": 0.5, "tier": "TIER_LOW",
            "ensemblePrediction": 0.5, "entryPrice": 64000})
        new.up("tradebook")
        new.wait_healthy()
        assert new.call("SignalService/GetSignal", id=1) == before
        figure(f"upgraded from {commit}")
    finally:
        new.down("--volumes")


@pytest.fixture(scope="module")
def compose_2(base, scratch):
    """Compose 2 of Debian 13's package, unpacked and not installed."""
    program = scratch / "compose-2/usr/libexec/docker/cli-plugins/docker-compose"
    if not program.exists():
        machine.run("chroot", base, "apt-get", "-q", "update")
        machine.run("chroot", base, "sh", "-c", "cd /tmp && apt-get -q download docker-compose")
        for package in (base / "tmp").glob("docker-compose_*.deb"):
            machine.run("dpkg", "-x", package, scratch / "compose-2")
            package.unlink()
        shutil.rmtree(base / "var/lib/apt/lists")
    return program


def test_compose_2_brings_up_the_same_stack(docker, source, image, demo, compose_2, figure):
    version = machine.run(compose_2, "version", "--short").stdout.strip()
    assert version.startswith("2.")
    stack = engine.Stack(docker, source, "second", (compose_2,), TRADEBOOK_TAG="new", DEMO_PAUSE_SECONDS="0.01")
    stack.compose("config", "--quiet")
    try:
        stack.up("tradebook", "bot", "subscriber")
        stack.wait_healthy()
        engine.wait_until("the subscriber has heard", lambda: stack.lines("subscriber"))
        stack.down()
        assert stack.containers("tradebook") == []
        stack.up("tradebook")
        stack.wait_healthy()
        assert closed_trades(stack) != {}
    finally:
        stack.down("--volumes")
    assert docker.docker("volume", "ls", "-q", "--filter", "name=second_").stdout == ""
    figure(f"compose {version}: up, down and up again")
