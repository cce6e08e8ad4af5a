"""A kernel for a bridge that has none: it never answers, and says what a test or a benchmark has it say."""

from __future__ import annotations

from inband.bridge.bridge import Bridge
from inband.host.events import HostEvent
from inband.host.state import KernelState
from inband.switch.managed_bridge import ManagedBridge
from inband.vocabulary.addresses import IpAddress


class SilentHost:
    """Implements ``host.state.Host``. ``asked`` are the addresses whose next hops were asked for."""

    def __init__(self) -> None:
        self.state = KernelState()
        self.asked: list[IpAddress] = []

    def look_up_next_hop(self, destination: IpAddress) -> None:
        """Nothing else comes of it."""
        self.asked.append(destination)

    def solicit(self, index: int, address: IpAddress) -> None:
        """Nothing comes of it."""

    def say(self, bridge: Bridge | ManagedBridge, event: HostEvent) -> None:
        """Have something happen, and a bridge hear of it."""
        self.state.note(event)
        bridge.host_event(event)
