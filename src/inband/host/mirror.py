"""What the kernel told us so far, so that after lost messages we can tell what is gone.

Everything known carries the number of the dump in which it was last seen. A full dump marks what is still there;
what it did not mark is gone, and gets the removal event that was lost. Events that arrive during the dump mark too.
Pure: no socket, no time. Not a database: nobody asks it questions but the watcher.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from inband.host.events import AddressChanged, HostEvent, LinkChanged, LinkRemoved, NeighbourChanged
from inband.vocabulary.addresses import IpAddress


@dataclass(slots=True)
class Mirror:
    """Links, addresses and neighbours by identity, each with the event that would take it away."""

    _generation: int = 0
    _known: dict[Hashable, tuple[int, HostEvent]] = field(default_factory=dict)
    _links: dict[int, LinkChanged] = field(default_factory=dict)
    _states: dict[tuple[int, IpAddress], int] = field(default_factory=dict)

    def begin_dump(self) -> None:
        """From now on count what is seen as there."""
        self._generation += 1

    def end_dump(self) -> list[HostEvent]:
        """Forget what was not seen since ``begin_dump``; gives its removals, neighbours first, links last."""
        gone = [event for generation, event in self._known.values() if generation != self._generation]
        gone.sort(key=_removal_order)
        for event in gone:
            self.note(event)
        return gone

    def note(self, event: HostEvent, neighbour_state: int = 0) -> None:
        """Take an event into account; ``neighbour_state`` is NUD_* for a NeighbourChanged (0: there is no entry)."""
        match event:
            case LinkChanged():
                self._links[event.index] = event
                self._mark(("link", event.index), LinkRemoved(event.index, event.name))
            case LinkRemoved():
                self._links.pop(event.index, None)
                self._known.pop(("link", event.index), None)
            case AddressChanged():
                key = ("address", event.index, event.address, event.prefix_length)
                if event.present:
                    self._mark(key, AddressChanged(event.index, event.address, event.prefix_length, present=False))
                else:
                    self._known.pop(key, None)
            case NeighbourChanged():
                self._note_neighbour(event, neighbour_state)
            case _:
                pass

    def link(self, index: int) -> LinkChanged | None:
        """The interface with this index, if the kernel has one."""
        return self._links.get(index)

    def neighbour_state(self, index: int, address: IpAddress) -> int:
        """NUD_* of a neighbour entry, 0 when there is none."""
        return self._states.get((index, address), 0)

    def _note_neighbour(self, event: NeighbourChanged, state: int) -> None:
        key = (event.index, event.address)
        if state:
            self._states[key] = state
            self._mark(key, NeighbourChanged(event.index, event.address, None, confirmed=False))
        else:
            self._states.pop(key, None)
            self._known.pop(key, None)

    def _mark(self, key: Hashable, removal: HostEvent) -> None:
        self._known[key] = (self._generation, removal)


def _removal_order(event: HostEvent) -> int:
    return 2 if isinstance(event, LinkRemoved) else 1 if isinstance(event, AddressChanged) else 0
