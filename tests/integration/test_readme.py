"""What the README tells a newcomer to type works."""

import pathlib
import re
import subprocess

import pytest
import serving

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def console_commands():
    """The commands after "$" in the console blocks, in order. A command goes on over
    indented lines."""
    blocks = re.findall(r"^```console\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [command for block in blocks for command in re.findall(r"^\$ (.*(?:\n +.*)*)", block, re.MULTILINE)]


def test_readme_commands_in_order_succeed(tmp_path):
    commands = console_commands()
    assert commands
    path = pathlib.Path(serving.BIN).parent
    with serving.Server(tmp_path / "book.db") as server:
        for command in commands:
            environment = serving.environment(TRADEBOOK_ADDRESS=server.address, TRADEBOOK=serving.BIN)
            environment["PATH"] = f"{path}:{environment['PATH']}"
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=300, env=environment,
                                  cwd=README.parent)
            assert (done.returncode, done.stderr) == (0, ""), command
            assert done.stdout, command


def options():
    """The options of `tradebook serve` that stand for settings, and their defaults,
    as --help tells them."""
    text = serving.run("serve", "--help").stdout
    for entry in re.split(r"^ +(?=--)", text, flags=re.MULTILINE)[1:]:
        name = re.match(r"--([a-z-]+)", entry).group(1)
        default = re.search(r"\(default (\S+)\)", " ".join(entry.split()))
        if name not in ("config", "usage"):
            yield name, default.group(1) if default else ""


@pytest.mark.parametrize("name, default", options())
def test_readme_settings_tell_the_default(name, default):
    rows = re.findall(rf"^\| `{name}` \| (.*?) ?\|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 1
    assert default in rows[0]
