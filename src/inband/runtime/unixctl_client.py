"""The other end of the control socket, blocking: what the commands use, and scripts that ask often.

Deliberately without asyncio and without the rest of the switch: a command's start-up time is what its user waits for.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from inband.errors import UsageError, WireError
from inband.switch.config import DEFAULT_RUN_DIR

RUN_DIR_VARIABLE = "INBAND_RUNDIR"
CONTROL_SOCKET = "inband.ctl"

# A dump of a million flows takes a while to write; a switch that says nothing for so long is stuck.
DEFAULT_TIMEOUT_S = 30.0


def find_run_dir(given: str | Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The run directory: what was given, else $INBAND_RUNDIR, else /run/inband."""
    return Path(given or environment.get(RUN_DIR_VARIABLE) or DEFAULT_RUN_DIR)


class UnixctlClient:
    """A connection that can carry many calls, one after the other. Use in a ``with`` statement."""

    def __init__(self, path: Path, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Connect; raises UsageError when no switch listens there or it may not be used."""
        self._path = path
        self._id = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise _no_connection(path, error) from None

    def __enter__(self) -> UnixctlClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def call(self, method: str, arguments: Sequence[str] = ()) -> str:
        """Run a command; raises UsageError with the switch's own words when it refuses, WireError when it is gone."""
        self._id += 1
        request = {"method": method, "params": list(arguments), "id": self._id}
        try:
            self._socket.sendall(json.dumps(request).encode())
            reply = self._receive()
        except TimeoutError:
            raise WireError(
                f"the switch at {self._path} does not answer: see its log, or whether it is stopped"
            ) from None
        except OSError as error:
            raise WireError(
                f"the switch at {self._path} went away during {method}: {error.strerror or error}"
            ) from None
        if reply.get("error") is not None:
            raise UsageError(str(reply["error"]).rstrip("\n"))
        return str(reply.get("result") or "")

    def _receive(self) -> dict[str, object]:
        """One reply. The end is found by trying: replies end in a brace, and few chunks of a long one do."""
        chunks: list[bytes] = []
        while True:
            chunk = self._socket.recv(1 << 20)
            if not chunk:
                raise ConnectionResetError(0, "it closed the connection")
            chunks.append(chunk)
            if not chunk.rstrip().endswith(b"}"):
                continue
            try:
                reply = json.loads(b"".join(chunks))
            except ValueError:
                continue
            if not isinstance(reply, dict):
                raise WireError(f"the switch at {self._path} answered with something else than JSON-RPC")
            return reply


def call(path: Path, method: str, arguments: Sequence[str] = (), timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
    """One command over a connection of its own. Errors as :class:`UnixctlClient` has them."""
    with UnixctlClient(path, timeout_s) as client:
        return client.call(method, arguments)


def _no_connection(path: Path, error: OSError) -> UsageError:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError | NotADirectoryError):
        return UsageError(
            f"no switch runs in {path.parent}: start one with `inband run`, or say with --run-dir where it runs"
        )
    if isinstance(error, PermissionError):
        return UsageError(f"may not use {path}: run this as the user that the switch runs as, usually root")
    return UsageError(f"cannot connect to {path}: {error.strerror or error}")
