"""The program loaded ahead of the bridges that need it.

The kernel's verifier takes a tenth of a second for it. A switch that has no bridge yet, or several to make, has that
done in a thread, while nothing waits for it.

Invariant: one object at most is loaded and not taken; ``expect(0)`` and ``close`` leave none.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from inband.datapath.ebpf.libbpf import BpfObject
from inband.errors import HostError

PROGRAM = "fastpath"


class Spare:
    """A program that no bridge has yet."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "inband-spare")
        self._expected = 0
        self._loading: Future[tuple[BpfObject, int]] | None = None

    def expect(self, bridges: int) -> None:
        """So many bridges will come soon. 0: what is there is given back."""
        self._expected = bridges
        if bridges:
            self._prepare()
        else:
            self._drop()

    def take(self) -> tuple[BpfObject, int] | None:
        """An object with new maps and its program's descriptor, which are the caller's; None: load it yourself."""
        loading, self._loading = self._loading, None
        self._expected = max(0, self._expected - 1)
        if loading is None:
            return None
        try:
            found = loading.result()
        except HostError:  # who loads it again hears why
            return None
        if self._expected:
            self._prepare()
        return found

    def close(self) -> None:
        """Give everything back."""
        self._drop()
        self._thread.shutdown()

    def _prepare(self) -> None:
        if self._loading is None:
            self._loading = self._thread.submit(_load)

    def _drop(self) -> None:
        loading, self._loading = self._loading, None
        if loading is not None and not loading.cancel():
            with suppress(HostError):
                loading.result()[0].close()


def _load() -> tuple[BpfObject, int]:
    made = BpfObject()
    try:
        return made, made.load(PROGRAM)
    except BaseException:
        made.close()
        raise
