"""The Debian packages, made by CPack, in a new Debian of this machine's release."""

import contextlib
import pathlib
import re
import shutil
import subprocess

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
