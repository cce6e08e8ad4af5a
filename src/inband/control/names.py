"""The resolver of remotes' names: which server is asked for what and when, and which addresses a name has.

``handle(event, now)`` returns commands and ``next_deadline()`` says when to call again with TimePassed; sockets and
clock are the caller's (``switch.names``), and so is chance, which makes questions hard to forge answers to.

Why a resolver of its own: the system's blocks, forgets an address when its time to live is over whether or not a new
one is known, and asks whom it likes, while hidden rules can let only these questions to these servers through.

How it works: each name is two queries, A and AAAA. A query asks one server after the other, the last that answered
first, with a pause that doubles after each round; answers to earlier questions still count. An answer is good until
its time to live is over and is asked for again before that. While a name's remotes are dialled in vain, the address may
have changed, or the server may lie: then it is asked sooner, and another server first.

Invariants: an address in use or not yet replaced by one that works is never taken away by what a server says
or does not say, for a bounded time (HOLD_S) and while a channel is up to it. What is not an answer to a question
that was asked is counted and ignored. The work of an event is proportional to the names it is about, the questions
under way are bounded by MAX_QUESTIONS, and the addresses of a name by the constants below.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

from inband.control import name_events as ev
from inband.control.name_events import KnownAddress, Transport
from inband.errors import WireError
from inband.packet.dns import Answer, Outcome, RecordType, build_question, question_of, read_answer, spell
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant

# What a server may demand: not to be asked all the time, and not to be believed for ever.
MIN_TTL_S, MAX_TTL_S = 5.0, 86_400.0
# "No" is believed for a shorter time: the name may be about to be added.
MAX_NEGATIVE_S = 60.0
# Asked again when this part of the time to live is over, so that there is time for several tries.
REFRESH_AT = 0.8
# The first question may be lost while the way comes up; a recursive server may well take longer, and its answer counts.
FIRST_WAIT_S, MAX_WAIT_S = 0.25, 5.0
# The longest pause when an address of the name is known and not known to be wrong.
PATIENT_WAIT_S = 60.0
# News from the network come in bursts.
LEAST_WAIT_S = 0.1
# While dialling is in vain.
EAGER_FIRST_S, EAGER_MAX_S = 1.0, 60.0
# An address that a later answer did not have, while none of the later ones has connected.
HOLD_S = 3600.0
MAX_HELD = 16
# Questions of one query that may still be answered, and of all: past that, one waits until another is answered or old.
MAX_PENDING, MAX_QUESTIONS = 4, 64
# After so many wrong answers an attacker is guessing: TCP is used, where guessing is hopeless.
MAX_WRONG = 8


@dataclass(slots=True, eq=False)
class _Pending:
    """A question under way."""

    ident: int
    spelled: str
    server: IpAddress
    transport: Transport
    asked_at: Instant
    wrong: int = 0


@dataclass(slots=True, eq=False)
class _Query:
    """One name's addresses of one family. ``due`` is when to ask (again); ``tries`` since the last answer."""

    name: _Name
    rdtype: RecordType
    addresses: tuple[IpAddress, ...] = ()
    server: IpAddress | None = None
    until: Instant = 0.0
    due: Instant | None = None
    asked_at: Instant | None = None
    answered_at: Instant | None = None
    tries: int = 0
    first: int = 0
    wait_s: float = FIRST_WAIT_S
    eager_s: float = EAGER_FIRST_S
    outcome: Outcome | None = None
    problem: str = ""
    pending: dict[int, _Pending] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Name:
    """A wanted name."""

    text: str
    queries: tuple[_Query, ...] = ()
    held: dict[IpAddress, tuple[KnownAddress, Instant]] = field(default_factory=dict)
    announced: tuple[frozenset[IpAddress], frozenset[IpAddress]] = (frozenset(), frozenset())
    is_failing: bool = False

    @property
    def current(self) -> tuple[IpAddress, ...]:
        """The addresses of the last answers."""
        return tuple(address for query in self.queries for address in query.addresses)


@dataclass(frozen=True, slots=True)
class NameStatus:
    """What ``show`` says of a name. ``problem`` is what went wrong last, for people; empty when nothing did.

    ``next_question`` is when it is asked for (again).
    """

    name: str
    addresses: tuple[KnownAddress, ...]
    problem: str
    outcomes: tuple[Outcome | None, ...]
    next_question: Instant | None


@dataclass(slots=True)
class ServerStatus:
    """A server's record: what it answered, what it did not, and what came from it that was no answer of ours."""

    address: IpAddress
    answers: int = 0
    unanswered: int = 0
    ignored: int = 0
    last_answer: Instant | None = None
    last_error: str = ""


class Resolver:
    """The names of one process. ``random_bits(n)`` returns n random bits."""

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self._random_bits = random_bits
        self._names: dict[str, _Name] = {}
        self._servers: tuple[IpAddress, ...] = ()
        self._records: dict[IpAddress, ServerStatus] = {}
        self._best = 0
        self._connected: frozenset[IpAddress] = frozenset()
        self._tickets: dict[int, _Query] = {}
        self._last_ticket = 0
        self._unanswered: dict[_Query, None] = {}
        self._holding: dict[_Name, None] = {}
        self._heap: list[tuple[Instant, int, _Query]] = []
        self._pushed = 0
        self._touched: dict[_Name, None] = {}
        self._commands: list[ev.NameCommand] = []

    # --- what the outside calls ---------------------------------------------------------------------------------

    def handle(self, event: ev.NameEvent, now: Instant) -> list[ev.NameCommand]:
        """Take one event; returns what to do, changes of addresses first."""
        match event:
            case ev.NamesWanted(names):
                self._want(names, now)
            case ev.ServersFound(servers):
                self._set_servers(servers, now)
            case ev.Remembered(name, addresses):
                self._remember(name, addresses, now)
            case ev.AnswerReceived(ticket, data):
                self._take_message(ticket, data, now)
            case ev.AskFailed(ticket, reason):
                self._take_failure(ticket, reason, now)
            case ev.ChannelsChanged():
                self._channels_changed(event, now)
            case ev.NetworkChanged():
                self._hurry(now)
            case ev.TimePassed():
                self._release_held(now)
            case _:
                assert_never(event)
        self._ask_due(now)
        return self._settle()

    def next_deadline(self) -> Instant | None:
        """When TimePassed is due; None when nothing is planned."""
        while self._heap and self._heap[0][0] != self._heap[0][2].due:
            heapq.heappop(self._heap)
        held = (until for name in self._holding for known, until in name.held.values() if not self._stands(known))
        asked = [max(self._heap[0][0], self._next_slot)] if self._heap else []
        return min((*held, *asked), default=None)

    @property
    def servers(self) -> tuple[ServerStatus, ...]:
        """The servers' records, best first as configured."""
        return tuple(self._records[server] for server in self._servers)

    def names(self) -> Iterator[NameStatus]:
        """Every wanted name."""
        for text in self._names:
            yield self.status(text)

    def status(self, text: str) -> NameStatus:
        """A name that is wanted; raises KeyError for another one."""
        name = self._names[text]
        current = (KnownAddress(a, q.until, q.server) for q in name.queries for a in q.addresses)
        return NameStatus(
            name.text,
            (*current, *(known for known, _ in name.held.values())),
            next((query.problem for query in name.queries if query.problem), ""),
            tuple(query.outcome for query in name.queries),
            min((query.due for query in name.queries if query.due is not None), default=None),
        )

    # --- names and servers --------------------------------------------------------------------------------------

    def _want(self, names: frozenset[str], now: Instant) -> None:
        for text in sorted(names - self._names.keys()):
            name = self._names[text] = _Name(text)
            name.queries = (_Query(name, RecordType.AAAA), _Query(name, RecordType.A))
            for query in name.queries:
                self._start(query, now)
        for text in self._names.keys() - names:
            name = self._names.pop(text)
            for query in name.queries:
                self._forget_questions(query)
                self._unanswered.pop(query, None)
                query.due, query.addresses = None, ()
            name.held.clear()
            self._holding.pop(name, None)
            self._touched[name] = None

    def _set_servers(self, servers: tuple[IpAddress, ...], now: Instant) -> None:
        servers = tuple(dict.fromkeys(servers))
        if servers == self._servers:
            return
        self._servers, self._best = servers, 0
        self._records = {server: self._records.get(server) or ServerStatus(server) for server in servers}
        for name in self._names.values():
            for query in name.queries:
                if query in self._unanswered or query.due is None:
                    self._start(query, now)

    def _remember(self, text: str, addresses: tuple[KnownAddress, ...], now: Instant) -> None:
        name = self._names.get(text)
        for query in name.queries if name else ():
            known = [known for known in addresses if known.address.version == query.rdtype.version]
            if known and query.answered_at is None:
                query.addresses = tuple(dict.fromkeys(each.address for each in known))
                query.until, query.server = min(each.until for each in known), known[0].server
                self._touched[query.name] = None

    # --- asking -------------------------------------------------------------------------------------------------

    def _start(self, query: _Query, now: Instant) -> None:
        """Ask now, from the first server on."""
        query.tries, query.wait_s, query.first = 0, FIRST_WAIT_S, self._best
        self._unanswered[query] = None
        self._plan(query, now)

    def _plan(self, query: _Query, due: Instant | None) -> None:
        query.due = due
        if due is not None:
            self._pushed += 1
            heapq.heappush(self._heap, (due, self._pushed, query))

    def _ask_due(self, now: Instant) -> None:
        while self._heap and self._heap[0][0] <= now and self._next_slot <= now:
            due, _, query = heapq.heappop(self._heap)
            if due == query.due:
                self._ask(query, now)

    @property
    def _next_slot(self) -> Instant:
        """When one more question may be under way: at once, or when the oldest one has had its time."""
        if len(self._tickets) < MAX_QUESTIONS:
            return 0.0
        ticket, query = next(iter(self._tickets.items()))
        return query.pending[ticket].asked_at + FIRST_WAIT_S

    def _ask(self, query: _Query, now: Instant, transport: Transport = Transport.UDP) -> None:
        """Ask the next server, and plan to ask the one after it."""
        if not self._servers:
            query.problem = "no DNS server is known"
            self._plan(query, None)
            return
        self._unanswered[query] = None
        if query.tries and query.pending:
            self._blame(query, now)
        server = self._servers[(query.first + query.tries) % len(self._servers)]
        query.tries += 1
        self._send(query, server, transport, now)
        self._plan(query, now + query.wait_s)
        if query.tries % len(self._servers) == 0:
            is_patient = any(query.name.announced) and not query.name.is_failing
            query.wait_s = min(query.wait_s * 2, PATIENT_WAIT_S if is_patient else MAX_WAIT_S)

    def _send(self, query: _Query, server: IpAddress, transport: Transport, now: Instant) -> None:
        while len(query.pending) >= MAX_PENDING:
            self._forget_question(query, next(iter(query.pending)))
        if len(self._tickets) >= MAX_QUESTIONS:
            oldest, its_query = next(iter(self._tickets.items()))
            self._forget_question(its_query, oldest)
        self._last_ticket += 1
        text = query.name.text
        ident, spelled = self._random_bits(16), spell(text, self._random_bits(len(text)))
        query.pending[self._last_ticket] = _Pending(ident, spelled, server, transport, now)
        self._tickets[self._last_ticket] = query
        query.asked_at = now
        message = build_question(ident, spelled, query.rdtype)
        self._commands.append(ev.Ask(self._last_ticket, server, transport, message, text, query.rdtype))

    def _blame(self, query: _Query, now: Instant) -> None:
        """The last question was not answered in time."""
        last = next(reversed(query.pending.values()))
        waited = now - query.asked_at if query.asked_at is not None else 0.0
        record = self._records.get(last.server)
        if record is not None:
            record.unanswered += 1
            record.last_error = f"no answer in {waited:.1f} s"
        if query.tries > len(self._servers):  # one question that got lost is no problem
            query.problem = f"no answer from {last.server}"

    def _hurry(self, now: Instant) -> None:
        for query in self._unanswered:
            if query.asked_at is None or query.due is None:
                continue
            query.wait_s = FIRST_WAIT_S
            due = max(now, query.asked_at + LEAST_WAIT_S)
            if due < query.due:
                self._plan(query, due)

    # --- answers ------------------------------------------------------------------------------------------------

    def _take_message(self, ticket: int, data: bytes, now: Instant) -> None:
        query = self._tickets.get(ticket)
        if query is None:
            return
        pending = query.pending[ticket]
        record = self._records.get(pending.server) or ServerStatus(pending.server)
        fault = _fault(query, pending, data)
        if not fault:
            try:
                answer = read_answer(data)
            except WireError as error:
                fault = str(error)
        if fault:
            self._ignore(query, ticket, record, fault, now)
            return
        record.last_answer = now
        record.answers += 1
        if answer.outcome is Outcome.TRUNCATED and pending.transport is Transport.UDP:
            self._by_tcp(query, ticket, now)
        elif answer.outcome in (Outcome.REFUSED, Outcome.TRUNCATED):
            record.last_error = answer.detail or answer.outcome.value
            query.problem = f"{pending.server} answered {record.last_error}"
            self._forget_question(query, ticket)
            self._next_server(query, now)
        else:
            record.last_error = ""
            self._accept(query, answer, pending.server, now)

    def _ignore(self, query: _Query, ticket: int, record: ServerStatus, reason: str, now: Instant) -> None:
        """What came is no answer to this question: go on waiting for one."""
        record.ignored += 1
        record.last_error = reason
        pending = query.pending[ticket]
        pending.wrong += 1
        if pending.transport is Transport.TCP:
            query.problem = f"{pending.server}: {reason}"
            self._forget_question(query, ticket)
            self._next_server(query, now)
        elif pending.wrong >= MAX_WRONG or reason == _OTHER_QUESTION:
            # A server that changes the case of names gets its chance where its answer cannot be forged.
            self._by_tcp(query, ticket, now)

    def _by_tcp(self, query: _Query, ticket: int, now: Instant) -> None:
        server = query.pending[ticket].server
        self._forget_question(query, ticket)
        if not any(each.transport is Transport.TCP and each.server == server for each in query.pending.values()):
            self._send(query, server, Transport.TCP, now)
            self._plan(query, now + max(query.wait_s, 2 * FIRST_WAIT_S))

    def _take_failure(self, ticket: int, reason: str, now: Instant) -> None:
        query = self._tickets.get(ticket)
        if query is None:
            return
        server = query.pending[ticket].server
        query.problem = f"{server}: {reason}"
        if server in self._records:
            self._records[server].last_error = reason
        self._forget_question(query, ticket)
        self._next_server(query, now)

    def _next_server(self, query: _Query, now: Instant) -> None:
        """A server said no: ask the next one at once if it was not asked in this round, else after the pause."""
        if self._servers and query.tries % len(self._servers) and not query.pending:
            self._plan(query, now)

    def _accept(self, query: _Query, answer: Answer, server: IpAddress, now: Instant) -> None:
        self._forget_questions(query)
        self._unanswered.pop(query, None)
        query.answered_at, query.outcome = now, answer.outcome
        query.tries, query.wait_s = 0, FIRST_WAIT_S
        if not query.name.is_failing and server in self._servers:
            self._best = query.first = self._servers.index(server)
        ttl_s = min(max(float(answer.ttl_s), MIN_TTL_S), MAX_TTL_S)
        if answer.outcome is Outcome.ADDRESSES:
            self._replace(query, answer.addresses, now)
            query.server, query.until, query.problem = server, now + ttl_s, ""
            due = now + ttl_s * REFRESH_AT
        else:
            due = now + min(ttl_s, MAX_NEGATIVE_S)
            query.problem = f"{server}: {answer.outcome.value}"
        self._weigh_families(query.name, now)
        if query.name.is_failing:
            due = min(due, now + query.eager_s)
            query.eager_s = min(query.eager_s * 2, EAGER_MAX_S)
            query.first += 1
        self._plan(query, due)

    def _weigh_families(self, name: _Name, now: Instant) -> None:
        """A no never takes a name's last addresses away, but one family is given up while the other is there.

        And "no address of this family" is no problem unless it is so of both.
        """
        outcomes = {query.outcome for query in name.queries}
        for query in name.queries:
            if query.outcome is Outcome.NO_DATA and outcomes != {Outcome.NO_DATA} and query not in self._unanswered:
                query.problem = ""
                if query.addresses and Outcome.ADDRESSES in outcomes:
                    self._replace(query, (), now)

    def _replace(self, query: _Query, addresses: tuple[IpAddress, ...], now: Instant) -> None:
        """Another answer: what it does not have is held, as there is no knowing yet whether the new ones work."""
        name = query.name
        for address in query.addresses:
            if address not in addresses:
                name.held[address] = (KnownAddress(address, query.until, query.server, False), now + HOLD_S)
        for address in addresses:
            name.held.pop(address, None)
        query.addresses = addresses
        self._touched[name] = None
        self._release(name, now)

    # --- channels and old addresses -----------------------------------------------------------------------------

    def _channels_changed(self, event: ev.ChannelsChanged, now: Instant) -> None:
        self._connected = event.connected
        for name in list(self._holding):
            self._release(name, now)
        for name in self._names.values():
            was_failing, name.is_failing = name.is_failing, name.text in event.failing
            if name.is_failing and not was_failing:
                for query in name.queries:
                    self._doubt(query, now)
            elif was_failing and not name.is_failing:
                self._prefer_who_was_right(name)

    def _doubt(self, query: _Query, now: Instant) -> None:
        """Dialling is in vain: ask soon, and another server than the one that said so."""
        query.eager_s = EAGER_FIRST_S
        if query in self._unanswered or query.due is None or query.asked_at is None:
            return
        query.first += 1
        due = max(now, query.asked_at + EAGER_FIRST_S)
        if due < query.due:
            self._plan(query, due)

    def _prefer_who_was_right(self, name: _Name) -> None:
        """An address works: its server is asked first from now on."""
        for query in name.queries:
            if query.server in self._servers and any(address in self._connected for address in query.addresses):
                self._best = self._servers.index(query.server)
        for query in name.queries:
            query.first = self._best

    def _release_held(self, now: Instant) -> None:
        for name in list(self._holding):
            self._release(name, now)

    def _release(self, name: _Name, now: Instant) -> None:
        """Let old addresses go that are replaced by one that works, or held for long; none that a channel is up to."""
        has_new = any(address in self._connected for address in name.current)
        for address, (known, until) in list(name.held.items()):
            crowded = len(name.held) > MAX_HELD
            if not self._stands(known) and (has_new or until <= now or crowded):
                del name.held[address]
                self._touched[name] = None
        if name.held:
            self._holding[name] = None
        else:
            self._holding.pop(name, None)

    def _stands(self, known: KnownAddress) -> bool:
        return known.address in self._connected

    # --- inside -------------------------------------------------------------------------------------------------

    def _forget_questions(self, query: _Query) -> None:
        for ticket in list(query.pending):
            self._forget_question(query, ticket)

    def _forget_question(self, query: _Query, ticket: int) -> None:
        del query.pending[ticket]
        del self._tickets[ticket]
        self._commands.append(ev.ForgetQuestion(ticket))

    def _settle(self) -> list[ev.NameCommand]:
        changes: list[ev.NameCommand] = []
        for name in self._touched:
            addresses = tuple(dict.fromkeys((*name.current, *name.held)))
            parts = (frozenset(name.current), frozenset(name.held))
            if parts != name.announced:
                changes.append(ev.AddressesChanged(name.text, addresses))
            name.announced = parts
        self._touched.clear()
        commands, self._commands = self._commands, []
        return [*changes, *commands]


_OTHER_QUESTION = "it answers another question"


def _fault(query: _Query, pending: _Pending, data: bytes) -> str:
    """Why a message is no answer to this very question, to the case of its letters; empty when it is one."""
    question = question_of(data)
    if question is None or not question.is_answer:
        return "it repeats no question"
    if question.ident != pending.ident:
        return "its identifier is another question's"
    if (question.name, question.rdtype) != (pending.spelled, query.rdtype):
        return _OTHER_QUESTION
    return ""
