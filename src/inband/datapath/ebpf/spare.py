"""The program loaded ahead of the bridges that need it.

The kernel's verifier takes a tenth of a second for it. A switch that starts, has no bridge yet, or has several to make,
has that done in threads, one for each processor: the kernel verifies several programs at once.

Invariant: AHEAD objects at most are loaded and not taken, never more than bridges are expected; ``expect`` without
bridges and ``close`` leave none.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from inband.datapath.ebpf.loading import Loaded, is_complete, load, version_dir
from inband.errors import HostError

# Each has its maps: 17 MB of the kernel's memory that no bridge uses yet.
AHEAD = min(4, os.cpu_count() or 1)


class Spare:
    """Programs that no bridge has yet, in the order in which bridges are expected."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AHEAD, "inband-spare")
        self._expected: deque[Path | None] = deque()
        self._loading: deque[Future[Loaded]] = deque()

    def expect(self, bridges: Sequence[Path | None]) -> None:
        """Bridges with these directories of pins will come soon, in this order. Without any: give back what is there.

        None is a bridge of which no process has left anything.
        """
        self._expected = deque(version_dir(each) if each is not None else None for each in bridges)
        self._prepare()

    async def loaded(self) -> None:
        """Return when what the next bridge will take is loaded, or could not be: to take it waits no more."""
        if self._loading:
            first = asyncio.wrap_future(self._loading[0])
            await asyncio.wait([first])
            first.exception()  # who loads it again hears why

    def take(self, pins: Path | None) -> Loaded | None:
        """What is loaded for a bridge with pins there, which is the caller's now; None: load it yourself."""
        loading = self._loading.popleft() if self._loading else None
        if self._expected:
            self._expected.popleft()
        self._prepare()
        found = None if loading is None else _result(loading)
        if found is not None and found.pins != (pins if pins is not None and is_complete(pins) else None):
            found.object.close()  # another bridge came than the one that was expected
            found = None
        return found

    def close(self) -> None:
        """Give everything back."""
        self.expect([])
        self._threads.shutdown()

    def _prepare(self) -> None:
        """Load as many as may be loaded, and give back what is too much."""
        while len(self._loading) > len(self._expected):
            _drop(self._loading.pop())
        for pins in list(self._expected)[len(self._loading) : AHEAD]:
            self._loading.append(self._threads.submit(load, pins))


def _drop(loading: Future[Loaded]) -> None:
    if not loading.cancel():
        found = _result(loading)
        if found is not None:
            found.object.close()


def _result(loading: Future[Loaded]) -> Loaded | None:
    """What was loaded; None when it could not be: who loads it again hears why."""
    with suppress(HostError, OSError):
        return loading.result()
    return None
