"""The front end: follows the database, has the switch follow, and writes back what became of it.

One task does it all, step after step: go to what the rows say, look at the switch, write the columns that are not what
they were. Then ``cur_cfg`` gets the number that ``ovs-vsctl`` waits for, in the same transaction as the port numbers
that it may ask for next.

Invariants: the switch never waits for the database. What is followed is always some snapshot: the latest, or the last
one that was worth following, also after a restart (state directory). A database that is away, or that was made anew and
holds nothing yet, is no reason to change anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from inband.errors import InbandError, UsageError
from inband.flow.ports import LOCAL
from inband.host.interfaces import set_mtu
from inband.ovsdb.client import Client, Connected, Event, Lost
from inband.ovsdb.columns import Facts, PortFacts, Values, mirror_statistics, statistics, values_of
from inband.ovsdb.rows import Snapshot, document_of, snapshot_of
from inband.ovsdb.translate import translate
from inband.ovsdb.wanted import Wanted
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.front import Followed
from inband.runtime.ovsdb_remote import split_name
from inband.runtime.refusals import BridgeRefusals
from inband.runtime.show import FrontDocument
from inband.runtime.state_dir import StateDir
from inband.runtime.tls import without_tls_if_unreadable
from inband.switch.config import SwitchConfig, checked

log = logging.getLogger(__name__)

FILE = "ovsdb.json"

# Open vSwitch's default of other_config:stats-update-interval, which is also its least.
STATISTICS_S = 5.0
# From the first thing that changed to a look at the switch: links and channels change in groups.
SETTLE_S = 0.05
# From a round that failed to the next one.
AGAIN_S = 1.0
# How many ports are looked at before everything else has its turn: under a millisecond.
PORTS_AT_ONCE = 50


class OvsdbFront:
    """See ``runtime.front.Front``."""

    def __init__(self, remote: str, state_dir: StateDir, loop: asyncio.AbstractEventLoop) -> None:
        """``remote`` as ovs-vsctl's ``--db``. Raises UsageError when the library is not there."""
        self._remote = remote
        self._state_dir = state_dir
        self._loop = loop
        remotes, name = split_name(remote)
        self._name = name or socket.gethostname()
        self._client = Client(remotes, self._tell)
        self._snapshot = snapshot_of(state_dir.read(FILE))
        self._wanted = Wanted()
        self._problem: str | None = "not connected yet"
        self._is_new = False
        self._is_kept = True
        self._written: Values = {}
        self._said: frozenset[str] = frozenset()
        self._mtu_errors: dict[str, str] = {}
        self._awake = asyncio.Event()
        self._next_statistics = 0.0
        self._task: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._switch: Followed

    # --- runtime.front.Front ------------------------------------------------------------------------------------

    @property
    def bridges(self) -> frozenset[str]:
        """As ``Front.bridges``."""
        return frozenset(self._wanted.bridge_rows)

    def over(self, base: SwitchConfig) -> SwitchConfig:
        """As ``Front.over``; what the rows ask for is remembered, to be answered."""
        wanted = translate(self._snapshot, {bridge.name: bridge for bridge in base.bridges}, self._name)
        others = tuple(bridge for bridge in base.bridges if bridge.name not in wanted.bridge_rows)
        managers = tuple(dict.fromkeys((*base.managers, *wanted.managers)))
        wanted = _without_bad_files(wanted)
        config = checked(replace(base, bridges=(*others, *wanted.bridges), managers=managers))
        self._wanted = wanted
        return config

    def check_change(self, verb: str, arguments: Sequence[str]) -> None:
        """As ``Front.check_change``."""
        if verb != "reload" and arguments and arguments[0] in self._wanted.bridge_rows:
            raise UsageError(f"bridge {arguments[0]} is configured by the database {self._remote}: use ovs-vsctl")

    def start(self, switch: Followed) -> None:
        """As ``Front.start``."""
        self._switch = switch
        self._client.start()
        self._task = self._loop.create_task(self._work())

    async def stop(self) -> None:
        """As ``Front.stop``."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await asyncio.to_thread(self._client.stop)
            await (self._keep() if self._keeping is None or self._keeping.done() else self._keeping)

    def something_changed(self) -> None:
        """As ``Front.something_changed``."""
        self._awake.set()

    def document(self) -> FrontDocument:
        """As ``Front.document``."""
        return {
            "remote": self._remote,
            "followed": self._problem is None,
            "problem": self._problem,
            "bridges": sorted(self._wanted.bridge_rows),
            "complaints": self._complaints(),
        }

    # --- what the database says ---------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        """From the client's thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._heard, event)

    def _heard(self, event: Event) -> None:
        match event:
            case Lost(reason):
                if self._problem != reason:
                    log.warning("ovsdb: %s: the switch goes on with what it last knew", reason)
                self._problem = reason
            case Connected(snapshot):
                self._take(snapshot)
            case _:
                assert_never(event)

    def _take(self, snapshot: Snapshot) -> None:
        if self._problem is not None:
            self._written = {}
        if _is_untouched(snapshot, self._snapshot):
            problem = "the database is new and nothing is configured in it"
            if self._problem != problem:
                log.warning("ovsdb: %s: the switch goes on with what it last knew", problem)
            self._problem = problem
            return
        if self._problem is not None:
            log.info("ovsdb: %s is followed", self._remote)
        self._problem = None
        self._snapshot = snapshot
        self._is_new, self._is_kept = True, False
        self._awake.set()

    # --- work ---------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), max(0.0, self._next_statistics - self._loop.time()))
            if not self._is_new:
                await asyncio.sleep(SETTLE_S)
            self._awake.clear()
            try:
                await self._round()
            except InbandError as error:
                log.warning("ovsdb: the switch does not follow: %s", error)
                await self._begin_again()
            except Exception:  # a fault of ours: the database is followed on, for it is how the switch is reached
                log.exception("ovsdb: a fault in this program")
                await self._begin_again()

    async def _begin_again(self) -> None:
        """After a round that came to no end: soon, and with all columns."""
        await asyncio.sleep(AGAIN_S)
        self._written = {}
        self._awake.set()

    async def _round(self) -> None:
        is_due = self._loop.time() >= self._next_statistics
        snapshot, is_new = self._snapshot, self._is_new
        if is_new or (is_due and self._switch.refusals):
            self._is_new = False
            try:
                await self._switch.follow_front()
            except BaseException:
                self._is_new = is_new
                raise
            await self._have_mtus()
            self._say_complaints()
        if is_due:
            for runner in self._switch.bridges.values():
                runner.ports.shaping.retry()
            self._say_complaints()
        if self._problem is not None:
            self._next_statistics = self._loop.time() + STATISTICS_S
            return
        values = values_of(snapshot, self._wanted, await self._facts(), self._loop.time())
        if is_due:
            await self._add_statistics(values)
            self._next_statistics = self._loop.time() + _statistics_interval_s(snapshot)
        self._write(values)
        if not self._is_kept and (self._keeping is None or self._keeping.done()):
            self._keeping = self._loop.create_task(self._keep())

    async def _have_mtus(self) -> None:
        """Give interfaces the MTU that rows ask for; what the kernel refuses is an error of the interface."""
        self._mtu_errors = {}
        for port in self._wanted.ports:
            link = self._switch.interface(port.name)
            if port.mtu is not None and link is not None and link.mtu != port.mtu:
                try:
                    await asyncio.to_thread(set_mtu, port.name, port.mtu)
                except InbandError as error:
                    self._mtu_errors[port.name] = str(error)

    def _write(self, values: Values) -> None:
        """Write what is not what it was."""
        changes: Values = {}
        for key, columns in values.items():
            before = self._written.get(key, {})
            changed = {column: value for column, value in columns.items() if before.get(column) != value}
            if changed:
                changes[key] = changed
        self._written = {key: {**self._written.get(key, {}), **columns} for key, columns in values.items()}
        if changes:
            self._client.write(changes)

    async def _keep(self) -> None:
        """Have what is followed in the state directory; a slow disk holds up nothing but this."""
        while not self._is_kept:
            self._is_kept = True
            await asyncio.to_thread(self._state_dir.write, FILE, document_of(self._snapshot))

    # --- facts --------------------------------------------------------------------------------------------------

    async def _facts(self) -> Facts:
        runners, wanted, refusals = self._switch.bridges, self._wanted, self._switch.refusals
        ports: dict[tuple[str, str], PortFacts] = {}
        for count, port in enumerate(wanted.ports):
            if count % PORTS_AT_ONCE == PORTS_AT_ONCE - 1:
                await asyncio.sleep(0)
            runner = runners.get(port.bridge)
            if runner is not None:
                refused = refusals.get(port.bridge, BridgeRefusals()).ports.get(port.name)
                error = refused or self._mtu_errors.get(port.name)
                ports[port.bridge, port.name] = self._port_facts(runner, port.name, error)
        there = {name: runners[name].managed for name in wanted.bridge_rows if name in runners}
        return Facts(
            {
                name: (managed.bridge.agent.switch.identity.datapath_id, managed.bridge.datapath.kind)
                for name, managed in there.items()
            },
            ports,
            {name: (*managed.outgoing(), *managed.listeners()) for name, managed in there.items()},
            {name: "; ".join(found.others) for name, found in refusals.items() if found.others},
            {name: managed.bridge.tree.status() for name, managed in there.items()},
            {name: found.places for name, found in refusals.items()},
        )

    def _port_facts(self, runner: BridgeRunner, name: str, error: str | None) -> PortFacts:
        link = self._switch.interface(name)
        number = LOCAL if name == runner.config.name else runner.ports.number_of(name)
        port = None if number is None else runner.bridge.ports.get(number)
        if port is None and (number := runner.ports.waits_for_peer(name)) is not None:
            return PortFacts(int(number))
        if port is None:
            missing = f"could not open network device {name} (No such device)"
            is_missing = link is None and name in runner.config.ports
            return PortFacts(error=error or (missing if is_missing else None), link=link)
        return PortFacts(int(port.number), error, link, port.link, runner.ports.shaping.errors.get(name))

    async def _add_statistics(self, values: Values) -> None:
        for count, port in enumerate(self._wanted.ports):
            if count % PORTS_AT_ONCE == PORTS_AT_ONCE - 1:
                await asyncio.sleep(0)
            runner = self._switch.bridges.get(port.bridge)
            number = None if runner is None else LOCAL if port.is_local else runner.ports.number_of(port.name)
            if runner is not None and number is not None and ("Interface", port.interface) in values:
                values["Interface", port.interface] |= statistics(runner.bridge.port_counters(number))
        for name, runner in self._switch.bridges.items():
            for mirror in runner.bridge.ports.mirrors:
                uuid = self._wanted.mirrors.get((name, mirror.name))
                if uuid is not None:
                    values["Mirror", uuid] = mirror_statistics(mirror.counter.packets, mirror.counter.bytes)

    # --- words --------------------------------------------------------------------------------------------------

    def _complaints(self) -> list[str]:
        """What is wrong with rows, and what could not be had."""
        found = []
        for (table, uuid), words in self._wanted.problems.items():
            row = self._snapshot.row(table, uuid)
            name = "" if row is None else row.text("name") or row.text("target")
            found.append(f"{table} {name or uuid}: {words}")
        for bridge, refused in self._switch.refusals.items():
            found += [f"Bridge {bridge}: {words}" for words in refused.others]
            found += [f"Interface {name}: {words}" for name, words in refused.ports.items()]
            found += [f"Controller {target}: {words}" for target, words in refused.places.items()]
        found += [f"Interface {name}: {words}" for name, words in self._mtu_errors.items()]
        for runner in self._switch.bridges.values():
            found += [f"Port {name}: {words}" for name, words in runner.ports.shaping.errors.items()]
        return sorted(found)

    def _say_complaints(self) -> None:
        """Say what is wrong, once."""
        complaints = frozenset(self._complaints())
        for complaint in sorted(complaints - self._said):
            log.warning("ovsdb: %s", complaint)
        self._said = complaints


def _is_untouched(snapshot: Snapshot, before: Snapshot) -> bool:
    """Whether a database is not the one of before, and nothing was configured in it yet.

    Starting scripts make a lost file anew, with one row that says nothing (``ovs-vsctl --no-wait init``).
    """
    root, known = snapshot.root, before.root
    if root is None:
        return True
    is_other = known is not None and known.uuid != root.uuid
    return is_other and not root.texts("bridges") and not root.number("next_cfg")


def _statistics_interval_s(snapshot: Snapshot) -> float:
    """``other_config:stats-update-interval``, in milliseconds there, of at least five seconds."""
    text = "" if snapshot.root is None else snapshot.root.map("other_config").get("stats-update-interval", "")
    return max(STATISTICS_S, int(text) / 1000) if text.isascii() and text.isdigit() else STATISTICS_S


def _without_bad_files(wanted: Wanted) -> Wanted:
    """The same without targets for which there are no certificates: files that cannot be read cost no other one."""
    problems = dict(wanted.problems)
    bridges = []
    for bridge in wanted.bridges:
        usable, problem = without_tls_if_unreadable(bridge)
        if problem is not None:
            bad = set(bridge.controllers) - set(usable.controllers)
            keys = [("Controller", each.uuid) for each in wanted.controllers if each.target in bad]
            problems.update(dict.fromkeys(keys, problem))
        bridges.append(usable)
    return replace(wanted, bridges=tuple(bridges), problems=problems)
