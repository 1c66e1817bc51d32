"""The command line: commands, call, version, completion, and the man page."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading

import pytest
import serving
import sp
from fake_server import FakeServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = re.findall(r"^  ([a-z]+) ", serving.run("--help").stdout, re.MULTILINE)
SIGNAL = {"symbol": "BTC-USD", "direction": "DIRECTION_LONG", "confidence": 0.72, "tier": "TIER_HIGH",
          "ensemblePrediction": 0.64}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving.Server(tmp_path_factory.mktemp("cli") / "book.db") as server:
        yield server


def call(server, *arguments, stdin=None):
    return subprocess.run([serving.BIN, "call", "--address", server.address, *arguments], input=stdin,
                          capture_output=True, text=True, timeout=120, env=serving.environment())


def options_of(command):
    return re.findall(r"^ +(?:-[A-Za-z?], )?(--[a-z-]+)", serving.run(command, "--help").stdout, re.MULTILINE)


def free_address():
    """An address that nobody serves: a port that is taken but not listened on."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken, "tcp://127.0.0.1:%d" % taken.getsockname()[1]


# --- commands ---


def test_cli_without_command_prints_usage_and_fails():
    done = serving.run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == serving.run("--help").stdout


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "help"])
def test_cli_help_of_command_is_the_same_both_ways(command):
    done = serving.run(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: tradebook {command} ")
    assert serving.run("help", command).stdout == done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_cli_help_alone_is_help_option():
    assert COMMANDS[0] == "serve"
    assert serving.run("help").stdout == serving.run("--help").stdout


@pytest.mark.parametrize("given, nearest", [("lsit", "list"), ("Serve", "serve"), ("comp", "completion")])
def test_cli_unknown_command_suggests_nearest(given, nearest):
    for arguments in ([given], ["help", given]):
        done = serving.run(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (f'tradebook: there is no command "{given}". Did you mean "{nearest}"? '
                               '"tradebook --help" lists the commands.\n')


def test_cli_unknown_command_unlike_any_suggests_none():
    assert serving.run("frobnicate").stderr == ('tradebook: there is no command "frobnicate". '
                                                '"tradebook --help" lists the commands.\n')


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "help"])
def test_cli_wrong_option_exits_2(command):
    done = serving.run(command, "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no-such-option" in done.stderr
    assert f"tradebook {command}" in done.stderr


def test_cli_version_names_libraries(server):
    version = serving.run("--version").stdout
    assert re.fullmatch(r"tradebook \d+\.\d+\.\d+\n", version)
    done = serving.run("version")
    parts = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert list(parts) == ["tradebook", "nng", "protobuf-c", "SQLite", "compiler"]
    info = json.loads(call(server, "AdminService/GetServerInfo").stdout)
    assert (parts["tradebook"], parts["nng"], parts["SQLite"]) == (
        info["version"], info["nngVersion"], info["storageVersion"])
    assert version.split()[1] == parts["tradebook"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["version"], ["call"], ["completion", "bash"], ["--help"], ["help"],
                                       ["--version"], ["help", "list"], ["report", "--help"], ["serve", "--usage"]])
def test_cli_output_that_cannot_be_written_exits_1(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([serving.BIN, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "tradebook: cannot write the output: No space left on device.\n"


# --- call ---


def test_cli_call_creates_and_reads_back(server):
    done = call(server, "SignalService/CreateSignal", json.dumps({"signal": SIGNAL}))
    assert (done.returncode, done.stderr) == (0, "")
    created = json.loads(done.stdout)
    assert created.items() >= SIGNAL.items()
    assert isinstance(created["id"], str)
    for request in ({"id": created["id"]}, {"id": int(created["id"])}):
        assert json.loads(call(server, "SignalService/GetSignal", json.dumps(request)).stdout) == created


@pytest.mark.parametrize("name", ["HealthService/Check", "Health/Check", "grpc.health.v1.Health/Check",
                                  "/grpc.health.v1.Health/Check", "/Health/Check"])
def test_cli_call_method_names_short_and_full(server, name):
    done = call(server, name)
    if name.startswith("HealthService"):
        assert done.returncode == 2
    else:
        assert (done.returncode, done.stdout) == (0, '{\n  "status": "SERVING"\n}\n')


@pytest.mark.parametrize("given, suggested", [
    ("signalservice/getsignal", "SignalService/GetSignal"),
    ("SignalService/GetSignl", "SignalService/GetSignal"),
    ("GetSignal", "SignalService/GetSignal"),
    ("tradebook.v1.SignalService/getSignal", "SignalService/GetSignal"),
])
def test_cli_call_unknown_method_suggests_nearest(given, suggested):
    done = serving.run("call", given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f'tradebook call: there is no method "{given}". Did you mean {suggested}? '
                           '"tradebook call" lists all methods.\n')


def test_cli_call_compact_prints_one_line(server):
    assert call(server, "--compact", "Health/Check").stdout == '{"status":"SERVING"}\n'


def test_cli_call_reads_standard_input(server):
    done = call(server, "AdminService/Echo", "-", stdin='{"payload": "aGk"}')
    assert json.loads(done.stdout) == {"payload": "aGk="}


@pytest.mark.parametrize("text, reason", [
    ("", "line 1, column 0: "),
    ("nonsense", "line 1, column "),
    ('{"id": 1', "line 1, column "),
    ('[1]', "the message: expected an object, found an array\n"),
    ('{"id": 1.5}', "id: expected a whole number from -9223372036854775808 to 9223372036854775807, "
                    "found a number (1.5)\n"),
    ('{"ids": 1}', "ids: GetSignalRequest has no such field\n"),
])
def test_cli_call_wrong_json_exits_2(server, text, reason):
    for arguments, stdin in (([text], None), (["-"], text)):
        done = call(server, "SignalService/GetSignal", *arguments, stdin=stdin)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("tradebook call: the request is wrong: " + reason)


def test_cli_call_refused_prints_code_and_every_violation(server):
    done = call(server, "SignalService/CreateSignal",
                json.dumps({"signal": {**SIGNAL, "confidence": "NaN", "symbol": " "}}))
    assert (done.returncode, done.stdout) == (1, "")
    first, *violations = done.stderr.splitlines()
    assert first.startswith("INVALID_ARGUMENT: ")
    assert sorted(line.split(": ")[0] for line in violations) == ["  signal.confidence", "  signal.symbol"]


def test_cli_call_not_found_exits_1(server):
    done = call(server, "SignalService/GetSignal", '{"id": 999999}')
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("NOT_FOUND: ") and done.stderr.count("\n") == 1


def test_cli_call_same_request_id_gets_first_answer(server):
    text = json.dumps({"signal": SIGNAL})
    request_id = "0192f0c1-2d3e-7000-8000-0123456789AB"
    first = call(server, "--request-id", request_id, "SignalService/CreateSignal", text)
    again = call(server, "--request-id", request_id.replace("-", "").lower(), "SignalService/CreateSignal", text)
    other = call(server, "SignalService/CreateSignal", text)
    assert first.returncode == 0
    assert first.stdout == again.stdout != other.stdout


def test_cli_call_request_id_is_sent_as_given():
    with FakeServer(lambda _: sp.messages().Reply()) as server:
        call(server, "--request-id", "000102030405060708090a0b0c0d0e0F", "Health/Check")
    assert server.requests[0].request_id == bytes(range(16))


@pytest.mark.parametrize("arguments", [
    ["--request-id", "12", "Health/Check"], ["--request-id", "g" * 32, "Health/Check"],
    ["--request-id", "0" * 33, "Health/Check"], ["--timeout", "0", "Health/Check"], ["--timeout", "-1", "Health/Check"],
    ["--timeout", "soon", "Health/Check"], ["--timeout", "nan", "Health/Check"], ["--timeout", "1e9", "Health/Check"],
    ["Health/Check", "{}", "{}"],
])
def test_cli_call_wrong_arguments_exits_2(server, arguments):
    done = call(server, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tradebook call: ")


def test_cli_call_timeout_ends_the_call_and_travels():
    release = threading.Event()

    def answer(_):
        release.wait(60)
        return sp.messages().Reply()

    with FakeServer(answer) as server:
        done = call(server, "--timeout", "0.25", "Health/Check")
        release.set()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("DEADLINE_EXCEEDED: ")
    assert server.address in done.stderr
    assert 0 < server.requests[0].timeout_ms <= 250


def test_cli_call_without_server_names_the_address():
    taken, address = free_address()
    with taken:
        done = serving.run("call", "--address", address, "--timeout", "0.3", "Health/Check")
    assert (done.returncode, done.stdout) == (1, "")
    assert address in done.stderr


def test_cli_call_malformed_address_exits_2():
    done = serving.run("call", "--address", "nowhere", "Health/Check")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nowhere" in done.stderr


def test_cli_call_address_option_wins_over_environment(server):
    taken, dead = free_address()
    with taken:
        env = {"TRADEBOOK_ADDRESS": dead}
        assert serving.run("call", "--address", server.address, "Health/Check", **env).returncode == 0
        assert serving.run("call", "--timeout", "0.3", "Health/Check", **env).returncode == 1
    assert serving.run("call", "Health/Check", TRADEBOOK_ADDRESS=server.address).returncode == 0
    assert serving.run("call", "Health/Check", TRADEBOOK_ADDRESS=server.addresses["ipc"]).returncode == 0


# --- completion ---


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_cli_completion_prints_the_script_of_the_shell(shell):
    done = serving.run("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / f"deploy/completion/tradebook.{shell}").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [[], ["tcsh"], ["bash", "zsh"]])
def test_cli_completion_wrong_shell_exits_2(arguments):
    done = serving.run("completion", *arguments)
    assert (done.returncode, done.stdout) == (2, "")


def complete(*words):
    """What bash offers for the last word."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tradebook; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", ROOT / "deploy/completion/tradebook.bash", serving.BIN, *words],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def test_cli_completion_in_bash_offers_what_there_is():
    assert complete("") == ["--help", "--version", *COMMANDS]
    assert complete("li") == ["list"]
    assert complete("help", "li") == ["list"]
    assert complete("call", "SignalService/G") == ["SignalService/GetSignal"]
    assert len(complete("call", "")) == len(serving.run("call").stdout.split())
    assert complete("list", "")[:2] == ["signals", "results"]
    assert complete("list", "signals", "--format", "") == ["table", "json", "csv"]
    assert complete("report", "performance", "--by", "s") == ["strategy", "symbol", "session"]
    assert complete("report", "series", "--format", "") == ["table", "json", "csv"]
    assert complete("close", "1", "--reason", "t") == ["tp_hit", "timeout"]
    assert complete("completion", "") == ["bash", "zsh", "fish"]
    assert complete("call", "Health/Check", "") == []
    for command in COMMANDS[:-1]:
        assert complete(command, "--") == options_of(command)


def test_cli_completion_names_every_resource():
    offered = complete("list", "")
    assert serving.run("list", "nothing").stderr.count(", ".join(offered[:-1])) == 1
    for resource in offered:
        done = serving.run("list", resource, "--columns", "no_such_column")
        assert "has no column" in done.stderr


def test_cli_completion_names_every_report():
    named = re.findall(r"^  ([a-z]+)  ", serving.run("report", "--help").stdout.split("--address")[0], re.MULTILINE)
    assert complete("report", "") == named


# Both ask the script for what follows the words, as the shell itself would.
@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
def test_cli_completion_in_fish_offers_what_there_is():
    env = serving.environment(PATH=f"{pathlib.Path(serving.BIN).parent}:{os.environ['PATH']}")
    script = ROOT / "deploy/completion/tradebook.fish"

    def offered(line):
        done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"],
                              capture_output=True, text=True, timeout=60, env=env, check=True)
        return [candidate.split("\t")[0] for candidate in done.stdout.splitlines()]

    assert set(COMMANDS) <= set(offered("tradebook "))
    assert offered("tradebook call SignalService/G") == ["SignalService/GetSignal"]
    assert "--filter" in offered("tradebook list signals --f")
    assert sorted(offered("tradebook list signals --format ")) == ["csv", "json", "table"]


# --- man page ---


def man_text():
    return (ROOT / "deploy/man/tradebook.1").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_cli_man_page_explains_every_command_and_option(command):
    page = man_text()
    assert f".Cm {command}" in page
    if command == "help":
        return
    section = re.search(rf"^\.Ss tradebook {command}$(.*?)^\.S[hs] ", page, re.MULTILINE | re.DOTALL).group(1)
    described = set(re.findall(r"^\.It .*?Fl -([a-z-]+)", section, re.MULTILINE))
    assert described == {option[2:] for option in options_of(command)} - {"help", "usage"}


@pytest.mark.skipif(shutil.which("man") is None, reason="no man here")
def test_cli_man_page_formats_without_warning():
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", ROOT / "deploy/man/tradebook.1"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
