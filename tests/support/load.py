"""Clients that write without pause, and keep account of what they were told."""

import contextlib
import threading
import uuid

import book


class Writer(threading.Thread):
    """Creates signals over one connection, some at a time. Each signal carries a
    word of its own in its notes.

    acknowledged  the words that were answered OK
    refused       {word: Reply} of other answers
    unanswered    {word: Request} of what was sent and never answered
    """

    def __init__(self, address, depth=8):
        super().__init__(daemon=True)
        self.address = address
        self.depth = depth
        self.acknowledged = []
        self.refused = {}
        self.unanswered = {}
        self.enough = threading.Event()
        self.answers = threading.Semaphore(0)

    def run(self):
        with contextlib.suppress(OSError), book.Client(self.address) as client:
            self.write(client)

    def write(self, client):
        waiting = {}
        while waiting or not self.enough.is_set():
            while len(waiting) < self.depth and not self.enough.is_set():
                word = uuid.uuid4().hex
                request = request_for(word)
                self.unanswered[word] = request
                waiting[client.send(request.SerializeToString())] = word
            received, body = client.receive()
            self.account(waiting.pop(received), book.rpc_pb2.Reply.FromString(body))
            self.answers.release()

    def account(self, word, reply):
        del self.unanswered[word]
        if reply.code == book.OK:
            self.acknowledged.append(word)
        else:
            self.refused[word] = reply


def request_for(word):
    message = book.request_of("SignalService.CreateSignal", signal=book.signal(notes=word))
    return book.envelope("SignalService.CreateSignal", message)


class Load:
    """Several writers, as long as the block lasts."""

    def __init__(self, address, writers=4, depth=8):
        self.writers = [Writer(address, depth) for _ in range(writers)]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, *_):
        for writer in self.writers:
            writer.enough.set()
        self.join()

    def wait_for(self, answers):
        """Returns when each writer has had so many more answers."""
        for writer in self.writers:
            for _ in range(answers):
                assert writer.answers.acquire(timeout=60), "no answer for a minute"

    def join(self):
        for writer in self.writers:
            writer.join(timeout=60)
            assert not writer.is_alive()

    @property
    def acknowledged(self):
        return [word for writer in self.writers for word in writer.acknowledged]

    @property
    def refused(self):
        return {word: reply for writer in self.writers for word, reply in writer.refused.items()}

    @property
    def unanswered(self):
        return {word: request for writer in self.writers for word, request in writer.unanswered.items()}


def stored_words(file):
    """How often each word is in the file."""
    return dict(file.query("SELECT notes, count(*) FROM signals GROUP BY notes"))
