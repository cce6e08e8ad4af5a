"""The control socket of a switch, ours or Open vSwitch's: JSON-RPC 1.0 on a unix stream, kept open between calls.

Kept open because a sampler asks a thousand times a second; starting a command for each would measure the command.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import TracebackType


class ControlError(Exception):
    """The switch refused a command, or closed the socket."""


class Control:
    """A client of one control socket; a context manager."""

    def __init__(self, path: Path, *, timeout_s: float = 10.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._buffer = ""
        self._decoder = json.JSONDecoder()

    def __enter__(self) -> Control:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def call(self, method: str, *params: str) -> str:
        """Send one command, wait for its answer and return the text; raise ControlError when it was refused."""
        request = {"method": method, "params": list(params), "id": 1}
        self._socket.sendall(json.dumps(request).encode())
        answer = self._answer()
        if answer.get("error") is not None:
            raise ControlError(f"{method} {' '.join(params)}: {str(answer['error']).rstrip()}")
        return str(answer["result"])

    def _answer(self) -> dict[str, object]:
        while True:
            try:
                answer, end = self._decoder.raw_decode(self._buffer)
            except ValueError:
                more = self._socket.recv(1 << 20)
                if not more:
                    raise ControlError("the switch closed the control socket") from None
                self._buffer += more.decode()
                continue
            self._buffer = self._buffer[end:].lstrip()
            assert isinstance(answer, dict)
            return answer
