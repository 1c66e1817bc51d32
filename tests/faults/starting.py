"""Kills a server that is just starting."""

import threading
import time

import serving


def kill_while_starting(server, delay, after=lambda: True):
    """Kills it so many seconds after its process began, or after after() was true
    from then on. True when it was not ready by then."""
    over = threading.Event()
    killer = threading.Thread(target=kill_later, args=(server, delay, after, over))
    killer.start()
    try:
        server.start()
    except serving.NotServing as ended:
        if ended.status != -9:
            raise
        return True
    finally:
        over.set()
        killer.join()
    server.kill()
    return False


def kill_later(server, delay, after, over):
    while not over.is_set() and (server.process is None or not after()):
        time.sleep(0.0001)
    process = server.process
    over.wait(delay)
    if process is not None:
        process.kill()
