"""Identifiers, priority vectors and times of a spanning tree (IEEE 802.1D-2004, 9.2, 17.6 and 17.18).

All are tuples that compare as the standard says: the lower one is better.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.vocabulary.addresses import Mac


class BridgeId(NamedTuple):
    """A bridge: 16 bits of priority and its MAC address (9.2.5)."""

    priority: int
    mac: Mac

    @property
    def number(self) -> int:
        """The eight octets as one number."""
        return self.priority << 48 | int(self.mac)

    @classmethod
    def of_number(cls, number: int) -> BridgeId:
        """The same from eight octets."""
        return cls(number >> 48, Mac(number & (1 << 48) - 1))

    def __str__(self) -> str:
        """As Open vSwitch writes it: four bits of priority, the other twelve, and the address."""
        return f"{self.priority >> 12:x}.{self.priority & 0xFFF:03x}.{self.mac:012x}"


def port_id(priority: int, number: int) -> int:
    """A port: four bits of priority (in steps of 16) above twelve of number (9.2.7)."""
    return priority << 8 | number


class PriorityVector(NamedTuple):
    """What a message, or a port, says of the way to the root (17.6): the lower vector is the better one."""

    root: BridgeId
    cost: int
    bridge: BridgeId
    port: int

    def comes_from_where(self, other: PriorityVector) -> bool:
        """Whether both were sent by the same port of the same bridge, whatever their priorities are."""
        return self.bridge.mac == other.bridge.mac and self.port & 0xFFF == other.port & 0xFFF


class Times(NamedTuple):
    """The timer parameters that a root gives its tree, in seconds (17.18.3)."""

    message_age: float = 0.0
    max_age: float = 20.0
    hello_time: float = 2.0
    forward_delay: float = 15.0

    @property
    def one_hop_on(self) -> Times:
        """The same behind one more bridge: the age is one second more, in whole seconds (17.21.25, c)."""
        return self._replace(message_age=float(int(self.message_age + 1.5)))


DEFAULT_TIMES = Times()
"""What a root says (table 17-1)."""
