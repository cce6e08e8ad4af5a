"""Strangers who hold places: those who connect and never come to the point, and those who take for ever to say it.

    python -m lab.attack.strangers knock RATE PLAIN TLS    so many connections a second, by turns to the two targets
    python -m lab.attack.strangers dribble SENDERS TARGET...    senders of a byte each 0.6 s, shared out among targets

Who knocks at PLAIN hangs up at once; at TLS a quarter hang up before the handshake, the others begin it and wait.
A dribbler has a message of 65,535 bytes to say, every other one after a proper HELLO. All call again when they are hung
up on.
"""

from __future__ import annotations

import itertools
import random
import selectors
import socket
import struct
import time
from dataclasses import dataclass

from lab import messages as of
from lab.attack import peers

TICK_S = 0.01
BYTE_S = 0.6
PATIENCE_S = 30.0
"""How long a caller waits in the middle of its handshake for the switch to hang up."""
_HALF_HANDSHAKE = bytes.fromhex("16030102000100") + bytes(40)
"""A TLS record that promises 512 bytes of ClientHello, and a few of them."""
_LONG = struct.pack("!BBHI", of.V13, of.FLOW_MOD, 0xFFFF, 7)


class Knocking:
    """Calls at a steady rate."""

    def __init__(self, rate: int, plain: str, tls: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._rate = rate
        self._kinds = itertools.cycle((plain, tls, plain, tls, plain, tls, plain, ""))
        self._plain, self._tls = plain, tls
        self._start = time.monotonic()
        self._called = self._no_room = self._hung_up = 0

    def turn(self) -> None:
        """Make the calls that are due, and see who was hung up on."""
        due = int((time.monotonic() - self._start) * self._rate)
        for _ in range(min(due - self._called, self._rate)):
            self._call(next(self._kinds))
        end = time.monotonic() + TICK_S
        while (left := end - time.monotonic()) > 0:
            for key, events in self._selector.select(left):
                assert isinstance(key.fileobj, socket.socket)
                self._serve(key.fileobj, events, began_at=key.data)
        self._give_up()

    def totals(self) -> dict[str, int]:
        """Return how many calls there were, how many could not even begin, and how many the switch ended."""
        return {"called": self._called, "no_room": self._no_room, "hung_up": self._hung_up}

    def _call(self, kind: str) -> None:
        self._called += 1
        sock = peers.begin_opening(kind or self._tls)
        if sock is None:
            self._no_room += 1
        elif kind == self._tls:
            self._selector.register(sock, selectors.EVENT_WRITE, time.monotonic())
        else:  # gone before it is accepted, or soon after
            sock.close()

    def _serve(self, sock: socket.socket, events: int, *, began_at: float) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                sock.send(_HALF_HANDSHAKE)
                self._selector.modify(sock, selectors.EVENT_READ, began_at)
            elif not sock.recv(4096):
                raise ConnectionResetError
        except BlockingIOError:
            pass
        except OSError:
            self._hung_up += 1
            peers.drop(self._selector, sock)

    def _give_up(self) -> None:
        now = time.monotonic()
        waiting = itertools.islice(self._selector.get_map().values(), 64)  # the oldest come first
        for key in [each for each in waiting if each.data < now - PATIENCE_S]:
            assert isinstance(key.fileobj, socket.socket)
            peers.drop(self._selector, key.fileobj)


@dataclass(eq=False, slots=True)
class Dribbler:
    """One slow sender. ``rest`` is what it has still to say."""

    target: str
    greets: bool
    due: float
    sock: socket.socket | None = None
    rest: bytes = b""


class Dribbling:
    """Slow senders."""

    def __init__(self, senders: int, targets: list[str]) -> None:
        start = time.monotonic()
        self._all = [
            Dribbler(target, number // len(targets) % 2 == 0, start + random.random() * BYTE_S)
            for number, target in zip(range(senders), itertools.cycle(targets), strict=False)
        ]
        self._called = self._hung_up = 0

    def turn(self) -> None:
        """Let each client whose time has come send a byte."""
        now = time.monotonic()
        for each in self._all:
            if each.due <= now:
                each.due = now + BYTE_S
                self._speak(each)
        time.sleep(TICK_S)

    def totals(self) -> dict[str, int]:
        """Return how many connections there were, and how many the switch ended."""
        return {"called": self._called, "hung_up": self._hung_up}

    def _speak(self, each: Dribbler) -> None:
        if each.sock is None:
            each.sock = peers.begin_opening(each.target)
            each.rest = (of.hello(of.V13) if each.greets else b"") + _LONG
            self._called += each.sock is not None
            return
        is_greeting = len(each.rest) > len(_LONG)
        data, each.rest = (each.rest[:-8], each.rest[-8:]) if is_greeting else (each.rest[:1] or b"\0", each.rest[1:])
        try:
            each.sock.send(data)
            if not each.sock.recv(65536):
                raise ConnectionResetError
        except BlockingIOError:
            pass
        except OSError:
            each.sock.close()
            each.sock = None
            self._hung_up += 1


def main(role: str, number: str, *targets: str) -> None:
    """Be a stranger until the end."""
    strangers = Knocking(int(number), *targets) if role == "knock" else Dribbling(int(number), list(targets))
    peers.attack(strangers.turn, strangers.totals)


if __name__ == "__main__":
    main(*peers.arguments())
