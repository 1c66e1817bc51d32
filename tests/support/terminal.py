"""What a program prints to a terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import termios

import serving


def lines(command, width, **environment):
    """Runs a command, which succeeds, on a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, width, 0, 0))
    try:
        with subprocess.Popen(command, stdout=theirs,
                              env=serving.environment(**{"TERM": "xterm", **environment})) as process:
            os.close(theirs)
            text = b""
            while True:
                try:
                    piece = os.read(ours, 65536)
                except OSError:  # how Linux tells that the other side is closed
                    break
                if not piece:
                    break
                text += piece
            assert process.wait() == 0
    finally:
        os.close(ours)
    return text.decode().replace("\r\n", "\n").splitlines()
