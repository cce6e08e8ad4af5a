"""Where the stations of control are, by proof: behind which port each next hop of this switch answered.

Any host can send with a next hop's MAC address, or say in ARP that it has a next hop's IP address. If that were enough
to move a next hop, each host could draw the control channel to itself, by three frames a second and for ever. So a
place is believed once there is proof, which is an exchange that this switch began: LOCAL asked for the address, and the
answer came to LOCAL. From then on the MAC address is pinned to that port (``fdb``), and who says something else from
another port, or another MAC address from the same one, *contradicts*: its packets are no control traffic, and teach
nothing.

A contradiction starts a question, though, for stations do move. It goes to the known place alone: the answer settles
the matter. Only when that place is silent for ``ANSWER_S`` is the proof given up (``Lapse``). Then everybody is asked,
and the first answer is believed, as at the beginning. So a host can take a place only while its owner is silent, and an
owner that moves waits for ``ANSWER_S``. The switches behind this one are asked for that address, too, each by its own
MAC address: they cannot know better, but see that there is a doubt. So a row of switches asks at the same time.

Who was first might be a host that lies, if the owner was not there yet. It can answer questions, but a channel through
it does not come up, or falls silent. After ``DOUBTFUL_S`` of silence, or ``TURN_S`` without any channel, an answer
protects a place no longer against others that answer, too. Each of them gets its turn.

*Switches behind this one* have no exchange that this switch began. Whom a controller has answered at an address of our
network is taken for one: its addresses are believed where it was first, and asked for there when something else
contradicts. From another port its frames pass, for it may have another way to the controller now, but they teach
nothing before the old place was silent. Its IP address at another MAC address is no control, or a host could tell the
controller that the switch is where it is itself. There are ``MAX_PEERS`` of them for each port. LOCAL's own addresses
no one else has.

*By word.* In a network with a key neighbours say where stations are (``fabric.distances``), and that is believed like
proof. On ports without such a neighbour what contradicts does so as ever; on ports with one (``trusted``) nothing does,
for ways there and back may differ. What has proven itself here, on a port without a neighbour, is not moved by a word.

When neighbours say that a link died somewhere (``fabric``), all places are asked, and given up after ``SOON_S``: the
ways of several stations have changed at once, and each of them answers within a few milliseconds if it is where it was.
A station whose answers take longer (``answer_times``) is given more.

Not here: who is a next hop (``hops``, a live view of the engine's), and what carries questions out.

Invariants:
- Work per call is constant. At most one doubt for each station.
- With nothing proven, nothing contradicts: what in-band control takes is then what it would take without this.
- A place that the FDB has forgotten (its port went down, it is too old) is not proven any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator

from inband.flow.ports import PortNo
from inband.pipeline.answer_times import AnswerTimes
from inband.pipeline.fdb import MOVE_HOLD_S, Fdb, FdbKey, Learned
from inband.pipeline.patience import (
    AGAIN_FRESH_S,
    AGAIN_S,
    AGAIN_SOON_S,
    ANSWER_S,
    ASKED_S,
    DOUBTFUL_S,
    INSISTENT_S,
    KNOWN_S,
    MARGIN_S,
    MAX_SOON,
    PAUSE_S,
    SOON_MAX_S,
    SOON_S,
)
from inband.pipeline.stations import Claim, Doubt, Held, Lapse, Question, Station, is_peer, no_next_hop, no_next_hops
from inband.vocabulary.addresses import AddressKey, Mac
from inband.vocabulary.instant import Instant

# For so long a place is left to show that a channel through it comes up: TCP's first try may be lost, the second comes
# after a second (RFC 6298, 2).
TURN_S = 2.5
MAX_ASKERS = 1024  # questions of others are remembered, to let the answers pass
# Switches behind a port, or hosts that a controller has answered. One that was heard lately makes no room for another:
# controllers and switches say something each few seconds.
MAX_PEERS, SILENT_PEER_S = 256, 60.0


class Places:
    """The stations of one bridge. ``vlan`` is that of control, 0 for untagged.

    ``hops`` are the next hops in use, ``own`` LOCAL's addresses, ``networks`` those that LOCAL is in, as (version,
    address, netmask). ``next_hop_of`` says through which of them a remote is reached, None: not known.
    ``hops_towards`` says it also of neighbours' remotes, and before a MAC address is known.
    ``news``: there is something for ``take_questions`` and its like, or a proof more or less (``has_changed``).
    """

    def __init__(self, fdb: Fdb) -> None:
        self.vlan = 0
        self.hops: Container[AddressKey] = ()
        self.own: Container[AddressKey] = ()
        self.networks: Collection[tuple[int, int, int]] = ()
        self.next_hop_of: Callable[[AddressKey], AddressKey | None] = no_next_hop
        self.hops_towards: Callable[[AddressKey], Collection[AddressKey]] = no_next_hops
        self.trusted: frozenset[PortNo] = frozenset()
        """Ports with a neighbour of the network's key."""
        self.switches: Container[PortNo] = ()
        """Ports with a neighbour, of the network's key or without one: what is there says to be a switch."""
        self.heard_by: dict[PortNo, None] = {}
        """Of these, where next hops' packets come in that are sent elsewhere: neighbours have other ways than we."""
        self.news = False
        self.has_changed = False
        self.gateways: dict[AddressKey, None] = {}
        """IPv6 addresses of stations through which a remote is reached, and which are no remotes themselves."""
        self._fdb = fdb
        self._stations: dict[AddressKey, Station] = {}
        self._by_mac: dict[int, AddressKey] = {}
        self._peers: dict[PortNo, dict[AddressKey, None]] = {}
        self.answer_times = AnswerTimes()
        self._asked: dict[AddressKey, Instant] = {}
        self._askers: dict[tuple[AddressKey, int], Instant] = {}
        self._doubts: dict[AddressKey, Doubt] = {}
        self._hurried_at: Instant = float("-inf")
        self._questions: list[Question] = []
        self._lapsed: list[Lapse] = []

    def clear(self) -> None:
        """Know nothing any more; ``vlan`` may change then."""
        for station in list(self._stations.values()):
            self._forget(station)
        self._asked.clear()
        self._askers.clear()
        self._doubts.clear()
        self._peers.clear()

    # --- what packets say ---------------------------------------------------------------------------------------

    def station(self, address: AddressKey) -> Station | None:
        """The station that has this IP address, while its place is proven."""
        station = self._stations.get(address)
        if station is None:
            return None
        if station.has_word:
            station.is_peer = address not in self.hops
        if self.port_of(station) is None or station.is_peer is (address in self.hops):
            self._forget(station)
            return None
        return station

    def is_at(self, station: Station, port: PortNo) -> bool:
        """Whether its packets may come in by this port."""
        return self.port_of(station) == port or (station.has_word and port in self.trusted)

    # --- what neighbours say ------------------------------------------------------------------------------------

    def follow_word(self, address: AddressKey, mac: Mac, port: PortNo, now: Instant) -> None:
        """Neighbours have a station at this MAC address, by this port."""
        known = self.station(address)
        if address in self.own or (known is not None and self._is_here(known)):
            return
        if known is not None and known.mac != mac:
            self._fdb.forget(FdbKey(self.vlan, known.mac))
            self._forget(known)
            known = None
        if known is None:
            known = Station(address, mac, now, is_peer=address not in self.hops)
            self.has_changed |= not known.is_peer
        known.has_word = True
        self._believe(known, port, now)
        self.news = True

    def withdraw_word(self, address: AddressKey, mac: Mac) -> None:
        """They have no way to it any more: it is searched for."""
        station = self._stations.get(address)
        if station is not None and station.has_word and station.mac == mac:
            self._fdb.forget(FdbKey(self.vlan, mac))
            self._forget(station)
            self.news = True

    def _is_here(self, station: Station) -> bool:
        """Whether it has proven itself by an exchange of ours, behind a port without a neighbour."""
        return not (station.has_word or station.is_peer or self.port_of(station) in self.trusted)

    def proven_here(self) -> Iterator[tuple[AddressKey, Mac]]:
        """The next hops that are behind ports of this switch, and no other one."""
        for station in list(self._stations.values()):
            if self.station(station.address) is station and self._is_here(station):
                yield station.address, station.mac

    def trust(self, ports: frozenset[PortNo], switches: frozenset[PortNo] = frozenset()) -> None:
        """On these ports there are neighbours of the network's key, and on no others; on ``switches`` those without."""
        self.trusted, self.switches = ports, ports | switches
        self.heard_by = {port: None for port in self.heard_by if port in self.switches}
        self.news = self.has_changed = True

    def port_of(self, station: Station) -> PortNo | None:
        """Where it is."""
        return self._fdb.pinned.get(FdbKey(self.vlan, station.mac))

    def may_be_router(self, port: PortNo) -> bool:
        """Whether router advertisements from this port are believed: with a proven IPv6 gateway only where one is."""
        stations = [self.station(address) for address in list(self.gateways)]
        known = [station for station in stations if station is not None]
        return not known or any(self.is_at(station, port) for station in known)

    def owner(self, mac: int) -> Station | None:
        """A station that has this MAC address, while its place is proven."""
        address = self._by_mac.get(mac)
        return None if address is None else self.station(address)

    def meet(self, address: AddressKey, mac: int, port: PortNo, now: Instant) -> None:
        """A controller has answered someone: a switch behind this one, perhaps.

        Where its address was confirmed on another port a moment ago its segments only come by another way than before,
        which says nothing of where it is.
        """
        if address in self._stations or mac in self._by_mac or address in self.hops or not self._is_near(address):
            return
        if self._fdb.would_learn(self._fdb.key(self.vlan, mac), port, now, hold_s=MOVE_HOLD_S) is Learned.HELD:
            return
        peers = self._peers.setdefault(port, {})
        if len(peers) >= MAX_PEERS and not self._makes_room(port, now):
            return
        peers[address] = None
        self._believe(Station(address, Mac(mac), now, is_peer=True), port, now)

    def _makes_room(self, port: PortNo, now: Instant) -> bool:
        """Forget the switch behind a port that was met first, if it is silent; the next call looks at another one."""
        peers = self._peers[port]
        first = next(iter(peers))
        station = self._stations.get(first)
        if station is not None and not self.is_unheard(station.mac, SILENT_PEER_S, now):
            peers[first] = peers.pop(first)
            return False
        self._forget_peer(first, port)
        return True

    def _is_near(self, address: AddressKey) -> bool:
        version, number = address
        return any(version == each and number & mask == network for each, network, mask in self.networks)

    def _forget_peer(self, address: AddressKey, port: PortNo) -> None:
        del self._peers[port][address]
        station = self._stations.get(address)
        if station is None or station.has_word or not station.is_peer:
            return
        if self.port_of(station) in (port, None):
            self._forget(station)

    def stations(self) -> Iterator[tuple[PortNo, Station]]:
        """Everyone whose place is believed, and where that is."""
        for station in self._stations.values():
            port = self.port_of(station)
            if port is not None:
                yield port, station

    def peers(self) -> Iterator[tuple[PortNo, Mac]]:
        """Where switches behind this one are, as far as they were met."""
        return ((port, station.mac) for port, station in self.stations() if station.is_peer)

    def is_unheard(self, mac: Mac, age_s: float, now: Instant) -> bool:
        """Whether nothing is known of this MAC address, or nothing was heard from it for so long."""
        confirmed = self._fdb.confirmed_at(FdbKey(self.vlan, mac))
        return confirmed is None or now - confirmed > age_s

    def asks_local(self, address: AddressKey, now: Instant) -> None:
        """LOCAL asks for this address."""
        if address in self.hops:
            self._asked[address] = now
        elif address not in self._stations:
            return
        self.answer_times.ask(address, now)

    def asks(self, address: AddressKey, asker: int, to: int, now: Instant, *, is_for_local: bool) -> None:
        """Someone asks for a station; the answer may come from anywhere.

        Whoever asks one MAC address alone doubts it. If that is a switch behind this one, its way to the station is
        ours; if LOCAL is asked, that is by a switch before this one. All shall know at the same time.
        """
        station = self._stations.get(address)
        if station is not None:
            other = self.owner(asker) if to == station.mac and not station.is_peer else None
            if is_for_local or (other is not None and other.is_peer):
                self.doubt(station, now)
            self._askers.pop((address, asker), None)
            if len(self._askers) >= MAX_ASKERS:
                del self._askers[next(iter(self._askers))]
            self._askers[address, asker] = now

    def asks_us(self, asker: int, port: PortNo, now: Instant) -> None:
        """Someone asks LOCAL alone: the answer goes back the same way, wherever that address was heard last."""
        self._fdb.learn(self._fdb.key(self.vlan, asker), port, now)

    def is_awaited(self, station: Station, claim: Claim, now: Instant) -> bool:
        """Whether this tells the truth about a station's MAC address to someone who has just asked, from anywhere.

        The asker may have lost its way to the station, and ours may be the same one.
        """
        asked_at = self._askers.get((claim.address, claim.to))
        return claim.is_answer and claim.mac == station.mac and asked_at is not None and now - asked_at < ASKED_S

    def confirm(self, claim: Claim, port: PortNo, now: Instant, *, is_for_local: bool) -> None:
        """Take a claim that contradicts nothing: it shows that a station is there, or where it is."""
        station = self._stations.get(claim.address)
        if is_for_local and claim.is_answer:
            self.answer_times.answer(claim.address, now)
        if station is not None:
            if self.is_at(station, port):  # a switch behind this one is heard from elsewhere, too
                self._is_there(station, now)
        elif is_for_local and claim.is_answer and claim.mac and self._is_wanted(claim.address, now):
            self._prove(Station(claim.address, Mac(claim.mac), now), port, now)

    def _is_wanted(self, address: AddressKey, now: Instant) -> bool:
        """Whether it is a next hop's, and LOCAL has asked for it."""
        return address in self.hops and now - self._asked.get(address, float("-inf")) < ASKED_S

    def _prove(self, station: Station, port: PortNo, now: Instant) -> None:
        self._believe(station, port, now)
        if station.address[0] == 6 and self.next_hop_of(station.address) != station.address:
            self.gateways[station.address] = None
        self.news = self.has_changed = True

    def _believe(self, station: Station, port: PortNo, now: Instant) -> None:
        if self._stations.get(station.address) is not station or self.port_of(station) != port:
            station.moved_at = now
        self._fdb.pin(FdbKey(self.vlan, station.mac), port, now)
        self._stations[station.address] = station
        self._by_mac[station.mac] = station.address
        self._doubts.pop(station.address, None)

    def _is_there(self, station: Station, now: Instant) -> None:
        """The known place has answered."""
        doubt = self._doubts.pop(station.address, None)
        if doubt is None or doubt.held is None:
            return
        is_silent = station.insisted_at - station.insisting_since >= DOUBTFUL_S > now - station.insisted_at
        if (is_silent or station.is_failing) and now - station.since >= TURN_S:
            self._give_up(station, doubt)

    # --- doubts -------------------------------------------------------------------------------------------------

    def doubt(self, station: Station, now: Instant, held: Held | None = None) -> None:
        """Ask a station whether it is where it was; ``held``: the ARP or ND that says otherwise."""
        is_new = station.address not in self._doubts and self.is_fresh(station, now)
        if is_new and now - station.doubted_at >= AGAIN_FRESH_S:
            self._doubt_soon(station, now)
        doubt = self._doubts.get(station.address)
        if doubt is None:
            begin = max(now, station.doubted_at + PAUSE_S)
            doubt = self._doubts[station.address] = Doubt(begin, begin + ANSWER_S, held)
            self._ask(station, doubt, now)
        elif held is not None and not doubt.is_answered:
            doubt.held = held

    def answers_elsewhere(self, station: Station, now: Instant, held: Held | None) -> None:
        """A station has answered by another neighbour than the one behind which it is; ``held``: it has answered us.

        After a link died that is its way, unless the known place answers too, within the time that it usually takes.
        """
        self.doubt(station, now, held)
        doubt = self._doubts.get(station.address)
        if doubt is not None and doubt.is_soon:
            doubt.is_answered |= held is not None
            self.hasten(station, now)

    def is_fresh(self, station: Station, now: Instant) -> bool:
        """Whether it is believed to be where it is since a link died: it may have come by a way that was wrong."""
        return station.moved_at >= self._hurried_at > now - KNOWN_S

    def searches_there(self, address: AddressKey, port: PortNo, now: Instant) -> None:
        """All are asked for a station from where it is: after a link died someone has lost the way to it there."""
        station = self._stations.get(address)
        if station is not None and port in self.switches and self.port_of(station) == port:
            self.hasten(station, now)

    def hasten(self, station: Station, now: Instant) -> bool:
        """After a link died its place seems wrong: wait no longer than answers take. Whether it is given up now."""
        doubt, times = self._doubts.get(station.address), self.answer_times
        if doubt is not None and doubt.is_soon:
            usual_s = times.patience_s(station.address) or times.longest_s()  # who is behind others has never answered
            doubt.ends_at = min(doubt.ends_at, station.doubted_at + usual_s + MARGIN_S)
            self.news = True
            if doubt.ends_at <= now:
                del self._doubts[station.address]
                self._give_up(station, doubt)
                return True
        return False

    def hurry(self, now: Instant) -> None:
        """A link died somewhere: who is still where it was says so at once, or is looked for everywhere.

        A moment after another one it makes those answer again who have answered: that may be true no more.
        """
        is_first, stations = now - self._hurried_at >= AGAIN_SOON_S, sorted(self._stations.values(), key=is_peer)
        if is_first:
            self._hurried_at = now
        for known in stations[MAX_SOON:] if is_first else ():  # they stay until they are heard elsewhere
            if known.is_peer and not known.has_word:
                self._forget(known)
        for known in stations[:MAX_SOON]:
            station = self.station(known.address)
            if station is None or not self._is_doubtful(station):
                continue
            if is_first or (station.address not in self._doubts and now - station.doubted_at >= AGAIN_FRESH_S):
                self._doubt_soon(station, now)

    def is_lost(self, address: AddressKey, now: Instant) -> bool:
        """Whether a station has not said, since a link died somewhere, that it is where it was, and would have."""
        station = self.station(address)
        if station is not None and address not in self._doubts:
            has_answered = station.doubted_at >= self._hurried_at
            if has_answered or not self._is_doubtful(station):
                return False
        return not self.answer_times.is_waiting(address, now, SOON_MAX_S)

    def _doubt_soon(self, station: Station, now: Instant) -> None:
        ends_at = now + min(max(SOON_S, self.answer_times.patience_s(station.address)), SOON_MAX_S)
        doubt = self._doubts.setdefault(station.address, Doubt(now, ends_at))
        doubt.ask_at, doubt.ends_at, doubt.is_soon = now, min(doubt.ends_at, ends_at), True
        self._ask(station, doubt, now)
        station.doubted_at = now

    def turn_back(self, mac: Mac, now: Instant) -> bool:
        """The switch that we send to a station by sends here what is for it: one of the two is wrong.

        Whether its place is forgotten at once. A next hop is asked, and what neighbours say by the network's key holds.
        """
        station = self.owner(mac)
        if station is None or (station.is_peer and not station.has_word):
            self._fdb.forget(FdbKey(self.vlan, mac))
            if station is not None:
                self._forget(station)
            return True
        if not station.has_word and now - station.doubted_at >= AGAIN_SOON_S:
            self._doubt_soon(station, now)
        return self.hasten(station, now)

    def _is_doubtful(self, station: Station) -> bool:
        """Whether a link that died says anything of where a station is.

        Not where neighbours vouch for one, or it is here: to give up who only answers slowly would harm all others.
        """
        return not (self.trusted and (station.has_word or self._is_here(station)))

    def set_failing(self, address: AddressKey, *, is_failing: bool) -> bool:
        """No channel through a next hop works, or one does. Returns whether its place is proven."""
        station = self.station(address)
        if station is not None:
            station.is_failing = is_failing
        return station is not None

    def insist(self, address: AddressKey, now: Instant) -> None:
        """The engine asks for this address, for it cannot be sure of it."""
        station = self.station(address)
        if station is None:
            return
        if now - station.insisted_at > INSISTENT_S:
            station.insisting_since = now
        station.insisted_at = now
        self.doubt(station, now)

    def _ask(self, station: Station, doubt: Doubt, now: Instant) -> None:
        self.news = True  # the deadline is another one, at least
        if doubt.ask_at <= now:
            station.doubted_at = doubt.ends_at - ANSWER_S
            doubt.ask_at = now + max(AGAIN_S, min(self.answer_times.patience_s(station.address), SOON_MAX_S))
            is_known = now - self._hurried_at < KNOWN_S
            tells = doubt.held is not None and not (station.is_peer or doubt.is_told or is_known)
            doubt.is_told |= tells
            self._questions.append(Question(station.address, station.mac, tells, is_known))

    def next_deadline(self) -> Instant | None:
        """When ``run`` is due."""
        return min((min(doubt.ask_at, doubt.ends_at) for doubt in self._doubts.values()), default=None)

    def run(self, now: Instant) -> None:
        """Ask again, and give up who did not answer."""
        for address, doubt in list(self._doubts.items()):
            station = self.station(address)
            if station is None:
                del self._doubts[address]
            elif doubt.ends_at <= now:
                del self._doubts[address]
                self._give_up(station, doubt)
            else:
                self._ask(station, doubt, now)

    def _give_up(self, station: Station, doubt: Doubt) -> None:
        self._fdb.forget(FdbKey(self.vlan, station.mac))
        self._forget(station)
        self._lapsed.append(Lapse(station.address, doubt.held))

    def _forget(self, station: Station) -> None:
        del self._stations[station.address]
        self.gateways.pop(station.address, None)
        if self._by_mac.get(station.mac) == station.address:
            del self._by_mac[station.mac]
        if not any(other.mac == station.mac for other in self._stations.values()):
            self._fdb.pinned.pop(FdbKey(self.vlan, station.mac), None)
        if not station.is_peer:
            self.news = self.has_changed = True

    def take_questions(self) -> list[Question]:
        """What to ask now."""
        questions, self._questions = self._questions, []
        return questions

    def take_lapsed(self) -> list[Lapse]:
        """The places that are not proven any more."""
        lapsed, self._lapsed = self._lapsed, []
        return lapsed
