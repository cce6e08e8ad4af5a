"""The switch process: bridges, the kernel's events, the control socket, and an orderly end.

``run`` is what ``inband run`` calls. A configuration that is refused at the start ends the process with its message and
leaves nothing behind; one that is refused later changes nothing: what was done of it is undone.

What must stay true: nothing that a peer, a host or the kernel does ends the process. It ends by SIGTERM, SIGINT or the
``exit`` command (SIGHUP is ``reload``), and then gives back ports and interfaces; after kill -9 the next start adopts
what is left.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace

from inband.control.events import Remote, RemoteKind
from inband.errors import InbandError
from inband.host.events import HostEvent, NextHopFound
from inband.host.interfaces import check_port
from inband.host.netlink import KernelHost
from inband.runtime.bridge_runner import BridgeRunner, Environment
from inband.runtime.changes import with_change
from inband.runtime.claims import Claims
from inband.runtime.commands import make_registry
from inband.runtime.config import BridgeConfig, SwitchConfig
from inband.runtime.datapaths import remove_left_over_pins, remove_pin_root
from inband.runtime.dns_servers import remove_left_over_leases
from inband.runtime.known_host import KnownHost
from inband.runtime.left_overs import give_back_left_overs
from inband.runtime.logs import set_up_logging
from inband.runtime.named_remotes import NamedRemotes
from inband.runtime.rundir import PidFile, RunDir, notify_service_manager
from inband.runtime.targets import Target
from inband.runtime.tls import tls_contexts
from inband.runtime.unixctl import UnixctlServer
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant

log = logging.getLogger(__name__)

# How many objects more there must be before the young are searched for cycles, how often that before the middle
# generation is, and how often that before all are (Python's: 700, 10, 10). Each cached decision is ten objects without
# a cycle: a search in 10,000 objects is a pause of a few ms, in a million one of 150 ms, which is for once in an hour.
GC_THRESHOLDS = (2_000, 5, 10_000)


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
        # What is there now stays: the collector need not look at it again. Sixty thousand hidden flows have no cycles,
        # and looking for some in all of them each few seconds would keep sessions waiting for a tenth of a second.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        notify_service_manager("READY=1")
        await switch.stopping.wait()
        notify_service_manager("STOPPING=1")
    finally:
        await switch.stop()


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
        self.names = NamedRemotes(loop, run_dir.path, self.bridges, self._addresses_changed)
        self._environment = Environment(
            loop, self._host, self._known, run_dir, self._claims, self.names.channels_changed
        )
        self._following: asyncio.Task[None] | None = None
        self._has_new_addresses = False
        self._changing = asyncio.Lock()
        self._reloading: asyncio.Task[None] | None = None
        self._control = UnixctlServer(run_dir.control_socket, make_registry(self))

    async def start(self, config: SwitchConfig) -> None:
        """Start everything that is configured. Raises InbandError; then call ``stop``."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.stopping.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        self._host.start(self._loop)
        async with self._changing:
            await self._apply(config)
        await self._control.start()
        give_back_left_overs([link.name for link in self._known.links.values()], self._claims)
        remove_left_over_pins(self._run_dir.path, self.bridges)
        remove_left_over_leases(self._run_dir.path, self.bridges)
        log.info("inband runs with run directory %s, process %d", self._run_dir.path, os.getpid())

    async def stop(self) -> None:
        """Give everything back, each thing whatever became of the others."""
        await self._control.close()
        self.names.stop()
        if self._following is not None:
            self._following.cancel()
        for name in list(self.bridges):
            await self._stop_bridge(name)
        self._claims.close()
        self._host.close()
        remove_pin_root(self._run_dir.path)

    def _hung_up(self) -> None:
        """SIGHUP: the habit of daemons to read their configuration again; never an end, for the channel's sake."""
        self._reloading = self._loop.create_task(self._reload())

    async def _reload(self) -> None:
        try:
            await self.change("reload", [])
            log.info("SIGHUP: the configuration was read again")
        except InbandError as error:
            log.warning("SIGHUP: nothing changes: %s", error)

    async def change(self, verb: str, arguments: Sequence[str]) -> None:
        """Carry out a verb of the control socket, completely or not at all. Raises InbandError."""
        async with self._changing:
            wanted, before = await asyncio.to_thread(with_change, self.config, verb, arguments), self.config
            try:
                await self._apply(wanted)
            except Exception:
                try:
                    await self._apply(before)
                except InbandError as error:
                    log.error("going back after a refused change failed: %s; restart the switch", error)
                raise

    @property
    def now(self) -> Instant:
        """The clock of everything in the process."""
        return self._loop.time()

    def counters(self) -> dict[str, Mapping[str, int]]:
        """What the kernel and the clients of the control socket did to us, by part."""
        return {"(host)": self._host.counters, "(control)": asdict(self._control.counters)}

    async def _apply(self, config: SwitchConfig) -> None:
        """Go to a configuration: what others need is given up first, what nobody needs only when the rest is done."""
        self._check(config)
        wanted = {bridge.name: bridge for bridge in config.bridges}
        gone = [name for name in self.bridges if name not in wanted]
        for name in [name for name in gone if _is_in_the_way(self.bridges[name].config, config)]:
            await self._stop_bridge(name)
        for name, runner in self.bridges.items():
            if name in wanted:
                runner.release(wanted[name])
        await self.names.prepare(config)
        addresses = dict(self.names.addresses)
        remotes = await asyncio.to_thread(remotes_of, config, addresses)
        for name, bridge in wanted.items():
            # First the rules for remotes that come, so that they are there before anybody dials.
            if name in self.bridges:
                await self.bridges[name].set_remotes(remotes | self.bridges[name].remotes)
                self.bridges[name].connections.set_names(addresses)
                await self.bridges[name].apply(bridge)
            else:
                await self._start_bridge(BridgeRunner(self._environment, bridge), remotes, addresses)
        for name in gone:
            await self._stop_bridge(name)
        for runner in self.bridges.values():
            await runner.set_remotes(remotes)
        self.config = replace(config)
        self.names.follow(config)

    def _addresses_changed(self) -> None:
        self._has_new_addresses = True
        if self._following is None:
            self._following = self._loop.create_task(self._follow_addresses())

    async def _follow_addresses(self) -> None:
        """Protect what names lead to now, and then dial it."""
        while self._has_new_addresses:
            async with self._changing:
                self._has_new_addresses = False
                addresses = dict(self.names.addresses)  # what comes from here on needs rules first: the next round's
                remotes = await asyncio.to_thread(remotes_of, self.config, addresses)
                for runner in list(self.bridges.values()):
                    await runner.set_remotes(remotes)
                    runner.connections.set_names(addresses)
        self._following = None

    def _check(self, config: SwitchConfig) -> None:
        """Find what would be refused, as far as that can be told before anything is touched. Raises InbandError."""
        ours = {port for runner in self.bridges.values() for port in runner.ports}
        there = {link.name for link in self._known.links.values()}
        for bridge in config.bridges:
            tls_contexts(bridge)
            for port in bridge.ports:
                if port in there and port not in ours:
                    check_port(port)

    async def _start_bridge(
        self, runner: BridgeRunner, remotes: frozenset[Remote], addresses: Mapping[str, tuple[IpAddress, ...]]
    ) -> None:
        name = runner.config.name
        try:
            runner.open()
            self.bridges[name] = runner  # from here on it must hear what the kernel says
            self.names.set_up(runner)
            runner.connections.set_names(addresses)
            await runner.start(remotes)
        except BaseException:
            self.bridges[name] = runner
            await self._stop_bridge(name)
            raise

    async def _stop_bridge(self, name: str) -> None:
        """End a bridge that may be gone already; what the kernel does not take back is no reason to keep the rest."""
        runner = self.bridges.pop(name, None)
        try:
            if runner is not None:
                await runner.stop()
        except InbandError as error:
            log.warning("bridge %s: not everything could be given back: %s", name, error)

    def _host_event(self, event: HostEvent | NextHopFound) -> None:
        self._known.note(event)
        for runner in list(self.bridges.values()):
            runner.host_event(event)
        self.names.host_event(event)


def _is_in_the_way(gone: BridgeConfig, config: SwitchConfig) -> bool:
    """Whether a bridge that goes has what another one is to have: a port, or a place to listen at."""
    has = {*gone.ports, *(target for target in gone.controllers if target.listens)}
    return any(has & {*bridge.ports, *bridge.controllers} for bridge in config.bridges)


def remotes_of(config: SwitchConfig, names: Mapping[str, tuple[IpAddress, ...]]) -> frozenset[Remote]:
    """Every remote of the process. Each bridge protects them all: one bridge's channel may cross another one.

    ``names`` has the addresses of those that have names.
    """
    remotes = set(_remotes(config.managers, RemoteKind.MANAGER, names))
    for bridge in config.bridges:
        remotes.update(_remotes(bridge.controllers, RemoteKind.CONTROLLER, names))
    return frozenset(remotes)


def _remotes(
    targets: Sequence[Target], kind: RemoteKind, names: Mapping[str, tuple[IpAddress, ...]]
) -> Iterator[Remote]:
    for target in targets:
        if not target.in_band:
            continue
        if target.address is not None:
            yield Remote(target.address, target.port, kind)
        for address in names.get(target.name, ()) if target.name else ():
            yield Remote(address, target.port, kind)
