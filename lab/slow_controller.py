"""A controller on a slow line: `python -m lab.slow_controller PORT BYTES`, so many bytes read each second.

It says HELLO and nothing else. What is sent to it waits in the sender's memory; it keeps little in its own.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time

from lab import messages as of

READ_S = 0.1
_ROOM = 4096
"""SO_RCVBUF: the kernel must not read on its behalf."""


def main(port: int, rate: int) -> None:
    """Serve one switch after the other until the process is ended."""
    with socket.create_server(("0.0.0.0", port)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        print("listening", flush=True)
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(of.hello(of.V13))
                while connection.recv(max(1, int(rate * READ_S))):
                    time.sleep(READ_S)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
