"""Which hello of a neighbour the program expects on each port, and which came last (``bpf/hello.h``).

Written and read through shared memory, a page with the ports' slots at a time: no call of the kernel each time.

Invariants: a port of which nothing is expected has its hellos come up; so it is after a start, for the map is new then.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from struct import Struct

from inband.datapath.base import HelloTaken
from inband.datapath.ebpf.layout import HELLO_BYTES, HELLO_WATCH
from inband.flow.ports import PortNo

_PER_PAGE = mmap.PAGESIZE // HELLO_WATCH.size
# Words of struct hello_watch.
_IS_ON, _OWN_SEQUENCE, _SEQUENCE = 16, 17, 18
# What the program writes: sequence, heard_sequence, heard_hold, taken, at_ns.
_LAST = Struct("=IIIIQ")


class KernelHellos:
    """Those of one program. ``slot_of`` says which slot a port has."""

    def __init__(self, descriptor: int, slot_of: Callable[[PortNo], int]) -> None:
        self._descriptor = descriptor
        self._slot_of = slot_of
        self._pages: dict[int, mmap.mmap] = {}
        self._words: dict[int, memoryview] = {}

    def expect(self, port: PortNo, frame: bytes, sequence: int, own_sequence: int) -> None:
        """As ``HelloWatch.expect``."""
        page, at = self._place(port)
        if not at:
            return
        self.ignore(port)  # the program may look at it now
        last = self.last(port)
        new = frame[:HELLO_BYTES], 0, own_sequence, sequence, 0, 0, last.taken, 0
        HELLO_WATCH.pack_into(self._pages[page], at, *new)
        self._words[page][at // 4 + _IS_ON] = 1

    def ignore(self, port: PortNo) -> None:
        """As ``HelloWatch.ignore``."""
        page, at = self._place(port)
        if at:
            self._words[page][at // 4 + _IS_ON] = 0

    def said(self, port: PortNo, own_sequence: int) -> None:
        """As ``HelloWatch.said``."""
        page, at = self._place(port)
        if at:
            self._words[page][at // 4 + _OWN_SEQUENCE] = own_sequence

    def last(self, port: PortNo) -> HelloTaken:
        """As ``HelloWatch.last``."""
        page, at = self._place(port)
        sequence, heard, hold, taken, at_ns = _LAST.unpack_from(self._pages[page], at + 4 * _SEQUENCE)
        return HelloTaken(sequence, heard, hold, taken, at_ns * 1e-9)

    def close(self) -> None:
        """Unmap it."""
        for words in self._words.values():
            words.release()
        for page in self._pages.values():
            page.close()
        self._words.clear()
        self._pages.clear()

    def _place(self, port: PortNo) -> tuple[int, int]:
        """Which page, and where on it; slot 0, which is no port's, is at the start of the first one."""
        page, number = divmod(self._slot_of(port), _PER_PAGE)
        if page not in self._pages:
            mapped = mmap.mmap(self._descriptor, mmap.PAGESIZE, offset=page * mmap.PAGESIZE)
            self._pages[page], self._words[page] = mapped, memoryview(mapped).cast("I")
        return page, number * HELLO_WATCH.size
