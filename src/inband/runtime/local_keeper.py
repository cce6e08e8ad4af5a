"""Keeps a bridge's own interface as it is configured, against programs that manage links and people who mistype.

What the kernel says is compared with what is wanted a moment later, so that a program that takes three things away at
once is answered once. How often is ``switch.restoring``'s. An interface that is administratively down is left alone:
it gets everything back when it is up (``LocalPort.link_changed``).

Invariant: only what the configuration names is put back: an interface without address and gateway there is the
system's to configure, and keeps its MAC address and MTU only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import assert_never

from inband.errors import InbandError
from inband.host import interfaces, keeping
from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    NeighbourChanged,
    NextHopFound,
    Resynchronised,
    RoutesChanged,
)
from inband.host.state import KernelState
from inband.runtime.link_managers import culprits
from inband.runtime.local_port import LocalPort, smallest_mtu
from inband.switch.config import BridgeConfig, IpInterface
from inband.switch.restoring import AGAIN_S, Restoring

log = logging.getLogger(__name__)

# From the first thing that is taken to the answer.
SETTLING_S = 0.05


class LocalKeeper:
    """One bridge's. ``look`` compares and puts back; ``host_event`` has it done when something may be missing."""

    def __init__(
        self, local: LocalPort, config: BridgeConfig, kernel: KernelState, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._local = local
        self._config = config
        self._kernel = kernel
        self._loop = loop
        self._restoring: dict[str, Restoring] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._default_route_changed = False
        self._link_local: set[IpInterface] = set()
        self._networks_changed: set[IpInterface] = set()  # addresses to whose networks a route came, changed or went
        self._mtu: int | None = None
        self._dhcp_lost = False
        self._restarting: asyncio.Task[None] | None = None

    def configure(self, config: BridgeConfig) -> None:
        """Keep it like this from now on."""
        self._config = config
        self._look_at(self._loop.time() + SETTLING_S)

    def close(self) -> None:
        """Leave it alone."""
        for planned in (self._timer, self._restarting):
            if planned is not None:
                planned.cancel()

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """The kernel said something: perhaps something is missing now."""
        pair = self._local.pair
        match event:
            case LinkChanged(index=index, name=name):
                concerns_us = index in (pair.index, pair.inner_index) or name in self._config.ports
            case AddressChanged(index=index):
                concerns_us = index == pair.index
                self._note_address(event)
            case RoutesChanged(destination=destination):
                changed = {each for each in self._config.addresses if each.network == destination}
                self._networks_changed |= changed
                concerns_us = self._config.gateway is not None or bool(changed)
                self._default_route_changed |= destination is not None and destination.prefixlen == 0
            case Resynchronised():
                concerns_us = True
            case LinkRemoved() | NeighbourChanged() | NextHopFound():
                concerns_us = False
            case _:
                assert_never(event)
        if concerns_us:
            self._look_at(self._loop.time() + SETTLING_S)

    def look(self) -> None:
        """Put back what is missing, unless that was done too often: then later."""
        self._timer = None
        link = self._kernel.link(self._local.pair.index)
        if link is None:
            return
        self._try("its ends", self._put_back_ends)
        self._try("its MAC address", self._put_back_mac)
        self._try("its MTU", self._put_back_mtu)
        if link.up:
            self._try("its addresses", self._put_back_addresses)
            self._try("its networks", self._put_back_networks)
            self._try("its gateway", self._put_back_gateway)
            self._try("its lease", self._put_back_lease)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _try(self, kind: str, put_back: Callable[[], list[str]]) -> None:
        """Do it, and say it, unless it was done too often: then later."""
        now, name = self._loop.time(), self._config.name
        restoring = self._restoring.setdefault(kind, Restoring())
        due = restoring.next_deadline(now)
        if due > now:
            self._look_at(due)
            return
        try:
            done = put_back()
        except InbandError as error:
            restoring.restored(now)
            log.warning("bridge %s: %s cannot be put back: %s", name, kind, error)
            return
        if done:
            ending = f"; too often, so not again for up to {AGAIN_S:.0f} s" if restoring.restored(now) else ""
            text = f"bridge {name}: taken from it and put back: {', '.join(done)}; {culprits()}{ending}"
            log.warning("%s", text, extra={"cause": f"restored {name} {kind} {ending}"})

    def _look_at(self, when: float) -> None:
        if self._timer is not None and self._timer.when() > when:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(when, self.look)

    def _note_address(self, event: AddressChanged) -> None:
        if event.index != self._local.pair.index:
            return
        interface = interfaces.interface_of(event.address, event.prefix_length)
        if event.present and event.address.is_link_local and not event.tentative:
            self._link_local.add(interface)
        is_leased = event.address.version in self._local.has_dhcp and interface not in self._config.addresses
        if not event.present and is_leased and not event.address.is_link_local:
            self._dhcp_lost = True

    # --- kind by kind: each puts back what is missing and names it; raises InbandError ----------------------------

    def _put_back_ends(self) -> list[str]:
        pair = self._local.pair
        outer, inner = self._kernel.link(pair.index), self._kernel.link(pair.inner_index)
        is_right = outer and inner and (outer.name, inner.name, inner.up) == (pair.outer, pair.inner, True)
        is_free = outer and inner and (outer.master, inner.master, outer.arps) == (0, 0, True)
        return [] if is_right and is_free else keeping.put_back_ends(pair)

    def _put_back_mac(self) -> list[str]:
        link = self._kernel.link(self._local.pair.index)
        if link is None or link.mac == self._local.mac:
            return []
        self._local.restore_mac()
        return [f"MAC address {self._local.mac}"]

    def _put_back_mtu(self) -> list[str]:
        """The smallest of the ports'; when that is another one now, it is followed, and nothing was taken."""
        before, pair = self._mtu, self._local.pair
        self._mtu = smallest_mtu(self._kernel, self._config.outside_ports) or before
        links = (self._kernel.link(index) for index in (pair.index, pair.inner_index))
        if self._mtu is None or {link.mtu for link in links if link is not None} == {self._mtu}:
            return []
        keeping.set_mtu(pair, self._mtu)
        return [f"MTU {self._mtu}"] if self._mtu == before else []

    def _put_back_addresses(self) -> list[str]:
        wanted = [*self._config.addresses, *(self._link_local if self._config.addresses else ())]
        present = self._present()
        missing = [address for address in wanted if address not in present]
        if missing:
            interfaces.set_addresses(self._local.pair.outer, missing)
        return [f"address {address}" for address in missing]

    def _put_back_networks(self) -> list[str]:
        changed, self._networks_changed = self._networks_changed, set()
        ours = changed.intersection(self._config.addresses, self._present())
        return [f"route to {network}" for network in keeping.restore_networks(self._local.pair, ours)]

    def _put_back_gateway(self) -> list[str]:
        was_touched, self._default_route_changed = self._default_route_changed, False
        gateway = self._config.gateway
        if gateway is None or not keeping.restore_gateway(self._local.pair, gateway, was_touched=was_touched):
            return []
        return [f"gateway {gateway}"]

    def _put_back_lease(self) -> list[str]:
        lost, self._dhcp_lost = self._dhcp_lost, False
        versions = {address.version for address in self._present() if not address.ip.is_link_local}
        is_busy = self._restarting is not None and not self._restarting.done()
        if not lost or is_busy or not self._local.has_dhcp - versions:
            return []
        self._restarting = self._loop.create_task(self._local.restart_dhcp())
        return ["the address of its DHCP lease"]

    def _present(self) -> set[IpInterface]:
        addresses = self._kernel.addresses_of(self._local.pair.index)
        return {interfaces.interface_of(each.address, each.prefix_length) for each in addresses}
