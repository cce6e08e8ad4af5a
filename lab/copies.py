"""Whether broadcasts of control go round: each frame to all is counted at every end of every link, by who sent it.

A frame may be sent anew, so what is right is told by the links of its sender: nowhere else may it have come more often
than over the busiest of those.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lab.fabric import Wire as Link
from lab.graph import GraphScene
from lab.journal import until
from lab.net import Lab, Namespace
from lab.wire import Wire

_HELLO = 0x88B5
# Classic BPF (linux/filter.h): the group bit of the destination is set, and the Ethernet type is not the hello's.
_GROUP_BUT_HELLO = (
    (0x30, 0, 0, 0),  # ldb [0]
    (0x45, 0, 3, 1),  # jset #1
    (0x28, 0, 0, 12),  # ldh [12]
    (0x15, 1, 0, _HELLO),  # jeq
    (0x06, 0, 0, 65535),  # ret
    (0x06, 0, 0, 0),
)
_PAUSE_S = 0.1
TAKEN_S = 5.0


@dataclass(frozen=True, slots=True)
class End:
    """What arrives at one end of a link comes from ``sender``."""

    sender: str
    wire: Wire


class Captures:
    """Takes what is sent to all on each link, from its making on; `close` ends it."""

    def __init__(self, lab: Lab, links: Sequence[Link], macs: Mapping[bytes, str]) -> None:
        """``macs``: who has an address from which control is sent, by the name of its namespace."""
        self._macs = macs
        self._ends = [
            End(sender.short, lab.hold(Wire(machine, interface, _GROUP_BUT_HELLO)))
            for (one, one_port), (two, two_port) in (link.ends for link in links)
            for sender, machine, interface in ((one, two, two_port), (two, one, one_port))
        ]
        self._seen: dict[bytes, Counter[int]] = defaultdict(Counter)
        self._ended = threading.Event()
        self._taking = threading.Thread(target=self._take, daemon=True)
        self._taking.start()

    def close(self) -> None:
        """Take no more."""
        self._ended.set()
        self._taking.join()

    def wait(self, frames: int) -> None:
        """Return when so many of control have been taken, or after TAKEN_S."""
        until(lambda: self.frames >= frames, TAKEN_S)

    @property
    def frames(self) -> int:
        """How many frames of control have been taken so far, on all links."""
        return sum(sum(counts.values()) for frame, counts in list(self._seen.items()) if frame[6:12] in self._macs)

    def copies(self) -> int:
        """How many came over some link, in one direction, though their sender had not sent them so often."""
        too_many = 0
        for frame, counts in self._seen.items():
            sender = self._macs.get(frame[6:12])
            if sender is None:
                continue
            sent = max((n for at, n in counts.items() if self._ends[at].sender == sender), default=0)
            too_many += sum(max(0, n - sent) for at, n in counts.items() if self._ends[at].sender != sender)
        return too_many

    def _take(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            for at, end in enumerate(self._ends):
                for frame in end.wire.take(0.0):
                    self._seen[frame][at] += 1
            self._ended.wait(max(0.0, _PAUSE_S - (time.monotonic() - began)))


@contextmanager
def captured(stage: GraphScene) -> Iterator[Captures]:
    """Take what switches and hosts of a network send to all, from now on."""
    macs = {_mac_of(stage.machines[name], "br0"): name for name in stage.switches}
    macs |= {_mac_of(stage.machines[name], "p1"): name for name in stage.graph.hosts}
    captures = Captures(stage.machines[stage.graph.hosts[0]].lab, stage.wires, macs)
    try:
        yield captures
    finally:
        captures.close()


def _mac_of(machine: Namespace, interface: str) -> bytes:
    return bytes.fromhex(machine.mac(interface).replace(":", ""))
