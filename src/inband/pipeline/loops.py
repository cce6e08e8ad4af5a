"""What NORMAL still floods from ports that are part of a loop outside this switch: a little, so that the rest lives.

A loop makes a storm of one broadcast. From a port on which a probe came back (``stp.loop_watch``) FLOODS_PER_S packets
a second are flooded; what is over is dropped, and that decision may be cached until the next second begins.
"""

from __future__ import annotations

from collections.abc import Iterable

from inband.flow.ports import PortNo

# Some hosts' ARP passes, and what comes round is no load.
FLOODS_PER_S = 20


class LoopLimits:
    """``left``, by port in a loop: how many packets may be flooded until ``refill``, which is each second.

    ``moves`` counts hosts that data showed on another port than before: the sign of a loop. In-band control's packets
    come round in any ring, and are no sign.
    """

    def __init__(self) -> None:
        self.moves = 0
        self.left: dict[PortNo, int] = {}

    def refill(self, ports: Iterable[PortNo]) -> None:
        """A second begins, with these ports in loops."""
        self.left = dict.fromkeys(ports, FLOODS_PER_S)

    def allows(self, port: PortNo) -> bool:
        """Whether one more packet may be flooded."""
        return self.left[port] > 0

    def spend(self, port: PortNo) -> bool:
        """Flood one packet, if it may be."""
        if self.left[port] <= 0:
            return False
        self.left[port] -= 1
        return True
