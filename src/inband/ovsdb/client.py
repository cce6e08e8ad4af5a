"""The connection to the database server: Open vSwitch's own library (its IDL) in a thread of its own.

Why a thread: the library takes a message whole. That of a thousand ports is a third of a second of its work, in which
the event loop would serve no channel. The thread gives the interpreter away after each half millisecond
(``runtime.process``), so channels go on meanwhile. It knows no bridge: snapshots go out, column values come in.

Why the server's schema: it is asked for on each connection, so tables and columns that this server does not have are
left out, and newer ones do no harm. The library of Debian 12 (3.1) is enough; nothing of later ones is used.

Invariants: the thread never touches what belongs to the loop; it ends soon after ``stop``. Whatever the server
sends, this connection at most is given up, and made again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inband.errors import HostError
from inband.ovsdb.replica import Replica, connect, load_library
from inband.ovsdb.rows import Snapshot
from inband.ovsdb.wanted import RowKey

log = logging.getLogger(__name__)

Values = Mapping[RowKey, Mapping[str, Any]]
"""Values to write, by row and column."""

# Between attempts to reach the server: it is on this machine, or behind a relay on it.
AGAIN_S = 1.0
# A connection that is made but gives no rows within this time is given up: a relay that waits for its cluster says so
# only by being silent.
FIRST_ROWS_S = 10.0


@dataclass(frozen=True, slots=True)
class Connected:
    """The rows of a server, at first and after each change."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no connection, and why."""

    reason: str


Event = Connected | Lost


class Client:
    """Follows one database. ``tell`` is called from the thread, with each event."""

    def __init__(self, remote: str, tell: Callable[[Event], None], connect: Callable[[str], Replica] = connect) -> None:
        """Raises UsageError when the library is not installed."""
        load_library()
        self._remote = remote
        self._tell = tell
        self._connect = connect
        self._writes: deque[Values] = deque()
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ovsdb", daemon=True)

    def start(self) -> None:
        """Connect, and go on until ``stop``."""
        self._thread.start()

    def write(self, values: Values) -> None:
        """Write soon. What cannot be written because the connection is lost is forgotten: write all at the next one."""
        self._writes.append(values)
        self._interrupt()

    def stop(self) -> None:
        """End the thread, once; what was to be written is written if that goes at once."""
        self._is_stopping.set()
        self._interrupt()
        self._thread.join(timeout=2.0)
        if not self._thread.is_alive():
            for descriptor in (self._wake, self._waker):
                os.close(descriptor)

    def _interrupt(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake
            os.write(self._waker, b"x")

    # --- in the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            try:
                self._follow()
            except HostError as error:
                self._lose(str(error))
            except Exception as error:  # the library raises anything for rubbish; the connection is made again
                log.debug("the library of the database raised", exc_info=True)
                self._lose(f"what it sent could not be read ({error!r})")

    def _lose(self, reason: str) -> None:
        self._writes.clear()
        self._tell(Lost(reason))
        self._is_stopping.wait(AGAIN_S)

    def _follow(self) -> None:
        """Connect, and follow until the connection is lost. Raises HostError."""
        replica = self._connect(self._remote)
        deadline = time.monotonic() + FIRST_ROWS_S
        try:
            while not self._is_stopping.is_set():
                snapshot = replica.run()
                if snapshot is not None:
                    self._tell(Connected(snapshot))
                if not replica.has_rows and time.monotonic() > deadline:
                    raise HostError("follow the database", f"{self._remote} accepts connections and sends no rows")
                self._write(replica)
                replica.wait(self._wake)
                self._drain()
            self._write(replica)
        finally:
            replica.close()

    def _write(self, replica: Replica) -> None:
        while self._writes and replica.is_idle:
            replica.write(self._writes.popleft())

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it was the server
            os.read(self._wake, 4096)
