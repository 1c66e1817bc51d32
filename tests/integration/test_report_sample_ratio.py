"""A split of the signals that is off is told by tradebook report ab."""

import book
import pytest
import serving


def create(client, strategy, count):
    while count > 0:
        batch = min(count, 1000)
        client.ok("SignalService.BatchCreateSignals", signals=[book.signal(strategy=strategy)] * batch)
        count -= batch


@pytest.mark.parametrize("b, alarm", [(54, True), (1500, False)])
def test_report_ab_alarm_of_the_split(server, client, b, alarm):
    create(client, "v7_full_math", 1576)
    create(client, "v7_deepseek_only", b)
    done = serving.run("report", "--address", server.address, "ab", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    assert ("!! SAMPLE RATIO ALARM" in done.stdout) == alarm
    assert f"A has {100 * 1576 / (1576 + b):.1f} % of the signals, 50.0 % expected" in done.stdout
    assert "\nVerdict: not enough data\n" in done.stdout


def test_report_ab_split_as_intended_raises_no_alarm(server, client):
    create(client, "v7_full_math", 1576)
    create(client, "v7_deepseek_only", 54)
    done = serving.run("report", "--address", server.address, "ab", "--share-a", "0.97", LC_ALL="C")
    assert "ALARM" not in done.stdout
    assert "97.0 % expected" in done.stdout
