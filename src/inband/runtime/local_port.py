"""The bridge's own interface while the switch runs: made or adopted, its MAC and addresses, and a DHCP client on it.

What must stay true: the claim on its name is held before anything is touched, so nothing of a live switch is adopted;
what this made is removed by ``stop``, wherever ``make`` or ``apply`` came to an end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from inband.host import interfaces
from inband.host.dhcp_client import DhcpClient
from inband.host.events import LinkChanged
from inband.packet.addresses import Mac
from inband.runtime.claims import Claims
from inband.runtime.config import BridgeConfig


class LocalPort:
    """The interface named like a bridge. ``pair`` is there after ``make``."""

    def __init__(self, name: str, claims: Claims) -> None:
        self.pair: interfaces.LocalPair
        self._name = name
        self._claims = claims
        self._dhcp: DhcpClient | None = None
        self._is_claimed = False

    def make(self, config: BridgeConfig, links: Iterable[LinkChanged]) -> None:
        """Make the interface, or adopt what a switch that died has left. Raises InbandError.

        A new one gets the lowest MAC among the bridge's ports, which is the same after the next start.
        """
        self._claims.take(self._name)
        self._is_claimed = True
        there = {link.name: link.mac for link in links}
        mac = config.mac
        if mac is None and self._name not in there:
            usable = (there.get(port) for port in config.ports)
            mac = min((one for one in usable if one and not one.is_multicast), default=None)
        self.pair = interfaces.ensure_local(self._name, mac)

    def make_again(self) -> None:
        """Make it anew, as somebody has removed it. Raises InbandError."""
        self.pair = interfaces.ensure_local(self._name, self.pair.mac)

    def mac_changed(self, mac: Mac) -> None:
        """The kernel says that the interface has another MAC address."""
        self.pair = replace(self.pair, mac=mac)

    def set_mac(self, mac: Mac | None) -> None:
        """Give it this MAC address; None leaves the one it has. Raises InbandError."""
        if mac is not None and mac != self.pair.mac:
            interfaces.set_mac(self._name, mac)
            self.mac_changed(mac)

    async def set_addresses(self, config: BridgeConfig, old: BridgeConfig | None = None) -> None:
        """Give it the addresses, gateway and DHCP client of ``config`` instead of those of ``old``.

        Raises InbandError.
        """
        if old is None and not (config.addresses or config.gateway):
            pass  # the system's, which are not ours to touch
        elif old is None:
            interfaces.set_addresses(self._name, config.addresses, config.gateway)
        else:
            interfaces.set_addresses(
                self._name,
                config.addresses,
                config.gateway,
                previous=old.addresses,
                previous_gateway=old.gateway,
            )
        await self._run_dhcp(wanted=config.dhcp)

    async def _run_dhcp(self, *, wanted: bool) -> None:
        if self._dhcp is not None and not wanted:
            client, self._dhcp = self._dhcp, None
            await client.stop()
        if wanted and self._dhcp is None:
            client = DhcpClient(self._name)
            client.start()
            self._dhcp = client

    async def restart_dhcp(self) -> None:
        """Have the DHCP client look at the interface that is there now. Raises InbandError."""
        if self._dhcp is not None:
            await self._run_dhcp(wanted=False)
            await self._run_dhcp(wanted=True)

    async def stop(self) -> None:
        """Remove the interface with its addresses. Raises HostError."""
        await self._run_dhcp(wanted=False)
        if self._is_claimed:
            try:
                interfaces.remove_local(self._name)
            finally:
                self._claims.release(self._name)
                self._is_claimed = False
