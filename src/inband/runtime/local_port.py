"""The bridge's own interface while the switch runs: made or adopted, its MAC and addresses, and DHCP clients on it.

Invariants: the lock on its name is held before anything is touched, so nothing of a live switch is adopted;
what this made is removed by ``stop``, wherever ``make`` or ``apply`` came to an end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from inband.host import interfaces, moving
from inband.host.dhcp_client import DhcpClient, client_versions
from inband.host.events import AddressChanged, LinkChanged
from inband.host.interfaces import DEFAULT_MTU
from inband.host.requests import take_all
from inband.host.state import KernelState
from inband.runtime.dns_servers import LEASE_SUFFIX
from inband.runtime.interface_locks import InterfaceLocks
from inband.runtime.rundir import DHCP_DIRECTORY
from inband.switch.config import BridgeConfig
from inband.vocabulary.addresses import IpAddress, Mac

_LOG = logging.getLogger(__name__)


class LocalPort:
    """The interface named like a bridge. ``pair`` is there after ``make``, and ``mac``, which is what it shall have.

    ``duplicates`` are addresses that it should have and another host has. ``adopted_leases`` are the IP versions of
    which it keeps a lease because the interface that it adopted had one.
    DHCP clients leave the DNS servers of their leases in ``directory``, the run directory, and have their files in it
    (see ``runtime.dns_servers``, ``runtime.rundir``).
    """

    def __init__(self, name: str, locks: InterfaceLocks, directory: Path) -> None:
        self.pair: interfaces.LocalPair
        self.mac: Mac
        self._name = name
        self._locks = locks
        self._directory = directory
        self._dhcp: dict[int, DhcpClient] = {}  # by IP version
        self._is_locked = False
        self.duplicates: set[IpAddress] = set()
        self._was_up = False
        self._went_down = False
        self.adopted_leases: frozenset[int] = frozenset()
        self._addresses: frozenset[interfaces.IpInterface] = frozenset()  # that were given, or may have been
        self._gateway: IpAddress | None = None
        self._has_all_of: tuple[object, ...] = _own(BridgeConfig(name))

    def make(self, config: BridgeConfig, kernel: KernelState, remembered: Mac | None = None) -> None:
        """Make the interface, or adopt what a switch that died has left. Raises InbandError.

        Without one in ``config`` it gets the MAC of the interface that it adopts, whose neighbours know that, else the
        one that it had before (``remembered``), also when cards were replaced since; the first time the lowest of its
        ports'.
        """
        self._locks.take(self._name)
        self._is_locked = True
        adopted = None if config.adopt is None else kernel.link_named(config.adopt)
        mac = config.mac or (adopted.mac if adopted is not None else None) or remembered
        if mac is None and kernel.link_named(self._name) is None:
            links = (kernel.link_named(port) for port in config.outside_ports)
            usable = (link.mac for link in links if link is not None)
            mac = min((one for one in usable if one and not one.is_multicast), default=None)
        self.pair = interfaces.ensure_local(self._name, mac, smallest_mtu(kernel, config.outside_ports) or DEFAULT_MTU)
        self.mac = self.pair.mac
        link = kernel.link(self.pair.index)
        self._was_up = link is not None and link.up
        for address in kernel.addresses_of(self.pair.index):
            self.address_changed(address)

    def make_again(self) -> None:
        """Make it anew, as it was removed. Raises InbandError."""
        self._was_up = self._went_down = False
        self.pair = interfaces.ensure_local(self._name, self.mac)

    def link_changed(self, event: LinkChanged) -> bool:
        """The kernel says what the interface is like; returns whether it is up again after it was down.

        The kernel has then forgotten its routes, and its IPv6 addresses where ``enable_ipv6`` did not reach.
        """
        self._mac_changed(event.mac)
        is_back = event.up and self._went_down
        self._went_down = not event.up and self._was_up
        self._was_up |= event.up
        return is_back

    def _mac_changed(self, mac: Mac) -> None:
        self.pair = replace(self.pair, mac=mac)

    def address_changed(self, event: AddressChanged) -> None:
        """The kernel says something about an address of the interface."""
        if event.duplicate:
            text = "another host has %s, so %s cannot use it: give one of them another address"
            _LOG.error(text, event.address, self._name)
            self.duplicates.add(event.address)
        elif not event.tentative:
            self.duplicates.discard(event.address)

    def set_mac(self, mac: Mac | None) -> None:
        """Give it this MAC address; None leaves the one it has. Raises InbandError."""
        if mac is not None and mac not in (self.mac, self.pair.mac):
            interfaces.set_mac(self._name, mac)
            self.mac = mac
            self._mac_changed(mac)

    def restore_mac(self) -> None:
        """Give it its own MAC address again. Raises InbandError."""
        interfaces.set_mac(self.pair.outer, self.mac)

    def adopt(
        self,
        interface: str,
        become_port: Callable[[], None],
        gateway: IpAddress | None,
        remembered: frozenset[int] = frozenset(),
    ) -> None:
        """Take over the addresses and routes of an interface, which becomes a port meanwhile. Raises InbandError.

        A DHCP client there is others', and is ended: ``set_addresses`` then starts one of ours. So it does for
        ``remembered``, what an earlier run did this for, while an address here or there still says that it is leased.
        """
        names = (interface, self.pair.outer)
        still_leased = {each.version for name in names for each in moving.belongings_of(name).leased}
        self.adopted_leases |= client_versions(interface) | (remembered & still_leased)
        routes = moving.give(interface, self.pair.outer)
        become_port()
        moving.take(interface, self.pair.outer, routes, gateway=gateway)

    def give_back(self, interface: str) -> None:
        """Give an interface that is no port any more the addresses and routes of this one. Raises InbandError."""
        self.adopted_leases = frozenset()
        moving.take(self.pair.outer, interface, moving.give(self.pair.outer, interface))

    @property
    def has_dhcp(self) -> frozenset[int]:
        """The IP versions that a DHCP client is there for."""
        return frozenset(self._dhcp)

    def has_addresses_of(self, config: BridgeConfig) -> bool:
        """Whether it was given all that ``set_addresses`` would give, and nothing else."""
        return self._has_all_of == _own(config)

    async def set_addresses(self, config: BridgeConfig) -> None:
        """Give it the addresses, gateway and DHCP clients of ``config`` instead of those of an earlier call.

        Raises InbandError, when all that can be had of it is there.
        """
        self._has_all_of = ()
        if config.dhcpv6 or any(each.version == 6 for each in config.addresses):
            interfaces.enable_ipv6(self._name)
        configured = {version for version, wanted in ((4, config.dhcp), (6, config.dhcpv6)) if wanted}
        try:
            take_all(lambda: self._give_addresses(config.addresses), lambda: self._give_gateway(config.gateway))
        finally:
            await self._run_dhcp(configured | self.adopted_leases)
        self._has_all_of = _own(config)

    def _give_addresses(self, addresses: tuple[interfaces.IpInterface, ...]) -> None:
        if addresses or self._addresses:  # else they are the system's, which are not ours to touch
            before = self._addresses
            self._addresses |= {*addresses}
            interfaces.set_addresses(self._name, addresses, previous=before)
            self._addresses = frozenset(addresses)

    def _give_gateway(self, gateway: IpAddress | None) -> None:
        if gateway is not None or self._gateway is not None:
            interfaces.set_gateway(self._name, gateway, previous=self._gateway)
            self._gateway = gateway

    async def _run_dhcp(self, versions: Iterable[int]) -> None:
        wanted = list(versions)
        for version in [each for each in self._dhcp if each not in wanted]:
            await self._dhcp.pop(version).stop()
        for version in {4, 6}.difference(wanted):
            self._dns_file(version).unlink(missing_ok=True)
        for version in wanted:
            if version not in self._dhcp:
                files = self._directory / DHCP_DIRECTORY / f"{self._name}.{version}"
                client = DhcpClient(self._name, files, version, self._dns_file(version))
                client.start()
                self._dhcp[version] = client

    def _dns_file(self, version: int) -> Path:
        return self._directory / f"{self._name}.{version}{LEASE_SUFFIX}"

    async def restart_dhcp(self) -> None:
        """Have the DHCP clients look at the interface that is there now. Raises InbandError."""
        versions = list(self._dhcp)
        await self._run_dhcp([])
        await self._run_dhcp(versions)

    async def stop(self) -> None:
        """Remove the interface with its addresses. Raises HostError."""
        await self._run_dhcp([])
        if self._is_locked:
            try:
                interfaces.remove_local(self._name)
            finally:
                self._locks.release(self._name)
                self._is_locked = False


def _own(config: BridgeConfig) -> tuple[object, ...]:
    return config.addresses, config.gateway, config.dhcp, config.dhcpv6


def smallest_mtu(kernel: KernelState, ports: Iterable[str]) -> int | None:
    """The MTU, in bytes, that every port takes; None while there is no port."""
    links = (kernel.link_named(port) for port in ports)
    return min((link.mtu for link in links if link is not None), default=None)
