"""The program loaded ahead of the bridges that need it.

The kernel's verifier takes a tenth of a second for it. A switch that starts, has no bridge yet, or has several to make,
has that done in a thread, while nothing waits for it.

Invariant: one object at most is loaded and not taken; ``expect`` without bridges and ``close`` leave none.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from inband.datapath.ebpf.loading import Loaded, is_complete, load, version_dir
from inband.errors import HostError


class Spare:
    """A program that no bridge has yet."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "inband-spare")
        self._expected: list[Path | None] = []
        self._loading: Future[Loaded] | None = None

    def expect(self, bridges: Sequence[Path | None]) -> None:
        """Bridges with these directories of pins will come soon, in this order. Without any: give back what is there.

        None is a bridge of which no process has left anything.
        """
        self._expected = [version_dir(each) if each is not None else None for each in bridges]
        if bridges:
            self._prepare()
        else:
            self._drop()

    def take(self, pins: Path | None) -> Loaded | None:
        """What is loaded for a bridge with pins there, which is the caller's now; None: load it yourself."""
        loading, self._loading = self._loading, None
        del self._expected[:1]
        if loading is None:
            return None
        found = _result(loading)
        if found is not None and found.pins != (pins if pins is not None and is_complete(pins) else None):
            found.object.close()  # another bridge came than the one that was expected
            found = None
        if self._expected:
            self._prepare()
        return found

    def close(self) -> None:
        """Give everything back."""
        self._drop()
        self._thread.shutdown()

    def _prepare(self) -> None:
        if self._loading is None:
            self._loading = self._thread.submit(load, self._expected[0])

    def _drop(self) -> None:
        loading, self._loading = self._loading, None
        if loading is not None and not loading.cancel():
            found = _result(loading)
            if found is not None:
                found.object.close()


def _result(loading: Future[Loaded]) -> Loaded | None:
    """What was loaded; None when it could not be: who loads it again hears why."""
    with suppress(HostError, OSError):
        return loading.result()
    return None
