"""deploy/demo trades through a real server."""

import json
import os
import pathlib
import re
import subprocess

import book
import serving

DEMO = pathlib.Path(__file__).resolve().parents[2] / "deploy/demo"


def demo(tmp_path, *arguments, **changes):
    """Runs the demo; its temporary files go to tmp_path, and no server of this user
    is in sight unless TRADEBOOK_ADDRESS is among the changes."""
    environment = {"TRADEBOOK": serving.BIN, "TRADEBOOK_ADDRESS": f"ipc://{tmp_path}/nothing.sock",
                   "TMPDIR": str(tmp_path), **changes}
    return subprocess.run([DEMO, *arguments], capture_output=True, text=True, timeout=300,
                          env=serving.environment(**environment), check=False)


def test_demo_trades_through_the_server_of_its_address(tmp_path, server, file):
    done = demo(tmp_path, "--address", server.address)
    assert (done.returncode, done.stderr) == (0, "")
    told = re.search(r"(\d+) trades were opened, (\d+) closed; (\d+) are open still", done.stdout)
    opened, closed, left = map(int, told.groups())
    assert closed > 60 and opened == closed + left
    assert file.query("SELECT count(*), sum(outcome = 'open'), sum(pnl_usd IS NOT NULL) FROM signal_results") == [
        (opened, left, closed)]
    assert file.query("SELECT count(DISTINCT strategy), count(DISTINCT symbol) FROM signals") == [(2, 3)]
    assert file.query("SELECT count(DISTINCT exit_reason) FROM signal_results WHERE exit_reason IS NOT NULL") == [(3,)]
    assert file.query("SELECT sum(total) FROM patterns") == [(closed,)]
    assert file.query("SELECT count(*) FROM model_deployments WHERE is_promoted") == [(2,)]
    graded = file.query("SELECT count(*) FROM theory_performance WHERE was_correct IS NOT NULL")
    assert graded == file.query("SELECT 3 * count(*) FROM signals WHERE result IN ('win', 'loss')")
    assert f"heard {closed} events meanwhile" in done.stdout
    last = json.loads(re.search(r"^\{.*\}$", done.stdout, re.MULTILINE).group())
    assert int(last["sequence"]) == closed
    for title in ("Performance", "Equity", "Comparison of two strategies", "Open positions"):
        assert re.search(rf"^\$ tradebook report .*\n{title}", done.stdout, re.MULTILINE)
    assert "v7_full_math" in done.stdout and "v7_deepseek_only" in done.stdout


def test_demo_without_a_server_starts_one_and_leaves_nothing(tmp_path):
    done = demo(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("No server is running here")
    assert os.listdir(tmp_path) == []


def test_demo_leaves_a_server_with_signals_alone(tmp_path, server, client, file):
    client.ok("SignalService.CreateSignal", signal=book.signal())
    done = demo(tmp_path, TRADEBOOK_ADDRESS=server.address)
    assert done.returncode == 1
    assert "has signals already" in done.stderr
    assert file.counts()["signals"] == 1


def test_demo_without_an_answer_at_its_address_says_so(tmp_path):
    done = demo(tmp_path, "--address", f"ipc://{tmp_path}/nothing.sock")
    assert (done.returncode, "no server answers at" in done.stderr) == (1, True)
