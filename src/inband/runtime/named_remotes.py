"""Remotes that have names, joined to the bridges: rules for the servers, and news of channels for the resolver.

What must stay true: rules for a server are in all bridges before a question goes to it. (That rules for an address are
there before it is dialled is ``runtime.switch``'s care: it is told of new addresses, protects them, and then tells the
diallers.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from inband.host.events import AddressChanged, HostEvent, LinkChanged, NeighbourChanged, NextHopFound, RoutesChanged
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.config import SwitchConfig
from inband.runtime.dialler import Dialler
from inband.runtime.dns_servers import ServerList, find_servers
from inband.runtime.resolver import NameService
from inband.runtime.targets import Target
from inband.vocabulary.addresses import IpAddress


class NamedRemotes:
    """The names of a process's remotes; ``service`` resolves them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        run_dir: Path,
        bridges: Mapping[str, BridgeRunner],
        addresses_changed: Callable[[], None],
    ) -> None:
        """``bridges`` are those that run, at any time. ``addresses_changed`` is called when a name's addresses did."""
        self.service = NameService(
            loop,
            run_dir,
            self._find_servers,
            servers_changed=self._set_up_all,
            addresses_changed=addresses_changed,
        )
        self._loop = loop
        self._run_dir = run_dir
        self._bridges = bridges
        self._config = SwitchConfig()
        self._in_band: frozenset[str] = frozenset()
        self._is_looking = False

    @property
    def addresses(self) -> Mapping[str, tuple[IpAddress, ...]]:
        """What is known of each name."""
        return self.service.addresses

    # --- configuration ------------------------------------------------------------------------------------------

    async def prepare(self, config: SwitchConfig) -> None:
        """Have in ``addresses`` what is known of the names of a configuration that is about to be applied."""
        await self.service.recall(names_of(config))

    def set_up(self, runner: BridgeRunner) -> None:
        """Let DNS for the names pass a bridge."""
        servers = self.service.server_list.servers if self._in_band else ()
        runner.bridge.set_dns(frozenset(servers), self._in_band)

    def follow(self, config: SwitchConfig) -> None:
        """The configuration was applied: ask for its names, and forget others."""
        self._config, self._in_band = config, in_band_names_of(config)
        self._set_up_all()
        self.service.want(names_of(config))

    def stop(self) -> None:
        """Ask no more."""
        self.service.stop()

    def _set_up_all(self) -> None:
        for runner in self._bridges.values():
            self.set_up(runner)

    def _find_servers(self) -> ServerList:
        return find_servers(self._config.dns_servers, self._run_dir)

    # --- what happens -------------------------------------------------------------------------------------------

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """The kernel has news: a question that was lost may arrive now, and a lease may have brought servers."""
        match event:
            case AddressChanged(present=True, tentative=False):
                self.service.look_for_servers()
                self.service.network_changed()
            case LinkChanged(running=True) | RoutesChanged() | NextHopFound():
                self.service.network_changed()
            case NeighbourChanged(mac=mac) if mac:
                self.service.network_changed()
            case _:
                pass

    def channels_changed(self) -> None:
        """Some controller that has a name is connected now, or not any more: look soon, once."""
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_soon(self._look_at_channels)

    def _look_at_channels(self) -> None:
        self._is_looking = False
        failing = frozenset(d.target.name for d in self._diallers() if d.is_failing and d.target.name)
        self.service.channels_changed(self.connected(), failing)

    def connected(self) -> frozenset[IpAddress]:
        """The addresses that channels to controllers with names stand to."""
        return frozenset(d.address for d in self._diallers() if d.reconnect.is_connected and d.address)

    def _diallers(self) -> Iterator[Dialler]:
        """Those whose target has a name."""
        for runner in self._bridges.values():
            yield from (dialler for dialler in runner.connections.diallers if dialler.target.name)


def names_of(config: SwitchConfig) -> frozenset[str]:
    """The names of all controllers and managers."""
    return frozenset(target.name for target in _targets(config) if target.name is not None)


def in_band_names_of(config: SwitchConfig) -> frozenset[str]:
    """The names whose DNS is protected: those of remotes that are not out-of-band."""
    return frozenset(target.name for target in _targets(config) if target.name is not None and target.in_band)


def _targets(config: SwitchConfig) -> Iterator[Target]:
    yield from config.managers
    for bridge in config.bridges:
        yield from (target for target in bridge.controllers if not target.listens)
