"""By which ports much control traffic passes, as far as cached decisions count it.

Where it does, a link that dies silently is to be noticed before TCP has lost much (``fabric.link``). Counters come in
rounds of a second (``housekeeping``), so a window has two of them at least.

Invariant: work per megaflow that was used is constant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from inband.datapath.base import Megaflow
from inband.flow.actions import Output
from inband.flow.ports import PortNo
from inband.vocabulary.instant import Instant

WINDOW_S = 2.5
# Packets in a window, both directions together: 20 a second. Five switches whose controllers send echoes each second.
BUSY = 50


class ControlTraffic:
    """The control traffic of one bridge."""

    def __init__(self) -> None:
        self._counted: Counter[PortNo] = Counter()
        self._busy: frozenset[PortNo] | None = None
        self._began: Instant | None = None

    def count(self, megaflow: Megaflow, packets: int) -> None:
        """A megaflow has moved some more packets."""
        if megaflow.translation.hidden is None:
            return
        in_port = megaflow.match.get("in_port")
        if in_port is not None:
            self._counted[PortNo(in_port)] += packets
        for action in megaflow.actions:
            if isinstance(action, Output):
                self._counted[action.port] += packets

    def quiet(self, ports: Iterable[PortNo], now: Instant) -> frozenset[PortNo]:
        """Of these the ones by which little has passed lately; until that is known none."""
        if self._began is None:
            self._began = now
        elif now - self._began >= WINDOW_S:
            self._busy = self._passed_much()
            self._counted.clear()
            self._began = now
        busy = self._busy
        return frozenset() if busy is None else frozenset(ports) - busy - self._passed_much()

    def _passed_much(self) -> frozenset[PortNo]:
        return frozenset(port for port, packets in self._counted.items() if packets >= BUSY)
