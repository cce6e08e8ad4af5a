"""Neighbours' needs at work in one bridge: what this switch needs is told, and what neighbours need is let pass.

What this switch needs is what it is configured with (``controllers``) and the next hops by which its own controllers
are reached through LOCAL. What it does for neighbours is never told as its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address

from inband.bridge.megaflows import MegaflowCache
from inband.control.endpoints import Endpoint
from inband.control.engine import Engine
from inband.control.events import Event, NeighboursNeed
from inband.control.next_hop import HopKey
from inband.fabric.need import Need, NeedKind
from inband.fabric.needs import Word
from inband.pipeline.translate import Pipeline
from inband.vocabulary.addresses import IpAddress, Mac, address_key


class BridgeNeeds:
    """``control`` tells the in-band engine of this bridge."""

    def __init__(
        self, engine: Engine, pipeline: Pipeline, megaflows: MegaflowCache, control: Callable[[Event], None]
    ) -> None:
        self.controllers: tuple[Need, ...] = ()
        self.dns: tuple[Need, ...] = ()
        self.is_client = False
        """LOCAL has asked for its configuration."""
        self._engine, self._pipeline, self._megaflows, self._control = engine, pipeline, megaflows, control
        self._mac: Mac | None = None
        self._told: NeighboursNeed = NeighboursNeed()
        self._index: int | None = None
        self._hops: frozenset[HopKey] = frozenset()

    def have_changed(self, local_index: int | None) -> bool:
        """Whether next hops are others than when ``own`` was asked for the last time; LOCAL is this interface."""
        mac = self._engine.local_mac if self.is_client else None
        return self._engine.urgent_hops is not self._hops or (local_index, mac) != (self._index, self._mac)

    def own(self, local_index: int | None) -> tuple[Need, ...]:
        """What this switch needs, the most important first."""
        self._hops, self._index = self._engine.urgent_hops, local_index
        self._mac = self._engine.local_mac if self.is_client else None
        client = () if self._mac is None else (Need(NeedKind.CLIENT, (0, int(self._mac))),)
        hops = sorted(address_key(address) for index, address in self._hops if index == local_index)
        return (*client, *self.controllers, *self.dns, *(Need(NeedKind.NEXT_HOP, each) for each in hops))

    def hop_macs(self) -> Iterator[Mac]:
        """The MAC addresses of neighbours' next hops: by the way to one their control traffic passes."""
        for address in self._engine.neighbours_hops:
            hop = self._engine.hops.get(address_key(address))
            if hop is not None and hop.mac is not None:
                yield hop.mac

    def follow(self, in_force: Mapping[Need, Word]) -> None:
        """Neighbours need this."""
        endpoints = frozenset(Endpoint(_ip(need), need.port) for need in _of(NeedKind.CONTROLLER, in_force))
        hops = frozenset(_ip(need) for need in _of(NeedKind.NEXT_HOP, in_force))
        clients = {Mac(need.subject[1]): in_force[need].port for need in _of(NeedKind.CLIENT, in_force)}
        if clients != self._pipeline.clients.ports:
            self._pipeline.clients.ports = clients
            self._megaflows.everything_changed()
            self._megaflows.settle()
        servers = frozenset(_ip(need) for need in _of(NeedKind.SERVER, in_force))
        self._pipeline.set_neighbours_names(frozenset(need.subject[1] for need in _of(NeedKind.NAME, in_force)))
        told = NeighboursNeed(endpoints, hops, frozenset(clients), servers)
        if told != self._told:
            self._told = told
            self._control(told)


def _of(kind: NeedKind, in_force: Mapping[Need, Word]) -> Iterator[Need]:
    return (need for need in in_force if need.kind is kind)


def _ip(need: Need) -> IpAddress:
    version, number = need.subject
    return IPv4Address(number) if version == 4 else IPv6Address(number)
