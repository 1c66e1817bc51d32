"""A stand-in for the server: a REP peer that answers what a test tells it to.

    with FakeServer(answer) as server:
        subprocess.run([bin, "call", "--address", server.address, ...])

answer(request) gets each Request and returns a Reply; it runs on a thread of
the server. Requests are kept in server.requests.
"""

import socket
import threading

import sp


class FakeServer:
    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.connections = []
        self.thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        # shutdown wakes the thread that waits in accept; close alone does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            with peer:
                peer.sendall(sp.handshake(sp.REP))
                sp.read_exactly(peer, 8)
                while True:
                    body = sp.read_frame(peer, self.address)
                    request = sp.messages().Request.FromString(body[4:])
                    self.requests.append(request)
                    reply = self.answer(request)
                    peer.sendall(sp.frame(self.address, body[:4] + reply.SerializeToString()))
        except OSError:
            return
