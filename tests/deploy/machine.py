"""What these tests take from the machine that they run on: where its packages come
from, and root file systems made from there."""

import os
import pathlib
import shutil
import subprocess

import pytest

APT = pathlib.Path("/etc/apt")


def need(*programs):
    """Skips the test when the machine cannot run it."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}; deploy/install-packages check installs it on Debian")


def run(*command, check=True, **options):
    """Runs a command to its end; what it says is in the error when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, check=False,
                          **options)
    assert not check or done.returncode == 0, \
        f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def package_source():
    """The address of Debian's packages that this machine uses."""
    told = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT) $(RELEASE)",
                           "Created-By: Packages"], capture_output=True, text=True, check=False).stdout
    for line in told.splitlines():
        uri, component, release = line.split()
        if component == "main" and "security" not in release and "updates" not in release and "debian" in uri:
            return uri.rstrip("/")
    pytest.skip("apt has no source of Debian packages here")


def make_root(folder, release):
    """A new Debian in folder, with this machine's way to its packages."""
    if (folder / "made").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    run("debootstrap", "--variant=minbase", release, folder, package_source())
    for file in (APT / "apt.conf.d").iterdir():
        if file.is_file() and any(word in file.read_text().lower() for word in ("proxy", "acquire::check")):
            shutil.copy(file, folder / "etc/apt/apt.conf.d")
    certificates = os.environ.get("PIP_CERT")
    if certificates:
        shutil.copy(certificates, folder / "etc/pip-certificates.pem")
        (folder / "etc/pip.conf").write_text("[global]\ncert = /etc/pip-certificates.pem\n")
    for name in ("resolv.conf", "hosts"):
        shutil.copy(pathlib.Path("/etc") / name, folder / "etc")
    # As in the official images: what is installed later need not be synced.
    (folder / "etc/dpkg/dpkg.cfg.d/no-sync").write_text("force-unsafe-io\n")
    shutil.rmtree(folder / "var/lib/apt/lists")
    for archive in (folder / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    (folder / "made").touch()
    return folder
