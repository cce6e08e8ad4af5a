"""The names of a switch's remotes: ``control.names`` with its questions, its memory, and whom to tell.

One for all bridges, as remotes are. ``want`` says which names; what becomes of them is told through the calls of the
owner: ``servers_changed`` before a question goes to a server that is new (its hidden rules must be there first), and
``addresses_changed`` when a name's addresses did. How questions travel is the owner's (``DnsClient``), and so is where
addresses are kept for the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, assert_never

from inband.control import name_events as ev
from inband.control.name_events import KnownAddress
from inband.control.names import NameStatus, Resolver, ServerStatus
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
from inband.switch.reports import NameProblem, NameResolved, Reporter, ServersChosen
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant, earliest

# In a burst of answers, how long problems wait to be reported, and addresses for their place in the owner's memory.
TIDY_S = 0.2
# The C library asks no more than three (resolv.conf(5)); one more costs a second at worst.
MAX_SERVERS = 4

Known = Mapping[str, tuple[KnownAddress, ...]]
"""What is known of names."""


@dataclass(frozen=True, slots=True)
class ServerList:
    """DNS servers, best first, and where they are from, for people."""

    servers: tuple[IpAddress, ...] = ()
    source: str = "nowhere"


class DnsClient(Protocol):
    """Sends questions. What comes of them is reported by ``NameService.answered`` and ``failed``, never from within."""

    def ask(self, ask: ev.Ask) -> None:
        """Send a question."""

    def forget(self, ticket: int) -> None:
        """Do not wait for an answer any more."""

    def close(self) -> None:
        """Forget all questions."""


@dataclass(frozen=True, slots=True)
class NameOwner:
    """Who has the names. ``find_servers`` says whom to ask now; ``remember`` keeps what is known for the next run.

    ``wake`` asks for a look at ``next_deadline`` soon.
    """

    find_servers: Callable[[], ServerList]
    servers_changed: Callable[[], None]
    addresses_changed: Callable[[], None]
    remember: Callable[[Known], None]
    report: Reporter
    wake: Callable[[], None]


class NameService:
    """Names of remotes. ``addresses`` are those to protect and dial, by name; ``server_list`` who is asked."""

    def __init__(
        self, clock: Callable[[], Instant], random_bits: Callable[[int], int], dns: DnsClient, owner: NameOwner
    ) -> None:
        """``random_bits`` makes so many bits that cannot be guessed."""
        self.addresses: dict[str, tuple[IpAddress, ...]] = {}
        self.server_list = ServerList()
        self._clock = clock
        self._dns = dns
        self._owner = owner
        self._resolver = Resolver(random_bits)
        self._memory: dict[str, tuple[KnownAddress, ...]] = {}
        self._channels = ev.ChannelsChanged(frozenset(), frozenset())
        self._names: frozenset[str] = frozenset()
        self._problems: dict[str, str] = {}
        self._tidy_at: Instant | None = None
        self._has_news = False
        self._remembered_at = float("-inf")

    # --- what the owner calls -----------------------------------------------------------------------------------

    def recall(self, names: frozenset[str], memory: Known) -> None:
        """Have in ``addresses`` what an earlier run (``memory``) knew of names that will be wanted."""
        for name in names - self._names:
            self._memory[name] = memory.get(name, ())
            self.addresses[name] = tuple(known.address for known in self._memory[name])

    def want(self, names: frozenset[str]) -> None:
        """Ask for these names from now on, and forget all others."""
        new, self._names = names - self._names, names
        self.look_for_servers()
        self._tell(ev.NamesWanted(names))
        for name in new:
            self._tell(ev.Remembered(name, self._memory.pop(name, ())))
        for name in self.addresses.keys() - names:
            del self.addresses[name]

    def look_for_servers(self) -> None:
        """Servers may have changed: a lease, a file, the configuration."""
        found = self._owner.find_servers() if self._names else ServerList()
        if found == self.server_list:
            return
        self.server_list = found
        self._owner.servers_changed()
        if self._names:
            self._owner.report(ServersChosen(found.servers, found.source))
        self._tell(ev.ServersFound(found.servers))

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """The kernel has news: a question that was lost may arrive now, and a lease may have brought servers."""
        match event:
            case AddressChanged(present=True, tentative=False):
                self.look_for_servers()
                self._network_changed()
            case LinkChanged(running=True) | RoutesChanged() | NextHopFound():
                self._network_changed()
            case NeighbourChanged(mac=mac) if mac:
                self._network_changed()
            case AddressChanged() | LinkChanged() | LinkRemoved() | NeighbourChanged() | Resynchronised():
                pass  # nothing that could bring an answer
            case _:
                assert_never(event)

    def channels_changed(self, connected: frozenset[IpAddress], failing: frozenset[str]) -> None:
        """Channels are up to these addresses; remotes of these names are dialled in vain."""
        event = ev.ChannelsChanged(connected, failing & self._names)
        if event != self._channels:
            self._channels = event
            self._tell(event)

    def answered(self, ticket: int, data: bytes) -> None:
        """A message came from the server that a question went to."""
        self._tell(ev.AnswerReceived(ticket, data))

    def failed(self, ticket: int, reason: str) -> None:
        """A question could not be sent, or the server hung up."""
        self._tell(ev.AskFailed(ticket, reason))

    def stop(self) -> None:
        """End all questions."""
        if self._has_news:
            self._remember()
        self._names = frozenset()
        self._tidy_at = None
        self._dns.close()

    # --- what people see ----------------------------------------------------------------------------------------

    def names(self) -> list[NameStatus]:
        """Every name."""
        return list(self._resolver.names()) if self._names else []

    def servers(self) -> tuple[ServerStatus, ...]:
        """Every server that is asked."""
        return self._resolver.servers

    # --- time ---------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        asking = self._resolver.next_deadline() if self._names else None
        return earliest(asking, self._tidy_at)

    def run(self) -> None:
        """Ask, ask again, give up; report and remember."""
        now, asking = self._clock(), self._resolver.next_deadline()
        if self._names and asking is not None and asking <= now:
            self.look_for_servers()
            self._tell(ev.TimePassed())
        if self._tidy_at is not None and self._tidy_at <= now:
            self._tidy_at = None
            self._report_problems()
            if self._has_news:
                self._remember()

    # --- the resolver -------------------------------------------------------------------------------------------

    def _network_changed(self) -> None:
        if self._names:
            self._tell(ev.NetworkChanged())

    def _tell(self, event: ev.NameEvent) -> None:
        changed, now = False, self._clock()
        for command in self._resolver.handle(event, now):
            match command:
                case ev.Ask():
                    self._dns.ask(command)
                case ev.ForgetQuestion(ticket):
                    self._dns.forget(ticket)
                case ev.AddressesChanged(name, addresses):
                    changed |= self._take_addresses(name, addresses)
                case _:
                    assert_never(command)
        if not isinstance(event, ev.NetworkChanged) and self._tidy_at is None:
            self._tidy_at = now + TIDY_S
        self._owner.wake()
        if changed:
            self._has_news = True
            if now >= self._remembered_at + TIDY_S:
                self._remember()
            self._owner.addresses_changed()

    def _take_addresses(self, name: str, addresses: tuple[IpAddress, ...]) -> bool:
        if addresses == self.addresses.get(name, ()):
            return False
        if addresses:
            self.addresses[name] = addresses
            self._owner.report(NameResolved(name, self._resolver.status(name).addresses))
        else:
            self.addresses.pop(name, None)
        return True

    def _remember(self) -> None:
        self._has_news, self._remembered_at = False, self._clock()
        self._owner.remember({status.name: status.addresses for status in self._resolver.names() if status.addresses})

    def _report_problems(self) -> None:
        problems = {status.name: status.problem for status in self._resolver.names() if status.problem}
        for name, problem in problems.items():
            if self._problems.get(name) != problem:
                self._owner.report(NameProblem(name, problem, is_known=bool(self.addresses.get(name))))
        self._problems = problems
