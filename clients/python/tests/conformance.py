"""The runner of tests/conformance: README.md there has the format.

What differs between the two clients, blocking and asyncio, is behind Client.
"""

import json
import pathlib
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import grpc
from google.protobuf import descriptor_pool, json_format, message, message_factory
from google.rpc import error_details_pb2, status_pb2

from tradebook.v1 import event_pb2

FOLDER = pathlib.Path(__file__).parents[3] / "tests" / "conformance"
SERVICES = ["signal", "trade", "theory", "pattern", "risk", "model", "analytics", "event", "admin"]
POLL_SECONDS_MAX = 20.0
STREAM_SECONDS_MAX = 60.0
TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")
VARIABLE = re.compile(r"\$\{(\w+)\}")

Json = Any
Members = dict[str, Json]


class Pending(Protocol):
    def result(self) -> message.Message: ...
    def cancel(self) -> bool: ...


class Stream(Protocol):
    def __iter__(self) -> Iterator[message.Message]: ...
    def cancel(self) -> bool: ...


class Client(Protocol):
    """One channel. timeout None: the client's default."""

    def call(
        self,
        method: str,
        request: message.Message | None,
        timeout: float | None,
        metadata: list[tuple[str, str | bytes]],
    ) -> message.Message: ...

    def start(
        self,
        method: str,
        request: message.Message | None,
        timeout: float | None,
        metadata: list[tuple[str, str | bytes]],
    ) -> Pending: ...

    def subscribe(self, request: message.Message, timeout: float | None) -> Stream: ...

    def close(self) -> None: ...


class Failure(AssertionError):
    """A case that did not go as it says."""


def cases() -> list[Members]:
    return [case for file in sorted((FOLDER / "cases").glob("*.json")) for case in json.loads(file.read_text())]


# --- the server ---


class Server:
    """tests/conformance/server with its addresses."""

    def __init__(self, options: list[str]) -> None:
        self._process = subprocess.Popen(
            [str(FOLDER / "server"), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.addresses: dict[str, str] = self._line()

    def _line(self) -> Json:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failure(f"the server did not start: exit status {self._process.wait()}")
        return json.loads(line)

    def do(self, command: Members) -> Members:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        reply: Members = self._line()
        if "error" in reply:
            raise Failure(f"{command}: {reply['error']}")
        return reply

    def end(self) -> int:
        self._process.communicate(timeout=60)
        return self._process.returncode


# --- comparison ---


def differs(expected: Json, actual: Json, path: str = "") -> str | None:
    """Says where actual is not as expected; None when it is."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return next(
            (
                found
                for name, value in expected.items()
                if (found := differs(value, actual.get(name), f"{path}.{name}"))
            ),
            None,
        )
    if isinstance(expected, list) and (isinstance(actual, list) or actual is None):
        actual = actual or []
        if len(expected) != len(actual):
            return f"{path}: expected {len(expected)} elements, got {len(actual)}: {json.dumps(actual)[:500]}"
        return next(
            (
                found
                for index, value in enumerate(expected)
                if (found := differs(value, actual[index], f"{path}.{index}"))
            ),
            None,
        )
    if is_same(expected, actual):
        return None
    return f"{path}: expected {expected!r}, got {actual!r}"


def is_same(expected: Json, actual: Json) -> bool:
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        return abs(expected - actual) <= 1e-9 * max(1.0, abs(expected))
    if isinstance(expected, str) and isinstance(actual, str):
        return microseconds(expected) == microseconds(actual)
    return type(expected) is type(actual) and bool(expected == actual)


def microseconds(text: str) -> str:
    """A timestamp to the microsecond; any other text as it is."""
    found = TIMESTAMP.fullmatch(text)
    return f"{found[1]}.{(found[2] or '').ljust(6, '0')[:6]}" if found else text


def at(path: str, value: Json) -> Json:
    """The part of value under a path; None when there is none."""
    for name in path.split("."):
        if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, dict):
            value = value.get(name)
        else:
            return None
    return value


# --- messages ---


def request_type(method: str) -> type[message.Message] | None:
    """Request class of a method; None when the generated code lacks it."""
    try:
        found = descriptor_pool.Default().FindMethodByName(method[1:].replace("/", "."))
    except KeyError:
        return None
    return message_factory.GetMessageClass(found.input_type)


def to_json(sent: message.Message) -> Json:
    return json_format.MessageToDict(sent)


def status_details(error: grpc.RpcError) -> list[Any]:
    trailing: dict[str, bytes] = dict(error.trailing_metadata() or ())  # type: ignore[arg-type]
    return list(status_pb2.Status.FromString(trailing.get("grpc-status-details-bin", b"")).details)


class Ended:
    """How a call ended."""

    def __init__(self, wait: Callable[[], Any]) -> None:
        self.response: Json = {}
        self.code = "OK"
        self.text = ""
        self.details: list[Any] = []
        try:
            self.response = to_json(wait())
        except grpc.RpcError as error:
            self.code = error.code().name
            self.text = error.details() or ""
            self.details = status_details(error)
        except grpc.FutureCancelledError:
            self.code = "CANCELLED"

    def compare(self, expect: Members) -> str | None:
        known(expect, {"code", "message_contains", "violations", "details", "response", "present", "absent"})
        code = expect.get("code", "OK")
        if self.code != code:
            return f"expected {code}, got {self.code}: {self.text} {json.dumps(self.response)[:300]}"
        if expect.get("message_contains", "") not in self.text:
            return f"the message does not contain {expect['message_contains']!r}: {self.text}"
        if "violations" in expect and sorted(expect["violations"]) != self.violations():
            return f"expected violations {sorted(expect['violations'])}, got {self.violations()}"
        if "details" in expect and (found := differs(expect["details"], self.other_details(), "details")):
            return found
        for path in expect.get("present", []):
            if at(path, self.response) is None:
                return f"{path} is absent"
        for path in expect.get("absent", []):
            if at(path, self.response) is not None:
                return f"{path} is present: {at(path, self.response)!r}"
        return differs(expect.get("response", {}), self.response, "response")

    def violations(self) -> list[str]:
        return sorted(
            violation.field
            for detail in self.details
            if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR)
            for violation in error_details_pb2.BadRequest.FromString(detail.value).field_violations
        )

    def other_details(self) -> list[Json]:
        return [
            to_json(detail) for detail in self.details if not detail.Is(error_details_pb2.BadRequest.DESCRIPTOR)
        ]


def known(members: Mapping[str, Json], names: set[str]) -> None:
    if unknown := members.keys() - names:
        raise Failure(f"this runner does not know {', '.join(sorted(unknown))} of {json.dumps(members)[:300]}")


# --- a case ---

CALL = {
    "call",
    "request",
    "timeout_ms",
    "request_id",
    "metadata",
    "client_id",
    "cancel",
    "meanwhile",
    "poll",
    "expect",
    "save",
}

# Opens a channel: address, events address or None, client id or None.
Open = Callable[[str, str | None, str | None], Client]


class Case:
    def __init__(self, case: Members, prefix: str, open_client: Open) -> None:
        """prefix of the names of the addresses: "", "ipc" or "ws"."""
        known(case, {"name", "options", "steps"})
        self.steps: list[Members] = case["steps"]
        self.server = Server(case.get("options", []))
        addresses = self.server.addresses
        self.address = addresses[prefix or "address"]
        self.events_address = addresses[f"events_{prefix or 'address'}"]
        self.open_client = open_client
        self.clients: dict[tuple[str | None, bool], Client] = {}
        self.variables: Members = {}

    def run(self) -> None:
        try:
            for number, step in enumerate(self.steps, 1):
                try:
                    self.step(step)
                except Failure as failure:
                    raise Failure(f"step {number}: {failure}\n{json.dumps(step)[:1000]}") from None
            for client in self.clients.values():
                client.close()
        finally:
            status = self.server.end()
        if status != 0:
            raise Failure(f"the server ended with status {status}")

    def client(self, client_id: str | None = None, events: bool = True) -> Client:
        key = client_id, events
        if key not in self.clients:
            self.clients[key] = self.open_client(self.address, self.events_address if events else None, client_id)
        return self.clients[key]

    def fill(self, value: Json) -> Json:
        """value with its variables replaced."""
        if isinstance(value, dict):
            return {name: self.fill(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.fill(part) for part in value]
        if isinstance(value, str) and (alone := VARIABLE.fullmatch(value)):
            return self.variables[alone[1]]
        if isinstance(value, str):
            return VARIABLE.sub(lambda found: self.variables[found[1]], value)
        return value

    def step(self, step: Members) -> None:
        kinds = {"call": self.call, "parallel": self.parallel, "subscribe": self.subscribe, "server": self.command}
        kind = [name for name in kinds if name in step]
        if len(kind) != 1:
            raise Failure("this runner knows no such step")
        kinds[kind[0]](self.fill(step))

    def all(self, steps: list[Members]) -> None:
        for step in steps:
            self.step(step)

    def command(self, step: Members) -> None:
        known(step, {"server", "rows"})
        reply = self.server.do(step["server"])
        if "rows" in step and (found := differs(step["rows"], reply["rows"], "rows")):
            raise Failure(found)

    # --- calls ---

    def arguments(self, step: Members) -> tuple[str, message.Message | None, float | None, list[tuple[str, Any]]]:
        known(step, CALL)
        method = step["call"]
        found = request_type(method)
        request = json_format.ParseDict(step.get("request", {}), found()) if found else None
        metadata: list[tuple[str, Any]] = list(step.get("metadata", {}).items())
        if "request_id" in step:
            metadata.append(("x-request-id-bin", bytes.fromhex(step["request_id"])))
        timeout_ms = step.get("timeout_ms")
        return method, request, None if timeout_ms is None else timeout_ms / 1000, metadata

    def start(self, step: Members) -> Pending:
        return self.client(step.get("client_id")).start(*self.arguments(step))

    def call(self, step: Members) -> None:
        until = time.monotonic() + (POLL_SECONDS_MAX if step.get("poll") else 0)
        while True:
            ended = self.end_of(step)
            found = ended.compare(step.get("expect", {}))
            if found is None:
                break
            if time.monotonic() >= until:
                raise Failure(found)
        for name, path in step.get("save", {}).items():
            self.variables[name] = at(path, ended.response)

    def end_of(self, step: Members) -> Ended:
        if "cancel" not in step and "meanwhile" not in step:
            client = self.client(step.get("client_id"))
            return Ended(lambda: client.call(*self.arguments(step)))
        pending = self.start(step)
        if step.get("cancel"):
            pending.cancel()
        self.all(step.get("meanwhile", []))
        return Ended(pending.result)

    def parallel(self, step: Members) -> None:
        known(step, {"parallel", "times", "codes"})
        steps = [call for call in step["parallel"] for _ in range(step.get("times", 1))]
        under_way = [self.start(call) for call in steps]
        ends = [Ended(pending.result) for pending in under_way]
        if "codes" in step:
            codes = [ended.code for ended in ends]
            counts = {code: codes.count(code) for code in codes}
            if counts != step["codes"]:
                raise Failure(f"expected {step['codes']}, got {counts}")
            return
        for call, ended in zip(steps, ends, strict=True):
            if found := ended.compare(call.get("expect", {})):
                raise Failure(found)

    # --- streams ---

    def subscribe(self, step: Members) -> None:
        known(step, {"subscribe", "count", "events_address", "timeout_ms", "meanwhile", "after", "expect"})
        expect = step.get("expect", {})
        known(expect, {"first", "sequences", "events", "code", "message_contains"})
        request = json_format.ParseDict(step["subscribe"], event_pb2.SubscribeRequest())
        timeout_ms = step.get("timeout_ms")
        reader = Reader(
            self.client(events=step.get("events_address", True)).subscribe(
                request, None if timeout_ms is None else timeout_ms / 1000
            ),
            step.get("count", 0),
        )
        self.all(step.get("meanwhile", []))
        if "code" not in expect:
            reader.wait_for_count()
            self.all(step.get("after", []))
            reader.stream.cancel()
        ended = reader.end()
        if found := ended.compare(
            {"code": expect.get("code", "CANCELLED"), "message_contains": expect.get("message_contains", "")}
        ):
            raise Failure(found)
        self.compare_events(step, expect, reader.events)

    def compare_events(self, step: Members, expect: Members, events: list[Json]) -> None:
        count = step.get("count", 0)
        sequences = [int(event["sequence"]) for event in events]
        if len(events) != count:
            raise Failure(f"expected {count} events, got {len(events)}: {sequences[:50]}")
        first = expect.get("first")
        expected = expect.get("sequences", sequences if first is None else list(range(first, first + count)))
        if sequences != expected:
            raise Failure(f"expected the sequences {expected[:50]}, got {sequences[:50]}")
        if "events" in expect and (found := differs(expect["events"], events, "events")):
            raise Failure(found)


class Reader:
    """Reads a stream in the background."""

    def __init__(self, stream: Stream, count: int) -> None:
        self.stream = stream
        self.events: list[Json] = []
        self._count = count
        self._changed = threading.Condition()
        self._ended: Ended | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        def read_all() -> Any:
            for event in self.stream:
                with self._changed:
                    self.events.append(to_json(event))
                    self._changed.notify_all()
            return status_pb2.Status()

        ended = Ended(read_all)
        with self._changed:
            self._ended = ended
            self._changed.notify_all()

    def wait_for_count(self) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: len(self.events) >= self._count or self._ended is not None, STREAM_SECONDS_MAX
            )
            if len(self.events) < self._count:
                ended = self._ended
                self.stream.cancel()
                raise Failure(
                    f"{len(self.events)} of {self._count} events came; the stream "
                    + (f"ended with {ended.code}: {ended.text}" if ended else "still runs")
                )

    def end(self) -> Ended:
        self._thread.join(STREAM_SECONDS_MAX)
        if self._ended is None:
            self.stream.cancel()
            raise Failure("the stream does not end")
        return self._ended


def steps_of(steps: list[Members]) -> Iterator[Members]:
    """These steps and those inside of them."""
    for step in steps:
        yield step
        for name in ("parallel", "meanwhile", "after"):
            yield from steps_of(step.get(name, []))
