"""The switch process: bridges, the kernel's events, the control socket, and an orderly end.

``run`` is what ``inband run`` calls. A configuration that is refused at the start ends the process with its message and
leaves nothing behind; one that is refused later changes nothing: what was done of it is undone.

What must stay true: nothing that a peer, a host or the kernel does ends the process. It ends by SIGTERM, SIGINT or the
``exit`` command, and then gives back ports and interfaces; after kill -9 the next start adopts what is left.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace

from inband.control.events import Remote, RemoteKind
from inband.errors import InbandError
from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    NeighbourChanged,
    NextHopFound,
)
from inband.host.netlink import KernelHost
from inband.runtime.bridge_runner import BridgeRunner, Environment
from inband.runtime.changes import with_change
from inband.runtime.claims import Claims
from inband.runtime.commands import make_registry
from inband.runtime.config import SwitchConfig
from inband.runtime.logs import set_up_logging
from inband.runtime.rundir import PidFile, RunDir, notify_service_manager
from inband.runtime.targets import Target
from inband.runtime.unixctl import UnixctlServer

log = logging.getLogger(__name__)


def run(config: SwitchConfig) -> int:
    """Run a switch until it is told to stop; returns the exit code. Raises InbandError when it cannot start."""
    set_up_logging()
    run_dir = RunDir.take(config.run_dir)
    try:
        pid_file = PidFile(config.options.pidfile) if config.options.pidfile else None
        try:
            asyncio.run(_serve(config, run_dir))
        finally:
            if pid_file is not None:
                pid_file.remove()
    finally:
        run_dir.release()
    return 0


async def _serve(config: SwitchConfig, run_dir: RunDir) -> None:
    switch = SwitchProcess(run_dir, asyncio.get_running_loop())
    try:
        await switch.start(config)
        notify_service_manager("READY=1")
        await switch.stopping.wait()
        notify_service_manager("STOPPING=1")
    finally:
        await switch.stop()


class KnownHost:
    """What the kernel said so far, for bridges that come later: links, addresses and resolved neighbours."""

    def __init__(self) -> None:
        self._links: dict[int, LinkChanged] = {}
        self._addresses: dict[tuple[int, object], AddressChanged] = {}
        self._neighbours: dict[tuple[int, object], NeighbourChanged] = {}

    def note(self, event: HostEvent | NextHopFound) -> None:
        """Take an event into account."""
        match event:
            case LinkChanged():
                self._links[event.index] = event
            case LinkRemoved():
                self._links.pop(event.index, None)
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
        yield from self._links.values()
        yield from self._addresses.values()
        yield from self._neighbours.values()


class SwitchProcess:
    """All bridges of one process."""

    def __init__(self, run_dir: RunDir, loop: asyncio.AbstractEventLoop) -> None:
        self.config = SwitchConfig()
        self.bridges: dict[str, BridgeRunner] = {}
        self.stopping = asyncio.Event()
        self._loop = loop
        self._run_dir = run_dir
        self._known = KnownHost()
        self._host = KernelHost(self._host_event)
        self._claims = Claims()
        self._environment = Environment(loop, self._host, run_dir, self._claims)
        self._changing = asyncio.Lock()
        self._control = UnixctlServer(run_dir.control_socket, make_registry(self))

    async def start(self, config: SwitchConfig) -> None:
        """Start everything that is configured. Raises InbandError; then call ``stop``."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stopping.set)
        self._host.start(self._loop)
        await self._apply(config)
        await self._control.start()
        log.info("inband runs with run directory %s, process %d", self._run_dir.path, os.getpid())

    async def stop(self) -> None:
        """Give everything back, each thing whatever became of the others."""
        await self._control.close()
        for runner in self.bridges.values():
            try:
                await runner.stop()
            except InbandError as error:
                log.warning("bridge %s: not everything could be given back: %s", runner.config.name, error)
        self.bridges.clear()
        self._claims.close()
        self._host.close()

    async def change(self, verb: str, arguments: Sequence[str]) -> None:
        """Carry out a verb of the control socket, completely or not at all. Raises InbandError."""
        async with self._changing:
            wanted, before = with_change(self.config, verb, arguments), self.config
            try:
                await self._apply(wanted)
            except InbandError:
                try:
                    await self._apply(before)
                except InbandError as error:
                    log.error("going back after a refused change failed: %s; restart the switch", error)
                raise

    async def _apply(self, config: SwitchConfig) -> None:
        wanted = {bridge.name: bridge for bridge in config.bridges}
        for name in [name for name in self.bridges if name not in wanted]:
            await self.bridges.pop(name).stop()
        remotes = remotes_of(config)
        for name, runner in self.bridges.items():
            # First the rules for remotes that come, so that they are there before anybody dials.
            await runner.set_remotes(remotes | runner.remotes)
            await runner.apply(wanted[name])
        for name, bridge in wanted.items():
            if name not in self.bridges:
                await self._start_bridge(BridgeRunner(self._environment, bridge), remotes)
        for runner in self.bridges.values():
            await runner.set_remotes(remotes)
        self.config = replace(config)

    async def _start_bridge(self, runner: BridgeRunner, remotes: frozenset[Remote]) -> None:
        name = runner.config.name
        try:
            runner.open(self._known)
            self.bridges[name] = runner  # from here on it must hear what the kernel says
            await runner.start(remotes)
        except BaseException:
            self.bridges.pop(name, None)
            await runner.stop()
            raise

    def _host_event(self, event: HostEvent | NextHopFound) -> None:
        self._known.note(event)
        for runner in list(self.bridges.values()):
            runner.host_event(event)


def remotes_of(config: SwitchConfig) -> frozenset[Remote]:
    """Every remote of the process. Each bridge protects them all: one bridge's channel may cross another one."""
    remotes = set(_remotes(config.managers, RemoteKind.MANAGER))
    for bridge in config.bridges:
        remotes.update(_remotes(bridge.controllers, RemoteKind.CONTROLLER))
    return frozenset(remotes)


def _remotes(targets: Sequence[Target], kind: RemoteKind) -> Iterator[Remote]:
    for target in targets:
        if target.in_band and target.address is not None:
            yield Remote(target.address, target.port, kind)
