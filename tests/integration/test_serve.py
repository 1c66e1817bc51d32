"""tradebook serve: its settings, where they come from, what it refuses, how it
starts and how it ends."""

import contextlib
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import threading

import book
import pytest
import serving
import sp

CHECK = "/grpc.health.v1.Health/Check"

BAD_ARGUMENTS = [
    (["--readers", "0"], "--readers"),
    (["--readers", "65"], "--readers"),
    (["--readers", "many"], "--readers"),
    (["--readers", ""], "--readers"),
    (["--readers", "4x"], "--readers"),
    (["--readers", " 4"], "--readers"),
    (["--contexts", "99999999999999999999"], "--contexts"),
    (["--breakeven-band", "-1"], "--breakeven-band"),
    (["--breakeven-band", "nan"], "--breakeven-band"),
    (["--breakeven-band", "100.5"], "--breakeven-band"),
    (["--ipc-mode", "0888"], "--ipc-mode"),
    (["--ipc-mode", "1777"], "--ipc-mode"),
    (["--log-level", "loud"], "--log-level"),
    (["--log-format", "xml"], "--log-format"),
    (["--ready-fd", "99"], "--ready-fd"),
    (["--ready-fd", "2"], "--ready-fd: descriptor 2 is where the log goes"),
    (["--ready-fd", "0"], "--ready-fd"),
    (["--db", ""], "--db"),
    (["--listen", ""], "--listen"),
    (["--listen", "tcp://127.0.0.1:0,"], "--listen"),
    (["--listen", "http://127.0.0.1:80"], "http://127.0.0.1:80"),
    (["--listen", "tcp://127.0.0.1"], "tcp://127.0.0.1"),
    (["--listen", "127.0.0.1:7601"], "127.0.0.1:7601"),
    (["--events", ""], "--events"),
    (["--events", "udp://127.0.0.1:1"], "udp://127.0.0.1:1"),
    (["--http", ""], "--http"),
    (["--http", "7603"], '"7603"'),
    (["--http", "127.0.0.1"], '"127.0.0.1"'),
    (["--http", "https://127.0.0.1:7603"], '"https://127.0.0.1:7603"'),
    (["--http", "::1:7603"], '"::1:7603"'),
    (["--http", "127.0.0.1:123456"], '"127.0.0.1:123456"'),
    (["--heartbeat-ms", "9"], "--heartbeat-ms"),
    (["--event-retention", "0"], "--event-retention"),
    (["--timeout-default", "2000", "--timeout-max", "1000"], "timeout-default"),
    (["--colour"], "--colour"),
    (["extra"], "extra"),
    (["--db", "mysql://localhost/tradebook"], "mysql://localhost/tradebook"),
    (["--db", "sqlite:///book.db?check_same_thread=False"], "leave out '?check_same_thread=False'"),
    (["--db", "sqlite:///file:book.db?mode=ro&uri=true"], "leave out '?mode=ro&uri=true'"),
    (["--db", ":memory:"], "in memory"),
    (["--db", "sqlite:///:memory:"], "in memory"),
    (["--db", "sqlite://"], "in memory"),
    (["--db", "sqlite:///"], "in memory"),
]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def run_serve(folder, *arguments, **changes):
    """Runs a server that is expected not to start; addresses never clash."""
    return subprocess.run([serving.BIN, "serve", *map(str, arguments)], cwd=folder, capture_output=True, text=True,
                          timeout=120, env=serving.environment(**changes))


@pytest.mark.parametrize("arguments,named", BAD_ARGUMENTS, ids=lambda value: " ".join(value)
                         if isinstance(value, list) else "")
def test_bad_argument_is_named_with_status_2_and_nothing_is_created(tmp_path, arguments, named):
    done = run_serve(tmp_path, *arguments)
    assert done.returncode == 2
    assert named in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name,value", [("TRADEBOOK_READERS", "x"), ("TRADEBOOK_SEND_TIMEOUT", "1"),
                                        ("TRADEBOOK_QUIET", "maybe"), ("TRADEBOOK_LISTEN", ",")])
def test_bad_environment_is_named_with_status_2(tmp_path, name, value):
    done = run_serve(tmp_path, **{name: value})
    assert done.returncode == 2
    assert name in done.stderr


@pytest.mark.parametrize("text,said", [
    ("readers = x\n", ":1: readers"),
    ("readers = 2\ncolour = red\n", ':2: there is no setting "colour"'),
    ("\n\nreader = 2\n", 'did you mean "readers"'),
    ("readers\n", ":1: expected"),
    ("[client]\nreaders = 2\n", ":2: there is no section [client]"),
    ("config = other.ini\n", ":1: there is no setting"),
    ("readers = 2\nqueue = 9\nreaders = 3\n", ":3: readers is given in line 1 already"),
    (f"# {'x' * 500}\ndb = {'x' * 200}\n", ":2: the line is too long"),
    ("readers\nqueue = x\n", ":1: expected"),
    ("db = # nothing\n", ":1: db: the value is empty"),
])
def test_bad_config_line_is_named_with_status_2(tmp_path, text, said):
    file = tmp_path / "tradebook.ini"
    file.write_text(text)
    done = run_serve(tmp_path, "--config", file)
    assert done.returncode == 2
    assert f"{file}{said}" in done.stderr or said in done.stderr


def test_database_in_the_environment_with_options_is_refused_and_nothing_is_created(tmp_path):
    done = run_serve(tmp_path, DB_URL="sqlite:///users.db?check_same_thread=False")
    assert done.returncode == 2
    assert "leave out '?check_same_thread=False'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_folder_instead_of_a_config_file_is_refused(tmp_path):
    (tmp_path / "tradebook.ini").mkdir()
    done = run_serve(tmp_path, "--config", "tradebook.ini")
    assert done.returncode == 2
    assert "cannot read tradebook.ini: Is a directory" in done.stderr
    assert names(tmp_path) == ["tradebook.ini"]


def test_missing_config_file_is_named_with_status_2(tmp_path):
    done = run_serve(tmp_path, "--config", "absent.ini")
    assert done.returncode == 2
    assert "absent.ini" in done.stderr


def test_help_lists_every_setting(tmp_path):
    done = run_serve(tmp_path, "--help")
    assert done.returncode == 0
    for name in ["db", "listen", "breakeven-band", "readers", "contexts", "connections", "queue", "message-bytes",
                 "timeout-default", "timeout-max", "send-timeout", "request-retention", "wal-limit", "memory",
                 "event-retention", "heartbeat-ms", "events", "http", "ipc-mode", "log-level",
                 "log-format", "ready-fd", "quiet", "config"]:
        assert f"--{name}" in done.stdout


class Run:
    """A server started with exactly these settings, in folder."""

    def __init__(self, folder, *arguments, stop=signal.SIGTERM, **changes):
        ready, told = os.pipe()
        self.log = folder / "log"
        self.stop_with = stop
        with self.log.open("w") as log:
            self.process = subprocess.Popen([serving.BIN, "serve", "--ready-fd", str(told), *map(str, arguments)],
                                            cwd=folder, stdout=log, stderr=log, pass_fds=[told],
                                            env=serving.environment(**changes))
        os.close(told)
        with open(ready) as lines:
            self.said = lines.read().splitlines()
        self.addresses = self.told("listen")

    def __enter__(self):
        assert self.said[:1] == ["ready"], self.log.read_text()
        return self

    def __exit__(self, *_):
        self.tell_to_stop()
        self.status = self.process.wait(timeout=60)

    def told(self, what):
        return [line.split(" ", 1)[1] for line in self.said[1:] if line.startswith(what)]

    def tell_to_stop(self):
        """Once only: a second signal would end it at once."""
        if self.stop_with is not None:
            self.process.send_signal(self.stop_with)
        self.stop_with = None


TCP = "tcp://127.0.0.1:0"


@pytest.mark.parametrize("line,environment,option,expected", [
    (False, False, False, "tradebook.db"),
    (True, False, False, "file.db"),
    (True, True, False, "environment.db"),
    (True, True, True, "option.db"),
    (False, False, True, "option.db"),
])
def test_option_beats_environment_beats_file_beats_default(tmp_path, line, environment, option, expected):
    (tmp_path / "tradebook.ini").write_text("[serve]\ndb = file.db\n" if line else "")
    changes = {"TRADEBOOK_DB": "environment.db"} if environment else {}
    arguments = ["--db", "option.db"] if option else []
    with Run(tmp_path, "--config", "tradebook.ini", "--listen", TCP, *arguments, **changes):
        assert [path.name for path in tmp_path.glob("*.db")] == [expected]


def test_listen_of_the_stronger_source_replaces_that_of_the_weaker(tmp_path):
    with Run(tmp_path, "--listen", TCP, TRADEBOOK_LISTEN=f"{TCP}, {TCP}") as run:
        assert len(run.addresses) == 1
    with Run(tmp_path, TRADEBOOK_LISTEN=f"{TCP}, {TCP}") as run:
        assert len(set(run.addresses)) == 2


def test_db_url_is_honoured_after_tradebook_db_and_empty_variables_do_not_count(tmp_path):
    with Run(tmp_path, "--listen", TCP, DB_URL="sqlite:///users.db", TRADEBOOK_DB=""):
        assert (tmp_path / "users.db").exists()
    with Run(tmp_path, "--listen", TCP, DB_URL="sqlite:///users.db", TRADEBOOK_DB="own.db"):
        assert (tmp_path / "own.db").exists()


def test_config_file_from_the_environment_sets_several_addresses(tmp_path):
    (tmp_path / "c.ini").write_text(f"; comment\nlisten = {TCP}\nlisten = {TCP}, ipc://{tmp_path}/a.sock\n"
                                    "quiet = yes\nipc-mode = 0660\n")
    with Run(tmp_path, TRADEBOOK_CONFIG="c.ini") as run:
        assert len(run.addresses) == 3
        assert stat.S_IMODE((tmp_path / "a.sock").stat().st_mode) == 0o660


def test_config_file_may_be_indented_and_commented(tmp_path):
    """A comment begins after a blank; its length does not count."""
    (tmp_path / "c.ini").write_text(f"[serve] # settings\n  db = a#b.db # {'the database ' * 30}\n\n"
                                    f"\t# {'x' * 300}\n    listen = {TCP} ; one\n    quiet = yes # no log\n")
    with Run(tmp_path, "--config", "c.ini") as run:
        assert len(run.addresses) == 1
        assert (tmp_path / "a#b.db").exists()
    assert " INFO " not in run.log.read_text()


def test_ready_on_the_standard_output_ends_and_nothing_takes_its_place(tmp_path):
    process = subprocess.Popen([serving.BIN, "serve", "--ready-fd", "1", "--listen", TCP], cwd=tmp_path,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=serving.environment())
    try:
        said = process.stdout.read().splitlines()
        assert said[0] == "ready"
        assert os.readlink(f"/proc/{process.pid}/fd/1") == "/dev/null"
        with sp.Client(said[1].split()[1]) as client:
            assert client.call(CHECK).code == 0
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        assert process.wait(timeout=60) == 0


def test_ready_says_the_chosen_addresses_which_answer(tmp_path):
    with Run(tmp_path, "--listen", TCP, "--listen", f"ipc://{tmp_path}/a.sock") as run:
        assert not run.addresses[0].endswith(":0")
        assert run.addresses[1] == f"ipc://{tmp_path}/a.sock"
        for address in run.addresses:
            with sp.Client(address) as client:
                assert client.call(CHECK).code == 0
    assert run.status == 0
    text = run.log.read_text()
    assert "INFO ready " in text
    assert run.addresses[0] in text
    assert str(tmp_path / "tradebook.db") in text


def test_ipc_socket_is_private_by_default(tmp_path):
    with Run(tmp_path, "--listen", f"ipc://{tmp_path}/a.sock"):
        assert stat.S_IMODE((tmp_path / "a.sock").stat().st_mode) == 0o600
    assert not (tmp_path / "a.sock").exists()


def test_quiet_logs_neither_ready_nor_stopping(tmp_path):
    with Run(tmp_path, "--quiet", "--listen", TCP) as run:
        pass
    assert " INFO " not in run.log.read_text()


@pytest.mark.parametrize("prefix", ["", "\0"], ids=["file", "abstract name"])
def test_service_manager_is_told_of_start_and_end(tmp_path, prefix):
    name = f"{prefix}{tmp_path}/notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(60)
        manager.bind(name)
        with Run(tmp_path, "--listen", TCP, NOTIFY_SOCKET=name.replace("\0", "@")):
            assert manager.recv(100) == b"READY=1"
        assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("name", ["/nowhere/notify.sock", "x" * 200, ""])
def test_service_manager_that_cannot_be_told_is_logged(tmp_path, name):
    with Run(tmp_path, "--listen", TCP, NOTIFY_SOCKET=name) as run:
        pass
    assert run.status == 0
    assert run.log.read_text().count("WARNING the service manager cannot be told") == 2


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_with_status_0(tmp_path, ending):
    with Run(tmp_path, "--listen", TCP, stop=ending) as run:
        pass
    assert run.status == 0
    assert ending.name in run.log.read_text()


def test_signal_answers_what_was_received(tmp_path):
    """Pipelined writes are sent, the server told to stop, and every reply that
    comes says what really happened."""
    with Run(tmp_path, "--listen", TCP) as run:
        create, frames = "/tradebook.v1.SignalService/CreateSignal", 200
        with sp.Connection(run.addresses[0]) as connection:
            body = book.request_of("SignalService.CreateSignal", signal=book.signal())
            for number in range(frames):
                connection.send(sp.envelope(create, body, request_id=number.to_bytes(16, "big")))
            connection.receive()
            run.tell_to_stop()
            codes = [0]
            with contextlib.suppress(ConnectionError):
                for _ in range(frames - 1):
                    reply = sp.messages().Reply.FromString(connection.receive()[1])
                    codes.append(reply.code)
    assert run.status == 0
    assert set(codes) <= {0, 14}
    with contextlib.closing(sqlite3.connect(tmp_path / "tradebook.db")) as db:
        assert db.execute("select count(*) from signals").fetchone()[0] == codes.count(0)


def test_stop_does_not_wait_for_idle_or_half_open_connections(tmp_path):
    with Run(tmp_path, "--listen", TCP) as run:
        idle = sp.open_connection(run.addresses[0])
        silent = sp.connect(run.addresses[0])
        half = sp.open_connection(run.addresses[0])
        half.sendall(b"\0\0\0")
    assert run.status == 0
    for plain in (idle, silent, half):
        plain.close()


def test_socket_left_by_a_dead_server_is_replaced(tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Run(tmp_path, "--listen", f"ipc://{path}") as run, sp.Client(run.addresses[0]) as client:
        assert client.call(CHECK).code == 0


def test_socket_of_a_live_server_is_left_alone(tmp_path):
    with Run(tmp_path, "--listen", f"ipc://{tmp_path}/a.sock") as run:
        done = run_serve(tmp_path, "--db", "other.db", "--listen", run.addresses[0])
        assert done.returncode == 1
        assert run.addresses[0] in done.stderr and "another server" in done.stderr
        with sp.Client(run.addresses[0]) as client:
            assert client.call(CHECK).code == 0


@pytest.mark.parametrize("make", [lambda path: path.write_text("mine"), lambda path: path.mkdir()],
                         ids=["file", "folder"])
def test_something_else_than_a_socket_is_left_alone(tmp_path, make):
    path = tmp_path / "a.sock"
    make(path)
    done = run_serve(tmp_path, "--listen", f"ipc://{path}")
    assert done.returncode == 1
    assert str(path) in done.stderr and "not a socket" in done.stderr
    assert path.exists()


def test_port_in_use_is_named_with_status_1(tmp_path):
    with Run(tmp_path, "--listen", TCP) as run:
        done = run_serve(tmp_path, "--db", "other.db", "--listen", run.addresses[0])
        assert done.returncode == 1
        assert run.addresses[0] in done.stderr and "in use" in done.stderr


def test_too_few_descriptors_are_told(tmp_path):
    with serving.Server(tmp_path / "book.db", "--connections", 1000, prefix=["prlimit", "--nofile=200"]) as server:
        pass
    assert "limit=200" in server.log.read_text()


def test_soft_limit_of_descriptors_is_raised(tmp_path):
    with serving.Server(tmp_path / "book.db", "--connections", 1000, prefix=["prlimit", "--nofile=200:4096"]) as server:
        with open(f"/proc/{server.process.pid}/limits") as limits:
            line = next(line for line in limits if line.startswith("Max open files"))
        assert line.split()[3] == "4096"


def owe_replies(address):
    """A connection that leaves replies unread, so that the server has to wait."""
    connection = sp.Connection(address, timeout=60)
    connection.socket.setblocking(False)
    body = sp.frame(address, b"\x80\0\0\1" + sp.envelope("/tradebook.v1.AdminService/GetDescriptorSet")) * 50
    refusals = 0
    while refusals < 50:  # the server reads no more from it
        try:
            connection.socket.send(body)
            refusals = 0
        except BlockingIOError:
            refusals += 1
            threading.Event().wait(0.002)
    return connection


def wait_for_log(run, text):
    for _ in range(6000):
        if text in run.log.read_text():
            return
        threading.Event().wait(0.01)
    pytest.fail(f"no line with {text!r}: {run.log.read_text()}")


def test_second_signal_ends_at_once(tmp_path):
    with Run(tmp_path, "--listen", TCP, "--send-timeout", 60000) as run, owe_replies(run.addresses[0]):
        run.tell_to_stop()
        wait_for_log(run, "stopping")
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(timeout=60) == -signal.SIGTERM


def test_client_that_takes_no_reply_does_not_keep_the_server_beyond_its_grace(tmp_path):
    with Run(tmp_path, "--listen", TCP, "--send-timeout", 60000) as run, owe_replies(run.addresses[0]):
        run.tell_to_stop()
        assert run.process.wait(timeout=60) == 0
    assert "took too long" not in run.log.read_text()


def test_writes_that_wait_for_another_program_do_not_keep_the_server_beyond_its_grace(tmp_path):
    """Each waits for five seconds; what was not acknowledged may be lost."""
    method = "SignalService.CreateSignal"
    server = serving.Server(tmp_path / "book.db", "--http", "127.0.0.1:0").start()
    with book.File(server.db).locked(), sp.Connection(server.address) as connection:
        for number, taken in enumerate(("tradebook_writer_busy_seconds (?!0$).*", 'tradebook_queue_length{queue="writer"} 1')):
            request = book.envelope(method, book.request_of(method, signal=book.signal()), bytes([number] * 16), 60000)
            connection.send(request.SerializeToString())
            server.wait_for_metric(taken)
        assert server.stop() == 1
    assert "took too long" in server.log.read_text()


def test_client_that_takes_no_reply_is_dropped_after_the_send_timeout(tmp_path):
    with Run(tmp_path, "--listen", TCP, "--send-timeout", 2000) as run, owe_replies(run.addresses[0]):
        run.tell_to_stop()
        assert run.process.wait(timeout=60) == 0
