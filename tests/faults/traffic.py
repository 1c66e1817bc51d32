"""Clients that drive every kind of write, keep account of each request and its
answer, and after each failure of the server send again, under the same request
id, what had none.

    with Traffic(seed, violations) as traffic:
        traffic.server_is_up(addresses, events)    # again after each restart
        ...
        traffic.drain()                            # returns when all is answered
    traffic.requests()                             # what the audit compares

Nothing here depends on time: a client that lost its connection waits to be told
of the next server.
"""

import hashlib
import random
import threading
from collections import Counter

import book
import sp

CLIENTS = 8
DEPTH = 8  # requests in flight of one client
REPLAYS = 0.03  # share of requests that were answered before
DOUBLES = 0.03  # share of requests that are sent twice at once
PATTERNS = 8
SYMBOLS = ["BTC-USD", "ETH-USD", "BTC/USD"]

LONG, SHORT = book.types_pb2.DIRECTION_LONG, book.types_pb2.DIRECTION_SHORT


class Request:
    """One request: what is sent, what is expected of it, and its first answer."""

    __slots__ = ("kind", "method", "id", "message", "facts", "body", "reply")

    def __init__(self, kind, method, id, message, facts, client):
        self.kind, self.method, self.id, self.message, self.facts = kind, method, id, message, facts
        self.body = book.envelope(method, message, id, metadata=client.metadata).SerializeToString()
        self.reply = None

    @property
    def response(self):
        return book.method(self.method).output_type._concrete_class.FromString(
            book.rpc_pb2.Reply.FromString(self.reply).payload)

    def __str__(self):
        return f"{self.kind} {self.id.hex()}"


class World:
    """Where the server is now; clients wait here while it is down."""

    def __init__(self):
        self.changed = threading.Condition()
        self.generation = 0
        self.addresses, self.events = {}, None
        self.draining = self.over = False

    def up(self, addresses, events):
        with self.changed:
            self.generation += 1
            self.addresses, self.events = addresses, events
            self.changed.notify_all()

    def end(self):
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def next(self, generation):
        """The generation after this one, or None when it is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.over or self.generation > generation)
            return None if self.over else self.generation


class Peer(threading.Thread):
    """Connects to one server after the other until all is over."""

    def __init__(self, name, world, violations):
        super().__init__(name=name, daemon=True)
        self.world, self.violations = world, violations

    def run(self):
        generation = 0
        while (generation := self.world.next(generation)) is not None:
            try:
                if self.serve(self.world):
                    return
            except OSError:
                pass  # it is gone; the next one will come
            except Exception as defect:  # of a reply, or of this program: never silent
                self.violations.append(f"{self.name}: {type(defect).__name__}: {defect}")
                return


class Client(Peer):
    def __init__(self, number, seed, world, violations):
        super().__init__(f"client {number}", world, violations)
        self.number = number
        self.random = random.Random(f"{seed}/{number}")
        # Pairs of clients use the same request ids, each under its own name.
        self.ids = random.Random(f"{seed}/ids/{number // 2}")
        self.metadata = [("client-id", f"bot-{number}".encode())] if number else []
        self.transport = "ipc" if number % 2 else "tcp"
        self.unanswered = {}  # id: Request
        self.answered = []
        self.fresh, self.open = [], []  # signals without a trade, with an open one
        self.models = Models(number)
        self.counts = Counter()

    def serve(self, world):
        in_flight = {}
        with sp.Connection(world.addresses[self.transport], timeout=120) as connection:
            again = list(self.unanswered.values())
            self.random.shuffle(again)
            for request in again:
                self.counts["retried"] += 1
                in_flight[connection.send(request.body)] = request
            while True:
                while len(in_flight) < DEPTH and not world.draining:
                    for request in self.choose():
                        in_flight[connection.send(request.body)] = request
                if not in_flight:
                    return True
                number, reply = connection.receive()
                self.account(in_flight.pop(number), reply)

    def choose(self):
        """What to send next."""
        if self.answered and self.random.random() < REPLAYS:
            self.counts["replayed"] += 1
            return [self.random.choice(self.answered[-500:])]
        request = self.make()
        self.unanswered[request.id] = request
        if self.random.random() < DOUBLES:
            self.counts["doubled"] += 1
            return [request, request]
        return [request]

    def account(self, request, reply):
        if request.reply is not None:
            if reply != request.reply:
                self.violations.append(f"{self.name}: {request} was answered {show(request.reply)} first and "
                                       f"{show(reply)} later")
            return
        del self.unanswered[request.id]
        request.reply = reply
        code = book.rpc_pb2.Reply.FromString(reply).code
        if code != book.OK:
            self.violations.append(f"{self.name}: {request} was answered {show(reply)}")
            return
        self.counts["acknowledged"] += 1
        self.answered.append(request)
        AFTER.get(request.kind, lambda *_: None)(self, request)

    def make(self):
        kinds = [kind for kind, (_, possible, _) in KINDS.items() if possible(self)]
        kind = self.random.choices(kinds, [KINDS[kind][0] for kind in kinds])[0]
        method, fields, facts = KINDS[kind][2](self)
        id = self.ids.randbytes(16)
        return Request(kind, method, id, book.request_of(method, **fields), facts, self)

    def word(self):
        return f"{self.number}-{self.random.randbytes(8).hex()}"


class Models:
    """The models of a client, of a type of their own: one promotion at a time, so
    that their order is known."""

    def __init__(self, number):
        self.type = f"type-{number}"
        self.versions = []
        self.promoted = None
        self.promoting = False


def show(reply):
    message = book.rpc_pb2.Reply.FromString(reply)
    return f"{book.rpc_pb2.Code.Name(message.code)} {message.message or message.payload.hex()[:80]}"


def pattern_hash(number):
    return hashlib.sha256(f"pattern {number}".encode()).hexdigest()


# How each kind of request is made: its method, the fields of the message, and what
# the audit needs to know besides.

def a_signal(client, **given):
    direction = client.random.choice([LONG, SHORT])
    side = 1 if direction == LONG else -1
    stop = {"sl_price": 100.0 - 10 * side, "tp_price": 100.0 + 20 * side} if client.random.random() < 0.5 else {}
    return book.signal(**{
        "notes": client.word(), "symbol": client.random.choice(SYMBOLS), "direction": direction,
        "confidence": client.random.random(), "entry_price": 100.0, **stop, **given})


def create_signal(client):
    return "SignalService.CreateSignal", {"signal": a_signal(client)}, None


def batch_signals(client):
    signals = [a_signal(client) for _ in range(3)]
    signals.insert(1, a_signal(client, confidence=7.0))
    return "SignalService.BatchCreateSignals", {"signals": signals}, None


def create_theory(client):
    signal = client.random.choice(client.fresh or client.open)
    record = book.theory_record(signal.id, theory_name=client.word(), contribution_score=client.random.random())
    return "TheoryService.CreateTheoryRecord", {"theory_record": record}, None


def terms(client, signal):
    return {"signal_id": signal.id, "entry_price": client.random.uniform(90, 110),
            "quantity": client.random.choice([0.5, 1.0, 3.0]), "fees_usd": client.random.choice([0.0, 0.25]),
            "entry_time": book.timestamp(1_700_000_000 + client.random.randrange(1_000_000))}


def ending(client, signal):
    return {"signal_id": signal.id, "exit_price": client.random.uniform(90, 110),
            "exit_time": book.timestamp(1_702_000_000 + client.random.randrange(1_000_000)),
            "exit_reason": client.random.choice(["tp_hit", "sl_hit", "manual"]),
            "fees_usd": client.random.choice([0.0, 0.5]),
            "pattern_hashes": map(pattern_hash, client.random.sample(range(PATTERNS), client.random.randrange(3)))}


def take(client, signals):
    return signals.pop(client.random.randrange(len(signals)))


def open_trade(client):
    signal = take(client, client.fresh)
    return "TradeService.OpenTrade", terms(client, signal), signal


def close_trade(client):
    signal = take(client, client.open)
    return "TradeService.CloseTrade", ending(client, signal), None


def batch_close(client):
    trades = [ending(client, take(client, client.open)) for _ in range(2)]
    return "TradeService.BatchCloseTrades", {"trades": trades}, None


def record_trade(client):
    signal = take(client, client.fresh)
    fields = {"open": terms(client, signal), "close": ending(client, signal)}
    return "TradeService.RecordTrade", fields, None


def record_outcome(client):
    number, won = client.random.randrange(PATTERNS), client.random.random() < 0.5
    fields = {"pattern_hash": pattern_hash(number), "won": won}
    return "PatternService.RecordPatternOutcome", fields, None


def deploy(client):
    model = book.model_deployment(version=client.word(), model_type=client.models.type)
    return "ModelService.CreateModelDeployment", {"model_deployment": model}, None


def promote(client):
    client.models.promoting = True
    version = client.random.choice([v for v in client.models.versions if v != client.models.promoted])
    return "ModelService.PromoteModel", {"version": version}, None


def always(client):
    return True


KINDS = {
    "create signal": (20, always, create_signal),
    "create signals": (4, always, batch_signals),
    "create theory": (10, lambda c: c.fresh or c.open, create_theory),
    "open trade": (25, lambda c: c.fresh, open_trade),
    "close trade": (25, lambda c: c.open, close_trade),
    "close trades": (4, lambda c: len(c.open) > 1, batch_close),
    "record trade": (4, lambda c: c.fresh, record_trade),
    "record outcome": (10, always, record_outcome),
    "deploy": (1, always, deploy),
    "promote": (4, lambda c: len(c.models.versions) > 1 and not c.models.promoting, promote),
}


# What a client may do after an answer.

def signal_created(client, request):
    created = book.signal_pb2.Signal()
    created.CopyFrom(request.message.signal)
    created.id = request.response.id
    client.fresh.append(created)


def signals_created(client, request):
    for asked, result in zip(request.message.signals, request.response.results):
        if not result.HasField("status"):
            created = book.signal_pb2.Signal()
            created.CopyFrom(asked)
            created.id = result.id
            client.fresh.append(created)


def trade_opened(client, request):
    client.open.append(request.facts)


def deployed(client, request):
    client.models.versions.append(request.message.model_deployment.version)


def promoted(client, request):
    client.models.promoted = request.message.version
    client.models.promoting = False


AFTER = {"create signal": signal_created, "create signals": signals_created, "open trade": trade_opened,
         "deploy": deployed, "promote": promoted}


class Witness:
    """The events that anybody has seen; the same number is the same event forever."""

    def __init__(self, violations):
        self.seen = {}
        self.lock = threading.Lock()
        self.violations = violations

    def saw(self, who, event):
        body = event.SerializeToString(deterministic=True)
        with self.lock:
            if self.seen.setdefault(event.sequence, body) != body:
                self.violations.append(f"{who}: event {event.sequence} is another one than was seen before")


class Listener(Peer):
    """Takes what is published."""

    def __init__(self, world, violations, witness):
        super().__init__("listener", world, violations)
        self.witness = witness
        self.armed, self.fired = None, threading.Event()

    def at_next_event(self, action, seconds):
        """Calls action as soon as an event comes; returns when it has, or after so
        many seconds, and then it is not called any more."""
        self.fired.clear()
        self.armed = action
        self.fired.wait(seconds)
        self.armed = None

    def serve(self, world):
        last = None
        with sp.Subscriber(world.events, timeout=120) as subscriber:
            while not world.over:
                topic, body = subscriber.receive()
                if topic == "heartbeat/":
                    continue
                action, self.armed = self.armed, None
                if action:
                    action()
                    self.fired.set()
                event = book.event_pb2.Event.FromString(body)
                if last is not None and event.sequence <= last:
                    self.violations.append(f"event {event.sequence} was published after {last}")
                last = event.sequence
                self.witness.saw("listener", event)


class Follower(Peer):
    """Reads the events one after the other, over all restarts."""

    def __init__(self, world, violations, witness):
        super().__init__("follower", world, violations)
        self.witness = witness
        self.last = 0

    def serve(self, world):
        with book.Client(world.addresses["tcp"], timeout=120) as client:
            while not (world.draining and world.over):
                page = client.ok("EventService.ListEvents", after_sequence=self.last, page_size=1000, wait_ms=500)
                for event in page.events:
                    if event.sequence != self.last + 1:
                        self.violations.append(f"follower: after event {self.last} came {event.sequence}")
                    self.last = event.sequence
                    self.witness.saw("follower", event)


class Traffic:
    def __init__(self, seed, violations):
        self.world = World()
        self.witness = Witness(violations)
        self.clients = [Client(number, seed, self.world, violations) for number in range(CLIENTS)]
        self.listener = Listener(self.world, violations, self.witness)
        self.follower = Follower(self.world, violations, self.witness)

    def __enter__(self):
        for peer in [*self.clients, self.listener, self.follower]:
            peer.start()
        return self

    def __exit__(self, *_):
        self.world.end()

    def server_is_up(self, addresses, events):
        self.world.up(addresses, events)

    def drain(self):
        """Sends nothing new, and returns when every request has its answer."""
        self.world.draining = True
        for client in self.clients:
            client.join(timeout=120)
            if client.is_alive():
                raise TimeoutError(f"{client.name} still waits for {[*map(str, client.unanswered.values())]}")

    def requests(self):
        return [(client, request) for client in self.clients for request in client.answered]

    def counts(self):
        return sum((client.counts for client in self.clients), Counter())
