"""The Debian packages, made by CPack, in a new Debian of this machine's release, which is
then booted. The tests build on each other."""

import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import time

import boot
import engine
import machine
import pytest

DATA = "/var/lib/tradebook"


@pytest.fixture(scope="module")
def packages(source, tmp_path_factory):
    machine.need("cpack", "dpkg-shlibdeps", "file", "debootstrap")
    build = source / "build/release"
    if not (build / "CPackConfig.cmake").exists():
        pytest.skip("there is no release build; cmake --preset release && cmake --build --preset release")
    folder = tmp_path_factory.mktemp("packages")
    machine.run("cpack", "-G", "DEB", "-B", folder, cwd=build)
    return {file.name.split("_")[0]: file for file in folder.glob("*.deb")}


def release():
    said = pathlib.Path("/etc/os-release").read_text()
    return re.search(r"^VERSION_CODENAME=(\w+)", said, re.MULTILINE)[1]


class Root:
    def __init__(self, folder):
        self.folder = folder

    def run(self, *command, **options):
        return machine.run("chroot", self.folder, *command, **options)


@pytest.fixture(scope="module")
def root(scratch):
    machine.need("debootstrap", "chroot")
    folder = scratch / "package-root"
    shutil.rmtree(folder, ignore_errors=True)
    machine.make_root(folder, release())
    (folder / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (folder / "usr/sbin/policy-rc.d").chmod(0o755)
    root = Root(folder)
    with contextlib.ExitStack() as mounts:
        mounts.callback(shutil.rmtree, folder, ignore_errors=True)
        for kind, place in (("proc", "proc"), ("tmpfs", "run")):
            machine.run("mount", "-t", kind, kind, folder / place)
            mounts.callback(machine.run, "umount", folder / place)
        root.run("apt-get", "-q", "update")
        yield root


@pytest.fixture(scope="module")
def installed(root, packages):
    for package in packages.values():
        shutil.copy(package, root.folder / "tmp")
    root.run("apt-get", "-q", "-y", "--no-install-recommends", "install", f"/tmp/{packages['tradebook'].name}")
    return root


def test_packages_are_what_they_should_be(packages):
    assert set(packages) == {"tradebook", "libtradebook0", "libtradebook-dev"}
    fields = machine.run("dpkg-deb", "-f", packages["tradebook"]).stdout
    for field in ("Maintainer", "Section: database", "Architecture", "Installed-Size", "Description"):
        assert field in fields
    for library in ("libc6", "libnng1", "libsqlite3-0", "libprotobuf-c1", "libmicrohttpd12"):
        assert re.search(rf"^Depends:.*{library}", fields, re.MULTILINE), fields
    assert "libtradebook0 (=" in machine.run("dpkg-deb", "-f", packages["libtradebook-dev"], "Depends").stdout


def test_installing_makes_user_and_folders_and_starts_nothing(installed):
    said = installed.run("getent", "passwd", "tradebook").stdout.split(":")
    assert said[5] == DATA and said[6].strip().endswith("nologin")
    for folder in (DATA, "/var/backups/tradebook"):
        assert installed.run("stat", "-c", "%U:%G %a", folder).stdout.split() == ["tradebook:tradebook", "750"]
    assert not list((installed.folder / "etc/systemd/system").rglob("tradebook.service"))
    assert list((installed.folder / "var/lib/tradebook").iterdir()) == []


def test_unit_is_valid_and_hardened(installed, figure):
    machine.need("systemd-analyze")
    unit = "/usr/lib/systemd/system/tradebook.service"
    told = installed.run("systemd-analyze", "verify", "--man=no", unit, check=False)
    assert told.returncode == 0, told.stderr
    said = machine.run("systemd-analyze", "security", "--offline=yes", "--threshold=20", f"{installed.folder}{unit}",
                       check=False)
    overall = re.search(r"Overall exposure level.*: ([\d.]+)", said.stdout)
    figure(f"systemd-analyze security: {overall[1]}")
    assert said.returncode == 0 and float(overall[1]) <= 2


def test_installed_server_serves_with_its_configuration(installed, figure):
    """Everything as the unit says, in a network of its own, so that ports are free."""
    (installed.folder / "run/tradebook").mkdir()
    installed.run("chown", "tradebook:tradebook", "/run/tradebook")
    unit = (installed.folder / "usr/lib/systemd/system/tradebook.service").read_text()
    command = re.search(r"^ExecStart=(.*)", unit, re.MULTILINE)[1].split()
    server = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", "chroot", "--userspec=tradebook",
         installed.folder, *command, "--ready-fd", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = server.stdout.read()
        assert said.startswith("ready"), server.stderr.read()
        address = re.search(r"listen (ipc:\S+)", said)[1]
        call = ["chroot", "--userspec=tradebook", installed.folder, "/usr/bin/tradebook", "call", "--address", address]
        assert "SERVING" in machine.run(*call, "grpc.health.v1.Health/Check").stdout
        assert f"{DATA}/tradebook.db" in machine.run(*call, "AdminService/GetServerInfo").stdout
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert server.returncode == 0
    figure("installed package serves in a new " + release())


@pytest.fixture(scope="module")
def booted(installed, figure):
    machine.need("systemd-nspawn", "nsenter")
    begun = time.monotonic()
    with boot.boot(installed.folder) as booted:
        figure(f"booted to {booted.state()} after {time.monotonic() - begun:.1f} s")
        yield booted


def call(booted, method, **request):
    return json.loads(booted.run("tradebook", "call", method, json.dumps(request)).stdout)


def told(booted, *properties):
    """What systemd says of the service."""
    said = booted.run("systemctl", "show", "tradebook", *(f"--property={name}" for name in properties)).stdout
    return [dict(line.split("=", 1) for line in said.splitlines())[name] for name in properties]


@contextlib.contextmanager
def changed(booted, text):
    """The service with these lines in its unit."""
    folder = "/run/systemd/system/tradebook.service.d"
    booted.run("mkdir", "-p", folder)
    booted.run("tee", f"{folder}/test.conf", input=f"[Service]\n{text}\n")
    booted.run("systemctl", "daemon-reload")
    yield
    booted.run("rm", f"{folder}/test.conf")
    booted.run("systemctl", "daemon-reload")


def journal(booted, which):
    booted.run("journalctl", "--sync")
    return booted.run("journalctl", "--boot", "--output=cat", which).stdout


def test_starting_fails_when_the_server_cannot_serve(booted):
    with changed(booted, "ExecStart=\nExecStart=/usr/bin/tradebook serve --db /var/lib/nowhere/book.db"):
        assert booted.run("systemctl", "start", "tradebook", check=False).returncode == 1
        assert told(booted, "Result") == ["exit-code"]
        booted.run("systemctl", "stop", "tradebook")


def test_systemd_starts_the_service_and_it_serves(booted, figure):
    begun = time.monotonic()
    booted.run("systemctl", "enable", "--now", "tradebook")
    assert told(booted, "ActiveState", "SubState", "NRestarts") == ["active", "running", "0"]
    assert call(booted, "grpc.health.v1.Health/Check") == {"status": "SERVING"}
    figure(f"started by systemd and answered after {time.monotonic() - begun:.2f} s")
    said = booted.run("systemd-analyze", "security", "tradebook").stdout
    figure("systemd-analyze security, loaded: " + re.search(r"Overall exposure level.*: ([\d.]+)", said)[1])


def test_service_runs_as_its_user_without_capabilities(booted):
    pid = told(booted, "MainPID")[0]
    status = dict(line.split(":\t", 1) for line in booted.run("cat", f"/proc/{pid}/status").stdout.splitlines())
    user = booted.run("id", "-u", "tradebook").stdout.strip()
    assert user != "0" and status["Uid"].split() == [user] * 4
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_killed_service_is_started_again_with_its_record(booted, figure):
    created = call(booted, "SignalService/CreateSignal", signal={
        "symbol": "BTC-USD", "direction": "DIRECTION_LONG", "confidence": 0.5, "tier": "TIER_LOW",
        "ensemblePrediction": 0.5, "entryPrice": 64000})
    before = told(booted, "MainPID")
    begun = time.monotonic()
    booted.run("systemctl", "kill", "--signal=KILL", "tradebook")
    engine.wait_until("systemd has started it again",
                      lambda: told(booted, "NRestarts", "ActiveState") == ["1", "active"], 30)
    assert call(booted, "SignalService/GetSignal", id=created["id"]) == created
    figure(f"killed, started again by systemd, answered after {time.monotonic() - begun:.1f} s")
    assert told(booted, "MainPID") != before


def test_stopped_service_ends_with_status_0(booted):
    booted.run("systemctl", "stop", "tradebook")
    # ExecMainCode 1: it exited, rather than was killed.
    assert told(booted, "ActiveState", "Result", "ExecMainCode", "ExecMainStatus") == ["inactive", "success", "1", "0"]


def test_log_is_in_the_journal(booted):
    said = journal(booted, "--unit=tradebook")
    for words in ("INFO ready", "INFO stopping", "code=killed, status=9/KILL"):
        assert words in said


# Tried by a shell in place of the server, under everything else that the unit says.
# An address of this machine stands for one outside: packets to it are dropped, which
# only a limit of time ends, where they would be refused without the filter.
PROBE = """
try() { name=$1; shift; if said=$("$@" 2>&1 >/dev/null); then echo "$name: done"
    else said=${said##*: }; echo "$name: ${said:-nothing}"; fi; }
try data touch /var/lib/tradebook/probe
try backups touch /var/backups/tradebook/probe
try programs touch /usr/probe
try configuration touch /etc/tradebook/probe
try beside touch /var/lib/probe
try home ls /home/someone
try temporary ls /tmp/seen
try namespace unshare --user true
try setuid chmod u+s /var/lib/tradebook/probe
try scheduler chrt --batch 0 true
try clock date --set=2030-01-01
try inside bash -c '>/dev/tcp/127.0.0.1/9'
try outside timeout 1 bash -c '>/dev/tcp/192.0.2.1/9'
"""


def test_sandbox_lets_the_service_do_its_work_and_nothing_else(booted):
    (booted.folder / "var/lib/tradebook/probe.sh").write_text(PROBE)
    booted.run("mkdir", "/home/someone")
    booted.run("touch", "/tmp/seen")
    machine.run("nsenter", "-t", booted.leader, "-n", "ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    with changed(booted, "Type=oneshot\nExecStart=\nExecStart=/bin/bash /var/lib/tradebook/probe.sh"):
        booted.run("systemctl", "start", "tradebook")
    said = journal(booted, "--identifier=bash")
    assert dict(line.split(": ", 1) for line in said.splitlines()) == {
        "data": "done", "backups": "done",
        "programs": "Read-only file system", "configuration": "Read-only file system", "beside": "Read-only file system",
        "home": "Permission denied", "temporary": "No such file or directory", "namespace": "Operation not permitted",
        "setuid": "Operation not permitted", "scheduler": "Operation not permitted", "clock": "Operation not permitted",
        "inside": "Connection refused", "outside": "nothing"}


def test_upgrade_keeps_a_changed_configuration(installed, packages):
    config = installed.folder / "etc/tradebook/tradebook.conf"
    config.write_text(config.read_text() + "\n# mine\n")
    installed.run("dpkg", "-i", f"/tmp/{packages['tradebook'].name}")
    assert config.read_text().endswith("# mine\n")


def test_libraries_install_and_are_found(installed, packages):
    installed.run("apt-get", "-q", "-y", "--no-install-recommends", "install", "pkg-config",
                  f"/tmp/{packages['libtradebook0'].name}", f"/tmp/{packages['libtradebook-dev'].name}")
    assert "-ltradebook" in installed.run("pkg-config", "--libs", "tradebook").stdout


def test_removing_keeps_the_data(installed):
    installed.run("dpkg", "--purge", "tradebook")
    assert (installed.folder / "var/lib/tradebook/tradebook.db").exists()
    assert not (installed.folder / "usr/bin/tradebook").exists()
    assert not (installed.folder / "etc/tradebook/tradebook.conf").exists()
