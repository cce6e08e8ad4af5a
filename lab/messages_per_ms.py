"""A TCP session with a message each millisecond, echoed by the other end: how long the longest took.

`python -m lab.messages_per_ms serve ADDRESS PORT`, and at the other end `... call ADDRESS PORT SECONDS`, which prints
how many were sent and answered and the longest time in seconds.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

SIZE, INTERVAL_S, LAST_S = 8, 0.001, 3.0


def serve(address: str, port: int) -> None:
    """Echo to one caller."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family) as listening, listening.accept()[0] as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := caller.recv(65536):
            caller.sendall(data)


def call(address: str, port: int, seconds: float) -> None:
    """Send for so long, then wait for the last answers."""
    with socket.create_connection((address, port), timeout=5.0) as session:
        session.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session.settimeout(LAST_S)
        sent: list[float] = []
        took: list[float] = []
        reader = threading.Thread(target=_read, args=(session, sent, took))
        reader.start()
        begin = time.monotonic()
        while (now := time.monotonic()) < begin + seconds:
            sent.append(now)
            session.sendall(bytes(SIZE))
            time.sleep(max(0.0, begin + len(sent) * INTERVAL_S - time.monotonic()))
        session.shutdown(socket.SHUT_WR)
        reader.join()
    print(len(sent), len(took), max(took, default=0.0))


def _read(session: socket.socket, sent: list[float], took: list[float]) -> None:
    rest = 0
    try:
        while data := session.recv(65536):
            count, rest = divmod(rest + len(data), SIZE)
            took += [time.monotonic() - sent[len(took) + number] for number in range(count)]
    except OSError:
        return


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        call(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
