"""The resolver of remotes' names at work: ``control.names`` with sockets, a clock, a memory and log lines.

One for the whole process, as remotes are. ``want`` says which names; what becomes of them is told through two calls of
the owner: ``servers_changed`` before a question goes to a server that is new (its hidden rules must be there first),
and ``addresses_changed`` when a name's addresses did.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from secrets import randbits

from inband.control import name_events as ev
from inband.control.names import NameStatus, Resolver, ServerStatus
from inband.packet import dns
from inband.runtime import name_memory
from inband.runtime.dns_servers import ServerList
from inband.runtime.dns_sockets import DnsSockets
from inband.vocabulary.addresses import IpAddress

log = logging.getLogger(__name__)

# In a burst of answers, how long problems wait for their line in the log, and addresses for their place in the file.
TIDY_S = 0.2


class NameService:
    """Names of remotes. ``addresses`` are those to protect and dial, by name; ``server_list`` who is asked."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        run_dir: Path,
        find_servers: Callable[[], ServerList],
        *,
        servers_changed: Callable[[], None],
        addresses_changed: Callable[[], None],
    ) -> None:
        self.addresses: dict[str, tuple[IpAddress, ...]] = {}
        self.server_list = ServerList()
        self._loop = loop
        self._path = run_dir / name_memory.FILE
        self._find_servers = find_servers
        self._servers_changed = servers_changed
        self._addresses_changed = addresses_changed
        self._resolver = Resolver(randbits)
        self._sockets = DnsSockets(loop, self._answered, self._failed)
        self._memory: dict[str, tuple[ev.KnownAddress, ...]] | None = None
        self._channels = ev.ChannelsChanged(frozenset(), frozenset())
        self._names: frozenset[str] = frozenset()
        self._problems: dict[str, str] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tidying: asyncio.TimerHandle | None = None
        self._has_news = False
        self._remembered_at = float("-inf")

    # --- what the owner calls -----------------------------------------------------------------------------------

    async def recall(self, names: frozenset[str]) -> None:
        """Have what is known of these names in ``addresses``, before they are wanted: from an earlier run's file."""
        if names and self._memory is None:
            self._memory = name_memory.read(self._path, offset_s=self._offset_s)
            await self._loop.run_in_executor(None, dns.load_reader)
        for name in names - self._names:
            known = (self._memory or {}).get(name, ())
            self.addresses[name] = tuple(each.address for each in known)

    def want(self, names: frozenset[str]) -> None:
        """Ask for these names from now on, and forget all others."""
        new, self._names = names - self._names, names
        self.look_for_servers()
        self._tell(ev.NamesWanted(names))
        for name in new:
            self._tell(ev.Remembered(name, (self._memory or {}).get(name, ())))
        for name in self.addresses.keys() - names:
            del self.addresses[name]

    def look_for_servers(self) -> None:
        """Servers may have changed: a lease, a file, the configuration."""
        found = self._find_servers() if self._names else ServerList()
        if found == self.server_list:
            return
        self.server_list = found
        self._servers_changed()
        if self._names:
            whom = ", ".join(map(str, found.servers)) or "nobody: set dns-server"
            log.info("names of remotes are asked of %s (from %s)", whom, found.source)
        self._tell(ev.ServersFound(found.servers))

    def network_changed(self) -> None:
        """Something on the way got better."""
        if self._names:
            self._tell(ev.NetworkChanged())

    def channels_changed(self, connected: frozenset[IpAddress], failing: frozenset[str]) -> None:
        """Channels stand to these addresses; remotes of these names are dialled in vain."""
        event = ev.ChannelsChanged(connected, failing & self._names)
        if event != self._channels:
            self._channels = event
            self._tell(event)

    def stop(self) -> None:
        """End all questions."""
        if self._has_news:
            self._remember()
        self._names = frozenset()
        self._sockets.close()
        for handle in (self._timer, self._tidying):
            if handle is not None:
                handle.cancel()
        self._timer = self._tidying = None

    # --- what people see ----------------------------------------------------------------------------------------

    def names(self) -> list[NameStatus]:
        """Every name."""
        return list(self._resolver.names()) if self._names else []

    def servers(self) -> tuple[ServerStatus, ...]:
        """Every server that is asked."""
        return self._resolver.servers

    # --- the resolver -------------------------------------------------------------------------------------------

    def _answered(self, ticket: int, data: bytes) -> None:
        self._tell(ev.AnswerReceived(ticket, data))

    def _failed(self, ticket: int, reason: str) -> None:
        self._tell(ev.AskFailed(ticket, reason))

    def _on_timer(self) -> None:
        self._timer = None
        self.look_for_servers()
        self._tell(ev.TimePassed())

    def _tell(self, event: ev.NameEvent) -> None:
        changed = False
        for command in self._resolver.handle(event, self._loop.time()):
            match command:
                case ev.Ask():
                    self._sockets.ask(command)
                case ev.ForgetQuestion(ticket):
                    self._sockets.forget(ticket)
                case ev.AddressesChanged(name, addresses):
                    changed |= self._take_addresses(name, addresses)
        self._plan()
        if not isinstance(event, ev.NetworkChanged) and self._tidying is None:
            self._tidying = self._loop.call_later(TIDY_S, self._tidy)
        if changed:
            self._has_news = True
            if self._loop.time() >= self._remembered_at + TIDY_S:
                self._remember()
            self._addresses_changed()

    def _take_addresses(self, name: str, addresses: tuple[IpAddress, ...]) -> bool:
        if addresses == self.addresses.get(name, ()):
            return False
        if addresses:
            self.addresses[name] = addresses
            log.info("%s is %s", name, self._in_words(name), extra={"cause": f"{name} is {addresses}"})
        else:
            self.addresses.pop(name, None)
        return True

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self._resolver.next_deadline() if self._names else None
        self._timer = None if due is None else self._loop.call_at(due, self._on_timer)

    def _tidy(self) -> None:
        """What takes a look at all names, once for a burst of answers."""
        self._tidying = None
        self._report_problems()
        if self._has_news:
            self._remember()

    def _remember(self) -> None:
        self._has_news, self._remembered_at = False, self._loop.time()
        known = {status.name: status.addresses for status in self._resolver.names() if status.addresses}
        name_memory.write(self._path, known, offset_s=self._offset_s)

    # --- log ----------------------------------------------------------------------------------------------------

    def _in_words(self, name: str) -> str:
        return ", ".join(self._address_in_words(known) for known in self._resolver.status(name).addresses)

    def _address_in_words(self, known: ev.KnownAddress) -> str:
        family = "IPv6" if isinstance(known.address, IPv6Address) else "IPv4"
        until = time.strftime("%H:%M:%S", time.localtime(known.until - self._offset_s))
        kept = "" if known.is_current else ", kept until a newer one has connected"
        return f"{known.address} ({family}, until {until}{kept}, says {known.server or 'an earlier run'})"

    def _report_problems(self) -> None:
        problems = {status.name: status.problem for status in self._resolver.names() if status.problem}
        for name, problem in problems.items():
            if self._problems.get(name) != problem:
                known = "its known addresses are kept" if self.addresses.get(name) else "it is asked for again"
                log.warning("%s: %s; %s", name, problem, known)
        self._problems = problems

    @property
    def _offset_s(self) -> float:
        """From seconds since 1970 to the loop's clock."""
        return self._loop.time() - time.time()
