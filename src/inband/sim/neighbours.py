"""ARP and neighbour discovery on one interface of a simulated kernel: who has which MAC address, and who waits for it.

It is like Linux where in-band control depends on Linux: three questions to all a second apart, then a failure that
holds until there is another packet; a few packets wait for the answer and the rest is lost; an entry that is there
believes whatever any later message of that sender says (unsolicited ones too), one that is not there is only made by
an answer or by a question to us.

What it is not: entries do not age, and no neighbour is probed by unicast. A changed MAC that no one announces therefore
hurts for ever, unless the switch finds out, which is what the tests are about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from inband.sim.clock import VirtualClock
from inband.vocabulary.addresses import IpAddress, Mac

# Linux's mcast_solicit and retrans_time_ms, and about as many full frames as fit in its unres_qlen_bytes.
QUESTIONS, INTERVAL_S, MAX_WAITING = 3, 1.0, 64

Send = Callable[[Mac], None]
"""Sends what waited for a MAC address."""


@dataclass(slots=True)
class _Entry:
    mac: Mac | None = None
    waiting: list[Send] = field(default_factory=list)
    questions: int = 0
    source: IpAddress | None = None


@dataclass(slots=True, eq=False)
class Neighbours:
    """``ask`` sends a question, given the source of the packet that waits; ``changed`` hears of MACs (None: failed)."""

    clock: VirtualClock
    ask: Callable[[IpAddress, IpAddress | None], None]
    changed: Callable[[IpAddress, Mac | None], None]
    _entries: dict[IpAddress, _Entry] = field(default_factory=dict)

    def send_to(self, address: IpAddress, send: Send, source: IpAddress | None) -> None:
        """Call ``send`` with the MAC address, at once when it is known, else after asking; never without an answer."""
        entry = self._entries.setdefault(address, _Entry())
        if entry.mac is not None:
            send(entry.mac)
            return
        entry.waiting = [*entry.waiting[1 - MAX_WAITING :], send]
        entry.source = source
        self.resolve(address)

    def resolve(self, address: IpAddress) -> None:
        """Begin to ask, unless it is known or asked for already."""
        entry = self._entries.setdefault(address, _Entry())
        if entry.mac is None and entry.questions == 0:
            self._ask(address, entry)

    def heard(self, address: IpAddress, mac: Mac, *, is_for_us: bool) -> None:
        """A neighbour said its MAC address; ``is_for_us``: it asked for our address or answered us."""
        entry = self._entries.get(address)
        if entry is None:
            if not is_for_us:
                return
            entry = self._entries[address] = _Entry()
        has_changed = entry.mac != mac
        entry.mac, entry.questions = mac, 0
        waiting, entry.waiting = entry.waiting, []
        if has_changed:
            self.changed(address, mac)
        for send in waiting:
            send(mac)

    def forget(self) -> None:
        """Know no neighbour any more (the interface's MAC address changed)."""
        known = self.table()
        self._entries.clear()
        for address in known:
            self.changed(address, None)

    def table(self) -> dict[IpAddress, Mac]:
        """What is resolved."""
        return {address: entry.mac for address, entry in self._entries.items() if entry.mac is not None}

    def _ask(self, address: IpAddress, entry: _Entry) -> None:
        if self._entries.get(address) is not entry or entry.mac is not None:
            return
        if entry.questions >= QUESTIONS:
            entry.questions, entry.source = 0, None
            entry.waiting.clear()
            self.changed(address, None)
            return
        entry.questions += 1
        self.ask(address, entry.source)
        self.clock.call_later(INTERVAL_S, lambda: self._ask(address, entry))
