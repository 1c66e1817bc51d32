"""Every case of tests/conformance, over tcp and over ipc. The channels share the
transport, so each of them takes one."""

import clients
import conformance
import pytest

CASES = conformance.cases()


@pytest.mark.parametrize(
    ("client", "prefix"),
    [(clients.Blocking, ""), (clients.Asyncio, "ipc")],
    ids=["blocking-tcp", "asyncio-ipc"],
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_conformance(case: conformance.Members, client: conformance.Open, prefix: str) -> None:
    conformance.Case(case, prefix, client).run()


def test_conformance_calls_every_method() -> None:
    called = {
        step.get("call", "/tradebook.v1.EventService/Subscribe" if "subscribe" in step else None)
        for case in CASES
        for step in conformance.steps_of(case["steps"])
        if succeeds(step)
    }
    methods = {f"/{service}/{name}" for service in clients.STUBS for name in clients.methods(service)}
    assert methods - called == set()


def succeeds(step: conformance.Members) -> bool:
    expect: conformance.Members = step.get("expect", {})
    return bool(expect.get("code", "OK") == "OK")
