#!/usr/bin/env python3
"""A good client beside each abuse of the network: it is always answered, rightly,
and not much later than without.

    beside_abuse.py [--seconds N] [--rounds N] [NAME...]

Quiet times and abuses take turns, so that whatever else the machine does meets
both. From 3 seconds on the ratio of the 99th percentiles is judged as well. The
exit status is 1 when there are violations.
"""

import argparse
import contextlib
import multiprocessing
import pathlib
import socket
import struct
import sys
import tempfile
import time

import good_client
import serving
import sp

CONNECTIONS_MAX = 256
HELD = 200  # connections that an abuse holds
PER_SECOND = 400  # connections of an abuse that comes and goes
CHECK = "/grpc.health.v1.Health/Check"
GET_SET = "/tradebook.v1.AdminService/GetDescriptorSet"
JUDGED_SECONDS = 3
RATIO_MAX = 2
MS_MAX = 1  # up to here a ratio says nothing

# What an abuser does, in a process of its own, until it is ended. ---------------


def hold(addresses, begin):
    """Keeps connections that were begun and left; begins anew what was closed."""
    held = []
    while True:
        while len(held) < HELD:
            held.append(begin(addresses["rpc"]))
        time.sleep(0.2)
        held = [plain for plain in held if not is_closed(plain)]


def is_closed(plain):
    plain.setblocking(False)
    try:
        closed = not plain.recv(4096)
    except BlockingIOError:
        closed = False
    except OSError:
        closed = True
    if closed:
        plain.close()
    return closed


def storm(addresses, visit):
    """Comes and goes, so many times a second."""
    begun = time.monotonic()
    visits = 0
    while True:
        with contextlib.suppress(OSError):
            visit(addresses["rpc"])
        visits += 1
        time.sleep(max(0.0, begun + visits / PER_SECOND - time.monotonic()))


def frame(address, body):
    return sp.frame(address, struct.pack(">I", 0x80000001) + body)


def begin_handshake(address):
    plain = sp.connect(address)
    plain.sendall(sp.handshake(sp.REQ)[:5])
    return plain


def begin_frame(address):
    plain = sp.open_connection(address)
    plain.sendall(frame(address, sp.envelope(CHECK, bytes(500_000)))[:-3])
    return plain


def connect_and_close(address):
    sp.connect(address).close()


def connect_and_reset(address):
    plain = sp.connect(address)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()


def pipeline_and_vanish(address):
    with sp.open_connection(address) as plain:
        plain.sendall(frame(address, sp.envelope(CHECK)) * 5)


def speak_http(address):
    with sp.connect(address) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        plain.recv(100)


def speak_tls(address):
    with sp.connect(address) as plain:
        plain.sendall(bytes.fromhex("1603010200010001fc0303") + bytes(64))
        plain.recv(100)


def never_read(addresses):
    """Some connections ask for large replies and take none."""
    requests = frame(addresses["rpc"], sp.envelope(GET_SET)) * 50
    plains = []
    while True:
        plains = [plain for plain in plains if not sent_is_closed(plain, requests)]
        while len(plains) < 8:
            plain = sp.open_connection(addresses["rpc"])
            plain.setblocking(False)
            plains.append(plain)
        time.sleep(0.02)


def sent_is_closed(plain, requests):
    try:
        plain.send(requests)
    except BlockingIOError:
        return False
    except OSError:
        plain.close()
        return True
    return False


def too_many_connections(addresses):
    """All that the server accepts, and some more again and again."""
    held = []
    with contextlib.suppress(OSError):
        while len(held) < CONNECTIONS_MAX + 50:
            held.append(sp.connect(addresses["rpc"]))
    storm(addresses, connect_and_close)


def freeze_subscribers(addresses):
    held = [sp.open_connection(addresses["events"], 20, sp.SUB, sp.PUB) for _ in range(HELD)]
    while held:
        time.sleep(1)


ABUSES = {
    "half a handshake": (hold, begin_handshake),
    "half a frame": (hold, begin_frame),
    "never reading": (never_read,),
    "connect and close": (storm, connect_and_close),
    "connect and reset": (storm, connect_and_reset),
    "pipeline and vanish": (storm, pipeline_and_vanish),
    "too many connections": (too_many_connections,),
    "frozen subscribers": (freeze_subscribers,),
    "HTTP": (storm, speak_http),
    "TLS": (storm, speak_tls),
}


@contextlib.contextmanager
def abused(addresses, name):
    abuse, *arguments = ABUSES[name]
    abuser = multiprocessing.get_context("fork").Process(target=abuse, args=[addresses, *arguments], daemon=True)
    abuser.start()
    try:
        yield
        if not abuser.is_alive():
            raise SystemExit(f"{name}: the abuser ended by itself")
    finally:
        abuser.kill()
        abuser.join()


# The judge. ---------------------------------------------------------------------


def spend(client, seconds):
    """The good client's calls of so much time, after a moment to get into it."""
    time.sleep(min(0.5, seconds / 5))
    begun = time.monotonic()
    time.sleep(seconds)
    return client.between(begun)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=5, help="of each turn (default 5)")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ABUSES))
    given = options.parse_args()
    names = given.names or list(ABUSES)
    quiet, beside = {name: [] for name in names}, {name: [] for name in names}
    violations = []
    with tempfile.TemporaryDirectory(prefix="abuse-") as folder:
        with serving.Server(pathlib.Path(folder) / "book.db", "--connections", CONNECTIONS_MAX, "--heartbeat-ms", 10,
                            "--send-timeout", 1000) as server:
            addresses = {"rpc": server.address, "events": server.events[0]}
            with good_client.GoodClient(server.address) as client:
                for _ in range(given.rounds):
                    for name in names:
                        quiet[name] += spend(client, given.seconds)
                        with abused(addresses, name):
                            beside[name] += spend(client, given.seconds)
    for name in names:
        calm, worse = (good_client.percentile_ms(calls, 99) for calls in (quiet[name], beside[name]))
        print(f"{name:22} p99 {calm:7.2f} ms without, {worse:7.2f} ms beside it ({worse / calm:.2f} times), "
              f"{len(beside[name])} calls", flush=True)
        if not beside[name]:
            violations.append(f"{name}: no call ended")
        if given.seconds >= JUDGED_SECONDS and worse > max(RATIO_MAX * calm, MS_MAX):
            violations.append(f"{name}: p99 grew from {calm:.2f} to {worse:.2f} ms")
    violations += client.wrong + [f"refused with {code}" for code in client.refused()]
    for violation in violations:
        print(f"VIOLATION: {violation}")
    print(f"{len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
