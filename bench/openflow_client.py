"""An OpenFlow 1.3 client of a management socket that is faster than what it measures: messages are made beforehand.

Blocking, one request at a time, no time limits but the socket's. It answers no echo: it stays for seconds.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from inband.openflow.codec import HEADER, encode
from inband.openflow.messages import BarrierRequest, Envelope, FlowMod, Hello, Message
from inband.openflow.multipart import FlowStatsRequest
from inband.vocabulary.openflow import OFP13, FlowModCommand

_SILENCE_S = 120.0
_HELLO, _ERROR, _MULTIPART_REPLY, _BARRIER_REPLY = 0, 1, 19, 21
_MULTIPART_FLAGS_AT = 10
_MORE = 1


class ClientError(Exception):
    """The switch answered with an ERROR, or hung up."""


class Client:
    """A connection whose HELLOs are exchanged; a context manager that hangs up."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SILENCE_S)
        self._socket.connect(str(path))
        self._input = bytearray()
        self._socket.sendall(message(Hello(frozenset({OFP13}))))
        self._read_until(_HELLO)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def carry_out(self, messages: bytes) -> float:
        """Send messages and a barrier; the seconds until its reply. Raises ClientError when one is refused."""
        start = time.perf_counter()
        self._socket.sendall(messages + message(BarrierRequest()))
        self._read_until(_BARRIER_REPLY)
        return time.perf_counter() - start

    def clear(self) -> None:
        """Delete every flow."""
        self.carry_out(message(FlowMod(FlowModCommand.DELETE, table_id=0xFF)))

    def dump(self) -> tuple[float, int]:
        """Ask for every flow: seconds until the last part of the answer, and its bytes."""
        start = time.perf_counter()
        self._socket.sendall(message(FlowStatsRequest()))
        size = 0
        for number, data in self._messages():
            if number == _MULTIPART_REPLY:
                size += len(data)
                if not data[_MULTIPART_FLAGS_AT + 1] & _MORE:
                    break
        return time.perf_counter() - start, size

    def _read_until(self, wanted: int) -> None:
        for number, _ in self._messages():
            if number == wanted:
                return

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        """Type and bytes of each message that comes; an ERROR raises."""
        while True:
            while len(self._input) >= HEADER.size:
                _, number, length, _ = HEADER.unpack_from(self._input)
                if len(self._input) < length:
                    break
                data = bytes(self._input[:length])
                del self._input[:length]
                if number == _ERROR:
                    raise ClientError(f"ERROR {data[8:12].hex()}")
                yield number, data
            received = self._socket.recv(1 << 18)
            if not received:
                raise ClientError("the switch hung up")
            self._input += received


def message(body: Message) -> bytes:
    """One message of OpenFlow 1.3."""
    return encode(Envelope(OFP13, 1, body))


def additions(flow_mods: Iterable[FlowMod]) -> bytes:
    """Many FLOW_MODs, one behind the other."""
    return b"".join(message(flow_mod) for flow_mod in flow_mods)
