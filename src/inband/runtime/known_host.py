"""What the kernel has said so far, for bridges that come later: links, addresses and resolved neighbours."""

from __future__ import annotations

from collections.abc import Iterator

from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    NeighbourChanged,
    NextHopFound,
)
from inband.vocabulary.addresses import IpAddress


class KnownHost:
    """The sum of all events. ``links`` are by the kernel's index and only to be read."""

    def __init__(self) -> None:
        self.links: dict[int, LinkChanged] = {}
        self._addresses: dict[tuple[int, IpAddress], AddressChanged] = {}
        self._neighbours: dict[tuple[int, IpAddress], NeighbourChanged] = {}

    def note(self, event: HostEvent | NextHopFound) -> None:
        """Take an event into account."""
        match event:
            case LinkChanged():
                self.links[event.index] = event
            case LinkRemoved():
                self.links.pop(event.index, None)
            case AddressChanged(present=True):
                self._addresses[event.index, event.address] = event
            case AddressChanged():
                self._addresses.pop((event.index, event.address), None)
            case NeighbourChanged(mac=None):
                self._neighbours.pop((event.index, event.address), None)
            case NeighbourChanged():
                self._neighbours[event.index, event.address] = event
            case _:
                pass

    def __iter__(self) -> Iterator[HostEvent]:
        """Events that tell it all again."""
        yield from self.links.values()
        yield from self._addresses.values()
        yield from self._neighbours.values()
