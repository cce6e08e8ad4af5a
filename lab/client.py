"""An OpenFlow 1.3 client of the laboratory's own: it has a switch carry out many messages and waits for the barrier.

It reads while it sends, so that neither side waits for the other, and answers ECHO, so that it is not given up while
the switch is busy with what it asked for.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from pathlib import Path
from types import TracebackType

from lab import messages as of

_HEADER = struct.Struct("!BBHI")
_BARRIER_XID = 0xBA44


class Client:
    """A client of a management socket; a context manager that hangs up. ``errors`` counts what was refused."""

    def __init__(self, path: Path, timeout_s: float = 600.0) -> None:
        self.errors = 0
        self._timeout_s = timeout_s
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self._input = bytearray()
        self._output = bytearray(of.hello(of.V13))
        self._is_done = False

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def carry_out(self, messages: bytes) -> float:
        """Send messages and a barrier; return the seconds until its reply.

        Raises TimeoutError when there is none in time, ConnectionError when the switch hangs up.
        """
        start, self._is_done = time.monotonic(), False
        left = memoryview(bytes(self._output) + messages + of.barrier_request(_BARRIER_XID))
        self._output.clear()
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while not self._is_done:
                if time.monotonic() - start > self._timeout_s:
                    raise TimeoutError("no BARRIER_REPLY")
                left = self._turn(selector, left)
        return time.monotonic() - start

    def _turn(self, selector: selectors.BaseSelector, left: memoryview) -> memoryview:
        for _, events in selector.select(1.0):
            if events & selectors.EVENT_WRITE and left:
                left = left[self._socket.send(left[: 1 << 18]) :]
            if events & selectors.EVENT_READ:
                self._read()
        if not left and self._output:
            left = memoryview(bytes(self._output))
            self._output.clear()
        selector.modify(self._socket, selectors.EVENT_READ | (selectors.EVENT_WRITE if left else 0))
        return left

    def _read(self) -> None:
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the switch hung up")
        self._input += data
        while len(self._input) >= _HEADER.size:
            version, kind, length, xid = _HEADER.unpack_from(self._input)
            if len(self._input) < length:
                return
            body = bytes(self._input[_HEADER.size : length])
            del self._input[:length]
            self._take(version, kind, xid, body)

    def _take(self, version: int, kind: int, xid: int, body: bytes) -> None:
        match kind:
            case of.ECHO_REQUEST:
                self._output += of.message(version, of.ECHO_REPLY, xid, body)
            case of.ERROR:
                self.errors += 1
            case of.BARRIER_REPLY if xid == _BARRIER_XID:
                self._is_done = True


def fillers(count: int) -> bytes:
    """Return FLOW_MODs that add so many different flows."""
    first = of.filler(of.V13, 1, 0)
    at = first.rindex(b"\x02\x00\x00\x00\x00\x00") + 2  # where its number is: dl_dst is 02:00 and the number
    whole = bytearray(first * count)
    for number in range(count):
        struct.pack_into("!I", whole, number * len(first) + at, number)
    return bytes(whole)
