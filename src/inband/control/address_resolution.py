"""The next hops in use: rules for their addresses and their MAC addresses, and questions for those that are not known.

A next hop is used by destinations (remotes, DNS servers), counted here: the first user brings the rules for its
address, the last one takes them. Its MAC address is what the kernel's neighbour entry says, and the last one known for
a bounded time after that entry went (``next_hop`` has the times). A new MAC address brings its rules, and those of the
old one go.

A next hop may never send from its MAC address (VRRP), or be silent for long, and then switches forget its place. So
those that controllers need are asked for before that, and every one when a packet to it had to be flooded.
"""

from __future__ import annotations

from collections.abc import Iterable

from inband.control import events as ev
from inband.control import rules
from inband.control.next_hop import PLACES_S, URGENT_FIRST_S, Agenda, Hop, HopKey
from inband.control.rule_set import RuleSet
from inband.host.events import NeighbourChanged, NextHop
from inband.host.state import KernelState
from inband.vocabulary.addresses import AddressKey, Mac, address_key
from inband.vocabulary.instant import Instant, earliest


class AddressResolution:
    """Resolves next hops. Rules go to ``rule_set``, questions to ``commands``; ``kernel`` knows the neighbours."""

    def __init__(self, kernel: KernelState, rule_set: RuleSet, commands: list[ev.Command]) -> None:
        self._kernel = kernel
        self._rule_set = rule_set
        self._commands = commands
        self._hops: dict[HopKey, Hop] = {}
        self._by_mac: dict[Mac, dict[Hop, None]] = {}
        self.by_address: dict[AddressKey, Hop] = {}
        """A next hop in use by its IP address, on whatever interface."""
        self.urgent: frozenset[HopKey] = frozenset()
        """Those that controllers and DNS servers need; the same object until it changes."""
        self._agenda = Agenda()
        self._places_due: Instant | None = None

    @property
    def hops(self) -> Iterable[Hop]:
        """The next hops in use."""
        return self._hops.values()

    def next_deadline(self) -> Instant | None:
        """When ``time_passed`` has something to do."""
        return earliest(self._agenda.next_deadline(), self._places_due)

    # --- users --------------------------------------------------------------------------------------------------

    def acquire(self, found: NextHop, now: Instant, *, urgent: bool) -> Hop:
        """One more user of a next hop, which asks for it at once when it is not resolved. Pair it with ``release``."""
        hop = self._hops.get((found.index, found.address)) or self._make(found, now)
        hop.users += 1
        was_urgent = hop.urgent
        self._count_urgent(hop, urgent)
        if not hop.resolved and (hop.ask_at is None or (hop.urgent and not was_urgent)):
            self._ask_soon(hop, now)
        self._plan_places(hop, now)
        return hop

    def release(self, hop: Hop, *, urgent: bool) -> None:
        """One user less; ``urgent`` as it was last said."""
        hop.users -= 1
        self._count_urgent(hop, -urgent)
        if hop.users:
            return
        del self._hops[hop.key]
        if self.by_address.get(address_key(hop.address)) is hop:
            del self.by_address[address_key(hop.address)]
        self._rule_set.unwant(rules.for_address(hop.address))
        self._forget_mac(hop)

    def change_urgency(self, hop: Hop, *, urgent: bool) -> None:
        """A user that was not urgent is so now, or the other way round."""
        self._count_urgent(hop, 1 if urgent else -1)

    def _count_urgent(self, hop: Hop, change: int) -> None:
        was_urgent = hop.urgent
        hop.urgent_users += change
        if hop.urgent is not was_urgent:
            self.urgent ^= {hop.key}

    def ask_if_unresolved(self, hop: Hop, now: Instant) -> None:
        """Plan a question at the pace that the hop's users need now, unless there is an answer already."""
        self._plan_places(hop, now)
        if not hop.resolved:
            self._agenda.ask_soon(hop, now)

    def _make(self, found: NextHop, now: Instant) -> Hop:
        hop = self._hops[found.index, found.address] = Hop(found.index, found.interface, found.address)
        self.by_address[address_key(hop.address)] = hop
        self._rule_set.want(rules.for_address(hop.address))
        mac = self._kernel.mac_of(*hop.key)
        if mac is not None:
            self._resolve(hop, mac, now)
        return hop

    # --- the kernel's neighbour entries -------------------------------------------------------------------------

    def neighbour_changed(self, event: NeighbourChanged, now: Instant) -> Hop | None:
        """Take a neighbour entry; the next hop whose MAC address it tells, if it is one."""
        hop = self._hops.get((event.index, event.address))
        if hop is None:
            return None
        if event.mac:
            self._resolve(hop, event.mac, now)
            return hop
        if hop.resolved:
            hop.resolved = False
            self._agenda.hold(hop, now)
            self._ask_soon(hop, now)
        return None

    def _resolve(self, hop: Hop, mac: Mac, now: Instant) -> None:
        """The MAC address of a hop is known now: rules for it first, then without the old one."""
        hop.resolved, hop.hold_until = True, None
        if not hop.suspected:
            self._agenda.stop_asking(hop)
        if mac != hop.mac:
            self._rule_set.want(rules.for_hop_mac(mac, hop.address.version))
            self._forget_mac(hop)
            hop.mac, hop.resolved_at = mac, now
            self._by_mac.setdefault(mac, {})[hop] = None
            self._plan_places(hop, now)

    def _forget_mac(self, hop: Hop) -> None:
        if hop.mac is not None:
            self._rule_set.unwant(rules.for_hop_mac(hop.mac, hop.address.version))
            there = self._by_mac[hop.mac]
            del there[hop]
            if not there:
                del self._by_mac[hop.mac]
            hop.mac = None

    # --- where they are -----------------------------------------------------------------------------------------

    def place_lost(self, mac: Mac, now: Instant) -> None:
        """Ask for who has this MAC address: whatever comes with the answer shows where that is."""
        for hop in self._by_mac.get(mac, ()):
            if now - hop.place_asked_at >= URGENT_FIRST_S:
                hop.place_asked_at = now
                self._commands.append(ev.ProbeNeighbour(hop.index, hop.address))

    def _plan_places(self, hop: Hop, now: Instant) -> None:
        if self._places_due is None and hop.urgent and hop.mac is not None:
            self._places_due = now + PLACES_S

    def _confirm_places(self, now: Instant) -> None:
        """Have each place looked after that a controller needs; those of managers are asked for when they are lost."""
        self._places_due = None
        for hop in self._hops.values():
            if hop.urgent and hop.mac is not None:
                self._places_due = now + PLACES_S
                if hop.resolved:  # else it is asked for in any case
                    self._commands.append(ev.ConfirmPlace(hop.index, hop.address, hop.mac))

    # --- asking -------------------------------------------------------------------------------------------------

    def suspect(self, hop: Hop, now: Instant) -> None:
        """A channel through this hop is silent: ask it, whatever the kernel says of it."""
        if not hop.suspected:
            hop.suspected = True
            self._ask_soon(hop, now)

    def trust(self, hop: Hop) -> None:
        """A channel through this hop works."""
        if hop.suspected:
            hop.suspected = False
            if hop.resolved:
                self._agenda.stop_asking(hop)

    def ask_anew(self, version: int, now: Instant) -> None:
        """Ask at once for what controllers wait for: so far there was no address of this IP version to ask from."""
        for hop in self._hops.values():
            if hop.urgent and not hop.resolved and hop.address.version == version:
                self._agenda.ask_soon(hop, now)
                hop.questions = 1  # the kernel's own question waits for its timer, so one of ours goes too
                self._ask_if_due(hop, now)

    def time_passed(self, now: Instant) -> None:
        """Ask for those whose time has come, and forget what was kept for long enough."""
        if self._places_due is not None and self._places_due <= now:
            self._confirm_places(now)
        for hop in self._agenda.due(now):
            if hop.hold_until is not None and hop.hold_until <= now:
                hop.hold_until = None
                self._forget_mac(hop)
            self._ask_if_due(hop, now)

    def _ask_soon(self, hop: Hop, now: Instant) -> None:
        self._agenda.ask_soon(hop, now)
        self._ask_if_due(hop, now)

    def _ask_if_due(self, hop: Hop, now: Instant) -> None:
        if hop.ask_at is None or hop.ask_at > now:
            return
        if not hop.resolved:
            self._commands.append(ev.SolicitNeighbour(hop.index, hop.address))
        if hop.resolved or hop.questions:
            # The kernel sends the first question itself, and no second one before its own timer.
            self._commands.append(ev.ProbeNeighbour(hop.index, hop.address))
        self._agenda.ask_again(hop, now)
