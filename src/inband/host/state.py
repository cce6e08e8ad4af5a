"""The kernel as the rest of the switch sees it: what it has said so far, and what it can be asked.

Interfaces, addresses and neighbours are kept in ``KernelState`` and nowhere else. Whoever speaks for the kernel (the
watcher of a real one, the simulated one) notes each event there and then delivers it; whoever needs to know how things
are asks there. Routes are not kept: where a packet would go only the kernel can say (``Host.look_up_next_hop``).

After lost messages the kernel is asked for everything again, between ``begin_dump`` and ``end_dump``. What it does not
mention is gone, and gets the event that was lost.

Invariants: an answer is what the last event said; nothing is concluded from other events (the kernel itself says what
goes with an interface). The cost of an event does not depend on how much is known.
Pure: no socket, no time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol, assert_never

from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    NeighbourChanged,
    Resynchronised,
    RoutesChanged,
)
from inband.vocabulary.addresses import IpAddress, Mac

_AddressKey = tuple[IpAddress, int]
_NeighbourKey = tuple[int, IpAddress]
_Key = int | _NeighbourKey | tuple[int, _AddressKey]
"""A link, a neighbour, an address."""


class KernelState:
    """Links, addresses and neighbours by the event that spoke of them last."""

    def __init__(self) -> None:
        self._links: dict[int, LinkChanged] = {}
        self._names: dict[str, int] = {}
        self._addresses: dict[int, dict[_AddressKey, AddressChanged]] = {}
        self._neighbours: dict[_NeighbourKey, tuple[NeighbourChanged, int]] = {}
        self._unmentioned: dict[_Key, None] = {}  # in the dump under way
        self.local_ports: set[int] = set()
        """The interfaces that are local ports of bridges; the bridges say so, not the kernel."""

    # --- questions ----------------------------------------------------------------------------------------------

    @property
    def links(self) -> Collection[LinkChanged]:
        """Every interface."""
        return self._links.values()

    def link(self, index: int) -> LinkChanged | None:
        """The interface with this index, if the kernel has one."""
        return self._links.get(index)

    def link_named(self, name: str) -> LinkChanged | None:
        """The interface of this name, if the kernel has one."""
        index = self._names.get(name)
        return None if index is None else self._links[index]

    @property
    def addresses(self) -> Iterator[AddressChanged]:
        """Every address of every interface."""
        for addresses in self._addresses.values():
            yield from addresses.values()

    def addresses_of(self, index: int) -> Collection[AddressChanged]:
        """An interface's addresses, each with its prefix length, tentative ones included."""
        return self._addresses.get(index, {}).values()

    def about(self, index: int) -> Iterator[HostEvent]:
        """Events that tell everything of an interface again, but its neighbours."""
        link = self._links.get(index)
        if link is not None:
            yield link
        yield from tuple(self.addresses_of(index))

    def mac_of(self, index: int, address: IpAddress) -> Mac | None:
        """A neighbour's MAC address, None while the kernel has none."""
        known = self._neighbours.get((index, address))
        return None if known is None else known[0].mac or None

    def neighbour_state(self, index: int, address: IpAddress) -> int:
        """NUD_* of a neighbour entry (linux/neighbour.h), 0 where there is none or the kernel does not say."""
        known = self._neighbours.get((index, address))
        return 0 if known is None else known[1]

    # --- events -------------------------------------------------------------------------------------------------

    def note(self, event: HostEvent, neighbour_state: int | None = None) -> None:
        """Take an event into account; with a neighbour's comes its state (NUD_*, 0: there is no entry any more).

        A kernel that has no such states gives none: then there is an entry while there is a MAC address.
        """
        match event:
            case NeighbourChanged():
                self._note_neighbour(event, neighbour_state)
            case LinkChanged():
                self._note_link(event)
            case LinkRemoved():
                self._forget_link(event.index)
            case AddressChanged():
                self._note_address(event)
            case RoutesChanged() | Resynchronised():
                pass
            case _:
                assert_never(event)

    def begin_dump(self) -> None:
        """From now on the kernel tells everything again."""
        self._unmentioned = dict.fromkeys((*self._neighbours, *self._links))
        self._unmentioned.update(((index, key), None) for index, keys in self._addresses.items() for key in keys)

    def end_dump(self) -> list[HostEvent]:
        """The removals of what was not mentioned since ``begin_dump``, to be noted: neighbours first, links last."""
        unmentioned, self._unmentioned = self._unmentioned, {}
        neighbours: list[HostEvent] = []
        addresses: list[HostEvent] = []
        links: list[HostEvent] = []
        for key in unmentioned:
            if isinstance(key, int):
                links.append(LinkRemoved(key, self._links[key].name))
            elif isinstance(key[1], tuple):
                addresses.append(AddressChanged(key[0], *key[1], present=False))
            else:
                neighbours.append(NeighbourChanged(key[0], key[1], None, confirmed=False))
        return neighbours + addresses + links

    def _note_link(self, event: LinkChanged) -> None:
        index = event.index
        if self._names.get(event.name) != index:
            self._forget_link(index)
            self._names[event.name] = index
        self._links[index] = event
        self._unmentioned.pop(index, None)

    def _forget_link(self, index: int) -> None:
        link = self._links.pop(index, None)
        if link is not None and self._names.get(link.name) == index:  # another may have its name by now
            del self._names[link.name]
        self._unmentioned.pop(index, None)

    def _note_address(self, event: AddressChanged) -> None:
        key = (event.address, event.prefix_length)
        addresses = self._addresses.setdefault(event.index, {})
        if event.present:
            addresses[key] = event
        else:
            addresses.pop(key, None)
        if not addresses:
            del self._addresses[event.index]
        self._unmentioned.pop((event.index, key), None)

    def _note_neighbour(self, event: NeighbourChanged, state: int | None) -> None:
        key = (event.index, event.address)
        is_there = event.mac is not None if state is None else state != 0
        if is_there:
            self._neighbours[key] = (event, state or 0)
        else:
            self._neighbours.pop(key, None)
        if self._unmentioned:
            self._unmentioned.pop(key, None)


class Host(Protocol):
    """The kernel, as the runtime and the simulator's fake offer it. All calls return at once."""

    @property
    def state(self) -> KernelState:
        """What it has said so far."""

    def look_up_next_hop(self, destination: IpAddress) -> None:
        """Ask where the kernel would send a packet; the answer comes as NextHopFound."""

    def solicit(self, index: int, address: IpAddress) -> None:
        """Make the kernel resolve a neighbour now (NTF_USE); the answer comes as NeighbourChanged."""
