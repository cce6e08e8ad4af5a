"""A switch that runs: bridges, the kernel's events, the control socket, and the way from one configuration to another.

A change is carried out completely or not at all: what was done of one that is refused is undone.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Container, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from secrets import randbits

from inband.datapath.ebpf.spare import Spare
from inband.errors import InbandError, UsageError
from inband.host.events import HostEvent, LinkChanged, LinkRemoved, NextHopFound
from inband.host.interfaces import check_port
from inband.host.netlink import KernelHost
from inband.runtime.belongings import check_is_free
from inband.runtime.bridge_runner import BridgeRunner, ProcessEnvironment
from inband.runtime.change_options import ChangeOptions
from inband.runtime.changes import with_change
from inband.runtime.commands import make_registry
from inband.runtime.datapaths import remove_pin_root, remove_stale_pins
from inband.runtime.dns_servers import find_servers, remove_stale_leases
from inband.runtime.dns_sockets import DnsSockets
from inband.runtime.front import Front, Refusals
from inband.runtime.interface_locks import InterfaceLocks
from inband.runtime.metrics import MetricsServer
from inband.runtime.network_key import read_network_keys
from inband.runtime.program_ahead import program_pins
from inband.runtime.protecting import Protecting
from inband.runtime.refusals import BridgeRefusals, told
from inband.runtime.report_log import log_report
from inband.runtime.rundir import RunDir
from inband.runtime.service_manager import ServiceManager
from inband.runtime.stale import give_back_stale_ports, undo_stale_adoptions
from inband.runtime.state_dir import StateDir
from inband.runtime.state_keeper import StateKeeper
from inband.runtime.stepping import go_through
from inband.runtime.tls import tls_contexts
from inband.runtime.tls_clock import TlsClock
from inband.runtime.top import totals
from inband.runtime.unixctl import UnixctlServer
from inband.runtime.unreadable import UnreadableFiles
from inband.switch.config import BridgeConfig, DatapathKind, SwitchConfig, warnings_of
from inband.switch.confirming import Confirming
from inband.switch.core import SwitchCore
from inband.switch.cutting import Session, why_cut
from inband.switch.driver import Driver, turns_on
from inband.switch.history import History
from inband.switch.reports import Connected, Report
from inband.vocabulary.instant import Instant

log = logging.getLogger(__name__)


class RunningSwitch:
    """All bridges of one process, and what they share. ``stopping`` is set to end it."""

    def __init__(
        self,
        run_dir: RunDir,
        state_dir: StateDir,
        loop: asyncio.AbstractEventLoop,
        service_manager: ServiceManager,
        spare: Spare,
        front: Front | None = None,
    ) -> None:
        self.bridges: dict[str, BridgeRunner] = {}
        self.front, self.refusals, self._base = front, Refusals(), SwitchConfig()
        self.stopping = asyncio.Event()
        self.ending = ""
        self._loop = loop
        self._service_manager = service_manager
        self._run_dir = run_dir
        self._state = StateKeeper(state_dir, run_dir.path, loop)
        self._host, self._locks = KernelHost(self._host_event), InterfaceLocks(loop)
        self._driver = Driver(loop)
        sockets = DnsSockets(loop)
        self.core = SwitchCore(
            loop.time,
            randbits,
            sockets,
            find_servers=lambda: find_servers(run_dir.path),
            addresses_changed=self._addresses_changed,
            remember=self._state.remember_names,
            report=self._report,
            wake=self._driver.wake,
        )
        self._protecting = Protecting(self.core, loop)
        sockets.user = self.core.names
        self._environment = self._make_environment(spare)
        self.history, self.confirming, self._unreadable = History(), Confirming(), UnreadableFiles()
        self._warned: set[str] = set()
        self._undoing: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._has_new_addresses, self._changing = False, asyncio.Lock()
        self._metrics: MetricsServer | None = None
        self._control = UnixctlServer(run_dir.control_socket, make_registry(self))

    def _make_environment(self, spare: Spare) -> ProcessEnvironment:
        tls_clock = TlsClock()
        tls_clock.learn(self._state.newest_s)
        return ProcessEnvironment(
            self._loop,
            self._host,
            self._host.trouble,
            self._run_dir,
            self._locks,
            turns_on(self._loop),
            self._report,
            self.core,
            tls_clock,
            spare,
        )

    @property
    def config(self) -> SwitchConfig:
        """The configuration that is in force."""
        return self.core.config

    @property
    def now(self) -> Instant:
        """The clock of everything in the process."""
        return self._loop.time()

    def interface(self, name: str) -> LinkChanged | None:
        """What the kernel has said of an interface."""
        return self._host.state.link_named(name)

    def counters(self) -> dict[str, Mapping[str, int]]:
        """What the kernel and the clients of the control socket did to us, and what goes on in the process, by part."""
        tasks = {"tasks": len(asyncio.all_tasks(self._loop))}
        return {"(host)": self._host.counters, "(control)": asdict(self._control.counters), "(process)": tasks}

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self, config: SwitchConfig) -> None:
        """Start everything that is configured. Raises InbandError; then call ``stop``."""
        self._host.start(self._loop)
        self._driver.start(self.core)
        self._state.start()
        undo_stale_adoptions(self._state.memory, config)
        async with self._changing:
            self._base = config
            await self._apply(await self._readable(config), is_forced=config.options.is_forced)
        await self._protecting.finish()
        await self._state.keep(self.bridges.values())
        await self._control.start()
        await self._start_metrics(config)
        if self.front is not None:
            self.front.start(self)
        give_back_stale_ports([link.name for link in self._host.state.links], self._locks)
        remove_stale_pins(self._run_dir.path, self.bridges)
        remove_stale_leases(self._run_dir.path, self.bridges)
        log.info("inband runs with run directory %s, process %d", self._run_dir.path, os.getpid())

    async def _start_metrics(self, config: SwitchConfig) -> None:
        """Answer Prometheus, if that is wanted; that it cannot be is no reason to have no network."""
        if config.watching.metrics is None:
            return
        try:
            self._metrics = MetricsServer(lambda: totals(self.bridges.values()), self._loop.time)
            await self._metrics.start(*config.watching.metrics)
        except InbandError as error:
            log.error("there are no metrics: %s", error)

    async def stop(self) -> None:
        """Give everything back, each thing whatever became of the others."""
        if self.front is not None:
            await self.front.stop()
        await self._control.close()
        if self._metrics is not None:
            self._metrics.close()
        self._driver.stop()
        self.core.names.stop()
        self._state.stop()
        self._protecting.stop()
        for task in (self._following, self._undoing):
            if task is not None:
                task.cancel()
        for name in list(self.bridges):
            await self._stop_bridge(name)
        self._environment.spare.close()
        self._locks.close()
        self._host.close()
        remove_pin_root(self._run_dir.path)

    def end(self, reason: str) -> None:
        """Have the process end; ``reason`` says who wants it."""
        self.ending = self.ending or reason
        self.stopping.set()

    # --- changes ------------------------------------------------------------------------------------------------

    async def change(self, verb: str, arguments: Sequence[str], options: ChangeOptions | None = None) -> None:
        """Carry out a verb of the control socket, completely or not at all. Raises InbandError.

        The rules of all remotes are in place when it returns, but for managers of a change before it: with thousands of
        those that takes seconds, which a controller that comes meanwhile does not wait for.
        """
        with self._service_manager.reloading() if verb == "reload" else nullcontext():
            async with self._changing:
                self.confirming.check_free(self.now)
                is_behind, managers = self._protecting.is_under_way, self._base.managers
                await self._change(verb, arguments, options or ChangeOptions())
                is_behind = is_behind and managers == self._base.managers
            if not is_behind:
                await self._protecting.finish()

    async def _change(self, verb: str, arguments: Sequence[str], options: ChangeOptions) -> None:
        before, words = self._base, " ".join([verb, *arguments])
        if self.front is not None:
            self.front.check_change(verb, arguments)
        base = await asyncio.to_thread(with_change, before, verb, arguments)
        wanted = await self._over(base)
        if not options.is_forced and options.confirm_s is None:
            self._refuse_what_cuts(options.session, wanted)
        if options.confirm_s is not None:
            await asyncio.to_thread(self._state.undo.keep, before, words, is_reload=verb == "reload")
        try:
            await self._apply(wanted, is_forced=options.is_forced)
            await self._state.keep(self.bridges.values())
            self._base = base
        except Exception:
            try:
                await self._apply(await self._readable(before), is_forced=True)
            except InbandError as error:
                log.error("going back after a refused change failed: %s; restart the switch", error)
            if options.confirm_s is not None:
                await asyncio.to_thread(self._state.undo.forget, follow_file=False)
            raise
        if options.confirm_s is not None:
            self.confirming.begin(before, words, options.confirm_s, self.now)
            self._loop.call_later(options.confirm_s, self._start_undoing)
            log.info("`%s` is undone in %g s unless it is confirmed", words, options.confirm_s)
        elif verb == "reload":
            await asyncio.to_thread(self._state.undo.forget, follow_file=True)

    async def confirm(self) -> None:
        """The change that waits may stay. Raises UsageError when none waits."""
        is_reload = self.confirming.waiting == "reload"
        self.confirming.confirm(self.now)
        await asyncio.to_thread(self._state.undo.forget, follow_file=is_reload)
        log.info("the change is confirmed")

    async def roll_back(self) -> None:
        """Undo the change that waits for confirmation, now. Raises UsageError when none waits."""
        async with self._changing:
            await self._go_back(self.confirming.roll_back(self.now))
        await self._protecting.finish()

    def _start_undoing(self) -> None:
        if self._undoing is None or self._undoing.done():
            self._undoing = self._loop.create_task(self._undo_when_due())

    async def _undo_when_due(self) -> None:
        async with self._changing:
            words, before = self.confirming.waiting, self.confirming.take_due(self.now)
            if before is not None:
                log.warning("`%s` was not confirmed in time: it is undone", words)
                await self._go_back(before)

    async def _go_back(self, before: SwitchConfig) -> None:
        try:
            self._base = before
            await self._apply(await self._readable(before), is_forced=True)
            await self._state.keep(self.bridges.values())
        except InbandError as error:
            log.error("going back to the configuration before failed: %s; restart the switch", error)
        await asyncio.to_thread(self._state.undo.forget, follow_file=False)

    async def follow_front(self) -> None:
        """Go to what the front says now, as far as that can be had (``refusals``). Raises InbandError.

        While a change waits for confirmation, UsageError: there is one configuration to go back to.
        """
        async with self._changing:
            self.confirming.check_free(self.now)
            wanted = await self._readable(self._base)
            if wanted != self.config or self.refusals:
                await self._apply(wanted, is_forced=True)
                await self._state.keep(self.bridges.values())
        await self._protecting.finish()

    async def _over(self, base: SwitchConfig) -> SwitchConfig:
        """What is to be in force when file and commands say ``base``. Raises UsageError."""
        return base if self.front is None else await asyncio.to_thread(self.front.over, base)

    async def _readable(self, base: SwitchConfig) -> SwitchConfig:
        """The same as far as its files can be read: at a start and on the way back nothing is refused for them."""
        return self._unreadable.leave_out(await self._over(base))

    def _refuse_what_cuts(self, session: Session | None, wanted: SwitchConfig) -> None:
        """Raise UsageError when a change would cut the session that it is made over."""
        if session is None:
            return
        state = self._host.state
        index = next((each.index for each in state.addresses if each.address == session.near), None)
        link = None if index is None else state.link(index)
        interface = None if link is None else link.name
        runner = self.bridges.get(interface or "")
        reason = why_cut(
            session, self.config, wanted, interface, None if runner is None else runner.port_to(session.far)
        )
        if reason is not None:
            raise UsageError(
                f"this would cut the session from {session.far} that you make it over: {reason}; "
                "--confirm SECONDS makes it and undoes it unless confirmed, --force makes it for good"
            )

    async def _apply(self, config: SwitchConfig, *, is_forced: bool = False) -> None:
        """Go to a configuration: what others need is given up first, what is left over only when the rest is done."""
        refusals = Refusals((name, BridgeRefusals()) for name in (() if self.front is None else self.front.bridges))
        self._check(config, refusals, is_forced=is_forced)
        wanted = {bridge.name: bridge for bridge in config.bridges}
        for name in [name for name in self.bridges if name in wanted and self._has_other_datapath(wanted[name])]:
            await self._stop_bridge(name)
        gone = [name for name in self.bridges if name not in wanted]
        for name in [name for name in gone if _is_in_the_way(self.bridges[name].config, config)]:
            await self._stop_bridge(name)
        for name, runner in list(self.bridges.items()):
            if name in wanted:
                await runner.release(wanted[name])
        await go_through(self.core.begin(config, await self._state.recall_names(config)), self._loop)
        self._expect([bridge for name, bridge in wanted.items() if name not in self.bridges])
        for bridge in wanted.values():
            await self._have_bridge(bridge, refusals.get(bridge.name))
            await asyncio.sleep(0)  # a bridge takes the kernel a tenth of a second
        self._expect([])
        for name in gone:
            await self._stop_bridge(name)
        config = replace(config, bridges=tuple(bridge for bridge in config.bridges if bridge.name in self.bridges))
        await go_through(self.core.finish(config), self._loop)
        self._protecting.start()
        self.refusals = refusals
        self._warn(config)

    def _expect(self, bridges: Sequence[BridgeConfig]) -> None:
        """Have the program loaded ahead for these; while there is no bridge, for the one that comes some time."""
        pins = program_pins(self._run_dir.path, bridges)
        self._environment.spare.expect(pins if self.bridges or bridges else [None])

    async def _have_bridge(self, bridge: BridgeConfig, refused: BridgeRefusals | None) -> None:
        """Start a bridge or go on with it. Raises InbandError when it cannot be had; with ``refused`` that is told."""
        with told(refused):
            if bridge.name in self.bridges:
                await self.bridges[bridge.name].apply(bridge, refused)
            else:
                if bridge.datapath is not DatapathKind.USERSPACE:
                    await self._environment.spare.loaded()
                runner = BridgeRunner(self._environment, bridge, self._state.memory.get(bridge.name))
                await self._start_bridge(runner, refused)

    def _has_other_datapath(self, bridge: BridgeConfig) -> bool:
        """Whether a bridge runs with another kind of datapath than is wanted: that takes a new one."""
        return self.bridges[bridge.name].config.datapath is not bridge.datapath

    def _warn(self, config: SwitchConfig) -> None:
        """Say what is hardly meant, once."""
        found = set(warnings_of(config))
        for warning in sorted(found - self._warned):
            log.warning("%s", warning)
        self._warned = found

    def _check(self, config: SwitchConfig, lenient: Container[str], *, is_forced: bool) -> None:
        """Find what would be refused, as far as that can be told before anything is touched. Raises InbandError.

        Of ``lenient`` bridges nothing is refused as a whole.
        """
        ours = {port for runner in self.bridges.values() for port in runner.ports}
        for bridge in (bridge for bridge in config.bridges if bridge.name not in lenient):
            tls_contexts(bridge)
            read_network_keys(bridge)
            for port in bridge.ports:
                if port not in ours and self._host.state.link_named(port) is not None:
                    check_port(port)
                    if not is_forced and port != bridge.adopt:
                        check_is_free(port, bridge.name, self._host.state)

    async def _start_bridge(self, runner: BridgeRunner, refused: BridgeRefusals | None) -> None:
        name = runner.config.name
        try:
            runner.open()
            self.bridges[name] = runner  # from here on it must hear what the kernel says
            await go_through(self.core.add(runner.managed), self._loop)
            await runner.start(refused)
        except BaseException:
            self.bridges[name] = runner
            await self._stop_bridge(name)
            raise

    async def _stop_bridge(self, name: str) -> None:
        """End a bridge that may be gone already; what the kernel does not take back is no reason to keep the rest."""
        runner = self.bridges.pop(name, None)
        self.core.remove(name)
        try:
            if runner is not None:
                await runner.stop()
        except InbandError as error:
            log.warning("bridge %s: not everything could be given back: %s", name, error)

    # --- names --------------------------------------------------------------------------------------------------

    def _addresses_changed(self) -> None:
        self._has_new_addresses = True
        if self._following is None:
            self._following = self._loop.create_task(self._follow_names())

    async def _follow_names(self) -> None:
        while self._has_new_addresses:
            async with self._changing:
                self._has_new_addresses = False
                await go_through(self.core.follow_names(), self._loop)
                self._protecting.start()
        self._following = None

    # --- what happens -------------------------------------------------------------------------------------------

    def _host_event(self, event: HostEvent | NextHopFound) -> None:
        for runner in list(self.bridges.values()):
            runner.host_event(event)
        self.core.host_event(event)
        if self.front is not None and isinstance(event, LinkChanged | LinkRemoved):
            self.front.something_changed()

    def _report(self, report: Report) -> None:
        if self.front is not None:
            self.front.something_changed()
        self.history.note(report, self._loop.time())
        log_report(report, self._state.offset_s)
        if isinstance(report, Connected):  # by a lease perhaps, whose server the next run must know
            self._state.keep_soon(self.bridges.values())


def _is_in_the_way(gone: BridgeConfig, config: SwitchConfig) -> bool:
    """Whether a bridge that goes has what another one is to have: its name, a port, or a place to listen at."""
    has = {gone.name, *gone.ports, *(target for target in gone.controllers if target.listens)}
    return any(has & {*bridge.ports, *bridge.controllers} for bridge in config.bridges)
