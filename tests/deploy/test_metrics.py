"""The alerts and the dashboard in a real Prometheus that reads a real server."""

import json
import re
import subprocess

import engine
import machine
import prometheus
import pytest
import serving

# Told by Prometheus only while an alert fires.
MAY_BE_EMPTY = {"Alerts"}


@pytest.fixture(scope="module")
def programs(scratch):
    return prometheus.unpack(scratch / "prometheus") / "usr/bin"


@pytest.fixture(scope="module")
def rules(source):
    return source / "deploy/compose/prometheus/alerts.yml"


def test_configuration_and_rules_are_valid(programs, source, rules):
    machine.run(programs / "promtool", "check", "config", source / "deploy/compose/prometheus/prometheus.yml")
    machine.run(programs / "promtool", "check", "rules", rules)


def test_alerts_fire_when_they_should_and_only_then(programs):
    machine.run(programs / "promtool", "test", "rules", "alerts.yml")


def test_every_alert_is_explained_and_tested(source, rules):
    alerts = re.findall(r"alert: (\w+)", rules.read_text())
    explained = (source / "deploy/README.md").read_text()
    tested = (source / "tests/deploy/alerts.yml").read_text()
    assert alerts
    for alert in alerts:
        assert f"`{alert}`" in explained
        assert f"alertname: {alert}" in tested


def tradebook(address, *arguments, **options):
    return subprocess.run([serving.BIN, *arguments, "--address", address], capture_output=True, text=True, **options)


def call(address, method, **request):
    return tradebook(address, "call", method, json.dumps(request), check=False)


def trade(address):
    created = call(address, "SignalService/CreateSignal", signal={
        "symbol": "BTC-USD", "direction": "DIRECTION_LONG", "confidence": 0.7, "tier": "TIER_HIGH",
        "ensemblePrediction": 0.6, "entryPrice": 64000})
    number = json.loads(created.stdout)["id"]
    call(address, "TradeService/OpenTrade", signalId=number)
    call(address, "TradeService/CloseTrade", signalId=number, exitPrice=64100, exitReason="timeout")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "backups").mkdir()
    with serving.Server(folder / "book.db", "--http", "127.0.0.1:0", "--backup-dir", folder / "backups", "--queue",
                        "1") as server:
        trade(server.address)
        call(server.address, "EventService/SetCursor", name="alerts", sequence=1)
        call(server.address, "SignalService/GetSignal", id=999)
        yield server


@pytest.fixture(scope="module")
def running(programs, server, tmp_path_factory):
    target = server.http.removeprefix("http://")
    with prometheus.process(programs / "prometheus", tmp_path_factory.mktemp("prometheus"), target) as running:
        yield running


def gives_series(running, server, expression):
    """Also makes some load, part of which is refused, for the rates."""
    def given():
        trade(server.address)
        tradebook(server.address, "bench", "--mix", "get=90,create=10", "--count", "200", "--quiet", check=False)
        return bool(running.query(expression))
    if not running.query(expression):
        engine.wait_until(f"series of {expression}", given)


def panels(source):
    dashboard = json.loads((source / "deploy/compose/grafana/dashboards/tradebook.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_every_query_of_the_dashboard_gives_figures(running, server, source, figure):
    count = 0
    for panel in panels(source):
        for target in panel["targets"]:
            expression = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")
            if panel["title"] in MAY_BE_EMPTY:
                running.query(expression)
            else:
                gives_series(running, server, expression)
            count += 1
    figure(f"{count} queries of {len(panels(source))} panels answered by Prometheus from a running server")


def test_every_alert_reads_metrics_that_there_are(running, server, rules):
    for expression in re.findall(r"expr: (.*)", rules.read_text()):
        gives_series(running, server, re.split(r" (?:>|==) [^>=]*$", expression)[0])


def test_panels_do_not_overlap(source):
    taken = set()
    for panel in panels(source):
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24
        taken |= cells
