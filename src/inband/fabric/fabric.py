"""The neighbours of one bridge: every port's link, and what is done when one changes.

When a neighbour that was two-way is lost, or its link goes down: the places that were learned there are forgotten, the
other neighbours hear of a change, which they pass on, and everyone who hears of it asks for its next hops a moment
later, for their answers, and the questions themselves, show the ways that are left. A question that gets no answer is
asked again, QUESTIONS_S.

What follows from what neighbours tell is done with the next TimePassed, which is due at once: where many frames wait,
when all of them are read.

``next_deadline`` says when TimePassed is due. Late by more than LATE_S means that this process stalled: then it looks
at what waits to be read before it judges others.

Invariants: each event's work is bounded by the number of ports. Nothing that a neighbour sends raises anything.
"""

from __future__ import annotations

from dataclasses import replace
from heapq import nsmallest
from random import Random
from typing import Any, assert_never

from inband.errors import WireError
from inband.fabric import events as ev
from inband.fabric import need
from inband.fabric.changes import Changes
from inband.fabric.description import DescribedLink, Description
from inband.fabric.distances import MAX_OF_NEIGHBOUR, Station
from inband.fabric.events import Command, LinkState
from inband.fabric.hello import (
    MAX_ADDRESSES,
    NEEDS,
    UPDATE,
    Change,
    Hello,
    Wanted,
    body_of,
    decode,
    encode,
    frame,
    source_of,
    split_hash,
    update_kind,
)
from inband.fabric.keys import Hashed, NetworkKeys
from inband.fabric.link import Link, Transition, sender_of
from inband.fabric.map_message import MapMessage
from inband.fabric.map_message import decode as decode_map
from inband.fabric.map_message import encode as encode_map
from inband.fabric.need import Need
from inband.fabric.needs import MAX_OF_NEIGHBOUR as MAX_NEEDS
from inband.fabric.needs import Needs
from inband.fabric.network_map import NetworkMap
from inband.fabric.update import Update
from inband.fabric.update import decode as decode_update
from inband.fabric.update import encode as encode_update
from inband.fabric.ways import Ways
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import IpAddress, Mac, address_key
from inband.vocabulary.instant import Instant, earliest

LATE_S = 0.01
# So many hellos leave at once, which takes a few milliseconds; the next ones leave when everything else had its turn.
TOGETHER = 64
# LOCAL's addresses are in a hello as often as this, for each port; in between hellos are small.
INTRODUCE_S = 1.0
# When next hops are asked for after a change: first when the others have heard of it, and not by all at once.
FIRST_S, JITTER_S = 0.003, 0.004
QUESTIONS_S = (0.006, 0.012, 0.025, 0.06, 0.12, 0.3)
# While a round has hardly begun another change begins no new one.
ROUND_S = 0.03


class Fabric:
    """Sans-IO. ``switch`` is this switch's datapath id; ``random`` chooses the boot number and moments to ask."""

    def __init__(self, switch: int, random: Random) -> None:
        self.switch = switch
        self.boot = random.getrandbits(32)
        self.links: dict[PortNo, Link] = {}
        self.changes = Changes(switch, self.boot)
        self.foreign = 0
        self.keys: NetworkKeys | None = None
        self.ways: Ways | None = None
        """What neighbours say of distances; None: there is no key."""
        self.needs: Needs | None = None
        """What neighbours say of needs; None: there is no key."""
        self.map: NetworkMap | None = None
        """What switches say of themselves; None: there is no key."""
        self._own_needs: tuple[Need, ...] = ()
        self._control = ev.ControlDescribed("", ())
        self._is_described = False
        self._random = random
        self._local: tuple[Mac | None, tuple[IpAddress, ...]] = (None, ())
        self._introduced: dict[PortNo, Instant] = {}
        self._questions: list[Instant] = []
        self._asked_at: Instant = float("-inf")
        self._is_first_question = False
        self._commands: list[Command] = []
        self._due: Instant | None = None
        self._is_due_known = False
        self._heard_at: Instant = float("-inf")

    # --- what the outside calls -------------------------------------------------------------------------------------

    def handle(self, event: ev.Event, now: Instant) -> list[Command]:
        """Take one event; returns what to do, in this order."""
        self._is_due_known = False
        match event:  # the most frequent first
            case ev.FrameReceived(port, data):
                self._receive(port, data, now)
            case ev.TimePassed():
                self._run(now)
            case ev.ControlPortsChanged(ports, quiet):
                for link in self.links.values():
                    link.set_control(now, carries=link.port in ports, is_quiet=link.port in quiet)
            case ev.PortChanged():
                self._port_changed(event, now)
            case ev.PortRemoved(port):
                self._port_removed(port, now)
            case ev.LocalChanged(mac, addresses):
                self._local = (mac, addresses[:MAX_ADDRESSES])
                self._introduced.clear()
                self._is_described = False
                self._tell_local()
            case ev.StationsProven(stations):
                if self.ways is not None:
                    self.ways.set_proven(stations)
            case ev.NeedsChanged(needs):
                self._own_needs = needs
                self._tell_needs()
            case ev.ControlDescribed():
                self._control, self._is_described = event, False
            case ev.KeysChanged(keys):
                self._keys_changed(keys, now)
            case _:
                assert_never(event)
        if isinstance(event, ev.FrameReceived):
            self._heard_at = now
        else:
            self._follow_ways(now)
            self._follow_needs(now)
            self._follow_map(now)
        commands, self._commands = self._commands, []
        return commands

    def next_deadline(self) -> Instant | None:
        """When TimePassed is due; None when nothing is planned."""
        if not self._is_due_known:
            self._due, self._is_due_known = self._find_deadline(), True
        return self._due

    def _find_deadline(self) -> Instant | None:
        return earliest(self._links_due(), self._told_due())

    def _links_due(self) -> Instant | None:
        dues = [due for link in self.links.values() for due in (link.hello_at, link.lost_at) if due is not None]
        return min(dues + self._questions[:1], default=None)

    def _told_due(self) -> Instant | None:
        """When something follows from what is told; what neighbours have told is due at once."""
        if self.ways is None or self.needs is None or self.map is None:
            return None
        if not (self.ways.is_quiet and self.needs.is_quiet and self._is_described):
            return self._heard_at
        due = earliest(self.ways.next_deadline(), self.needs.next_deadline(), self.map.next_deadline())
        return None if due is None else max(due, self._heard_at)

    # --- ports ------------------------------------------------------------------------------------------------------

    def _port_changed(self, event: ev.PortChanged, now: Instant) -> None:
        link = self.links.get(event.port)
        if link is None:
            link = Link(event.port, event.mac, self.boot, keyed=self.keys is not None, since=now)
            self.links[event.port] = link
        link.mac = event.mac
        carried = link.carries_control(now)
        transition = link.set_up(now, up=event.link_up)
        self._follow(link, transition, now)
        if carried and not event.link_up and transition is None:
            self._something_changed(now)

    def _port_removed(self, port: PortNo, now: Instant) -> None:
        link = self.links.get(port)
        if link is None:
            return
        self._follow(link, link.set_up(now, up=False), now)
        del self.links[port]
        self._is_described = False
        self._introduced.pop(port, None)
        self.changes.forget_port(port)

    # --- the key ----------------------------------------------------------------------------------------------------

    def _keys_changed(self, keys: NetworkKeys | None, now: Instant) -> None:
        """Other keys; neighbours are met anew only where there was none, or is none any more."""
        is_other = (keys is None) is not (self.keys is None)
        self.keys = keys
        if is_other:
            forgotten = () if self.ways is None else tuple(self.ways.distances.routes)
            self.ways, self.needs = (None, None) if keys is None else (Ways(now), Needs())
            self.map = None if keys is None else NetworkMap(self.switch)
            self._is_described = False
            self._commands += [ev.FollowPaths(forgotten), ev.FollowNeeds()]
            self._tell_local()
            self._tell_needs()
        for link in self.links.values() if is_other else ():
            link.set_keyed(now, keyed=keys is not None)
        self._say_hellos(now)

    # --- distances --------------------------------------------------------------------------------------------------

    def _tell_local(self) -> None:
        mac, addresses = self._local
        if self.ways is not None:
            stations = () if mac is None else (Station(address_key(each), mac) for each in addresses)
            self.ways.set_local(frozenset(stations))

    def _tell_needs(self) -> None:
        if self.needs is not None:
            self.needs.set_own(dict.fromkeys(self._own_needs))

    def _receive_update(self, link: Link, data: bytes, kind: int, now: Instant) -> None:
        """Take what is told, of a neighbour that is there and to whom this switch is."""
        ways, needs = self.ways, self.needs
        if ways is None or needs is None or not link.may_take(now, is_update=True):
            return
        before = ways.distances.refused, needs.distances.refused
        try:
            body = body_of(data)
            if body is None or not self._is_signed_right(link, body, data):
                return
            if kind == UPDATE:
                update = decode_update(body)
                if self._is_of_neighbour(link, update):
                    ways.hear(link.port, update, now)
            elif kind == NEEDS:
                told = need.decode(body)
                if self._is_of_neighbour(link, told):
                    needs.hear(link.port, told, now)
            else:
                self._hear_map(link, decode_map(body), now)
        except WireError as error:
            link.note_malformed(error)
        if ways.distances.refused > before[0]:
            link.remark = f"a neighbour tells of more stations than the {MAX_OF_NEIGHBOUR} that are kept"
        if needs.distances.refused > before[1]:
            link.remark = f"a neighbour tells of more needs than the {MAX_NEEDS} that are kept"

    def _hear_map(self, link: Link, message: MapMessage, now: Instant) -> None:
        if self.map is not None and self._is_of_neighbour(link, message):
            self.map.hear(link.port, message, now)

    def _is_of_neighbour(self, link: Link, update: Update[Any, Any]) -> bool:
        """Whether an update is the neighbour's that is there, and for this life of this switch; it is counted."""
        peer, is_met = link.peer, self.ways is not None and self.ways.has_met(link.port, update.boot)
        is_right = peer is not None and sender_of(peer) == sender_of(update) and update.to_boot == self.boot
        if is_met and is_right:
            link.counters.updates_received += 1
            return True
        link.counters.ignored += 1
        return False

    def _follow_ways(self, now: Instant) -> None:
        """Carry out what follows from distances: paths first, then what neighbours are told."""
        ways = self.ways
        if ways is None or self.keys is None:
            return
        due = ways.next_deadline()
        if ways.is_quiet and (due is None or due > now):  # as with nearly each hello
            return
        if ways.run(now):  # some word of a neighbour may be that of a dead one, and two raises show whose
            self._something_changed(now)
        changed = ways.take_changed()
        if changed:
            self._commands.append(ev.FollowPaths(changed))
        for port, update in ways.take_updates(self.switch, self.boot, now):
            self._send_signed(port, encode_update(update))

    def _follow_needs(self, now: Instant) -> None:
        """Carry out what follows from needs."""
        needs = self.needs
        if needs is None or self.keys is None:
            return
        due = needs.next_deadline()
        if needs.is_quiet and (due is None or due > now):
            return
        if needs.run(now):
            self._something_changed(now)
        if needs.has_news:
            needs.has_news = False
            self._commands.append(ev.FollowNeeds())
        for port, told in needs.take_updates(self.switch, self.boot, now):
            self._send_signed(port, need.encode(told))

    def _follow_map(self, now: Instant) -> None:
        """Tell what has changed of this switch, and pass on what others have told."""
        if self.map is None:
            return
        if not self._is_described:
            self._is_described = True
            self.map.describe(self.describe(), now)
        due = self.map.next_deadline()
        if due is not None and due <= now:
            for port, message in self.map.run(self.boot, now):
                self._send_signed(port, encode_map(message))

    def describe(self) -> Description:
        """What this switch is like. A neighbour that is lost is told of until another one is there."""
        links = tuple(
            DescribedLink(int(port), link.peer.switch, link.peer.port, link.state is LinkState.TWO_WAY)
            for port, link in sorted(self.links.items())
            if link.peer is not None and link.state in (LinkState.TWO_WAY, LinkState.LOST)
        )
        return Description(self._control.name, self._local[1], links, self._control.ways)

    def _send_signed(self, port: PortNo, body: bytes) -> None:
        link = self.links[port]
        link.counters.updates_sent += 1
        signed = body if self.keys is None else self.keys.sign(body, link.mac)
        self._commands.append(ev.Send(port, frame(signed, link.mac)))

    def _follow_neighbour(self, link: Link) -> None:
        """Whom distances, needs and the map are told to, and taken from."""
        peer = link.peer
        for told in (self.ways, self.needs, self.map):
            if told is None:
                continue
            if link.state is not LinkState.TWO_WAY or peer is None:
                told.part(link.port)
            elif not told.has_met(link.port, peer.boot):
                told.meet(link.port, peer.boot)

    def _is_signed_right(self, link: Link, body: bytes, data: bytes) -> bool:
        """Whether a message counts, by its hash; what is odd is said once. Raises WireError."""
        if self.keys is not None:
            found = self.keys.look(body, source_of(data))
        elif link.state is LinkState.TWO_WAY or split_hash(body)[1] is None:
            return True
        else:  # it cannot be checked, and its sender does not hear this switch
            found = Hashed.UNEXPECTED
        if found is not Hashed.RIGHT and link.blame(found):
            self._commands.append(ev.TellRefused(link.port, str(found)))
        return found in (Hashed.RIGHT, Hashed.UNEXPECTED)

    # --- frames -----------------------------------------------------------------------------------------------------

    def _receive(self, port: PortNo, data: bytes, now: Instant) -> None:
        link = self.links.get(port)
        if link is None or not link.up:
            return
        kind = None if self.ways is None else update_kind(data)
        if kind is not None:
            self._receive_update(link, data, kind, now)
            return
        if not link.may_take(now):
            return
        try:
            body = body_of(data)
            hello = None if body is None else decode(body)
            if hello is not None and body is not None and not self._is_signed_right(link, body, data):
                return
        except WireError as error:
            link.note_malformed(error)
            return
        if hello is None:
            self.foreign += 1
        elif hello.switch == self.switch:
            self._hear_own_id(link, hello)
        else:
            self._hear(link, hello, now)

    def _hear_own_id(self, link: Link, hello: Hello) -> None:
        link.counters.ignored += 1
        if hello.boot == self.boot:
            link.remark = f"this port is joined to port {hello.port} of this switch"
        else:
            link.remark = f"another switch has the datapath id of this one: {hello.switch:016x}"

    def _hear(self, link: Link, hello: Hello, now: Instant) -> None:
        counted = link.counters.received
        self._follow(link, link.hear(hello, now), now)
        self._follow_neighbour(link)
        if link.counters.received == counted:
            return
        self._say_hellos(now)
        if link.keyed and link.state is not LinkState.TWO_WAY:
            return  # it may have been recorded
        for change in hello.changes:
            news = self.changes.accept(change, link.port, now)
            if news is not None:
                self._pass_on(news, hello.wanted, link.port, now)
                self._act_upon_change(hello.wanted, now)

    # --- changes ----------------------------------------------------------------------------------------------------

    def _follow(self, link: Link, transition: Transition | None, now: Instant) -> None:
        if transition is None or transition.old is transition.new:
            return
        self._is_described = False
        is_there = transition.new is LinkState.TWO_WAY
        if link.peer is not None and (is_there or transition.old is LinkState.TWO_WAY):
            self._commands.append(ev.TellNeighbour(link.port, link.peer.switch, is_there, transition.reason))
        self._follow_neighbour(link)
        if transition.new is LinkState.LOST:
            self._commands.append(ev.ForgetPlaces(link.port))
            # A neighbour that fell silent may be dead, and its word with others too: then all is to be told anew.
            wanted = None if link.up or self.ways is None else self.ways.wanted()
            self._something_changed(now, wanted)

    def _something_changed(self, now: Instant, wanted: Wanted = None) -> None:
        change = self.changes.originate(now)
        if change is not None:
            self._pass_on(change, wanted, None, now)
            self._act_upon_change(wanted, now)

    def _pass_on(self, change: Change, wanted: Wanted, came_by: PortNo | None, now: Instant) -> None:
        if change.hops:
            for link in self.links.values():
                if link.port != came_by:
                    link.pass_on(change, wanted, now)
        self._say_hellos(now)  # at once: who hears of it is asked a moment later

    def _act_upon_change(self, wanted: Wanted, now: Instant) -> None:
        if self.ways is not None and self.needs is not None:
            self.ways.topology_changed(now, wanted)
            self.needs.topology_changed(now)
        self._commands.append(ev.DoubtPlaces())
        for link in self.links.values():
            link.alert(now)
        if now - self._asked_at < ROUND_S:
            return
        self._asked_at = now
        first = now + FIRST_S + self._random.random() * JITTER_S
        self._questions = [first, *(first + later for later in QUESTIONS_S)]
        self._is_first_question = True

    # --- time -------------------------------------------------------------------------------------------------------

    def _run(self, now: Instant) -> None:
        due = self._links_due()
        is_late = due is not None and now - due > LATE_S
        for link in list(self.links.values()):
            if is_late:
                link.excuse(now)
            self._follow(link, link.run(now), now)
        while self._questions and self._questions[0] <= now:
            del self._questions[0]
            self._commands.append(ev.AskNextHops(self._is_first_question))
            self._is_first_question = False
        if any(link.hello_at is not None and link.hello_at <= now for link in self.links.values()):
            self._say_hellos(now)

    def _say_hellos(self, now: Instant) -> None:
        """Send what is due, and what may join in: who is awake says and hears all at once, on many ports."""
        ready = [
            (link.hello_at, link)
            for link in self.links.values()
            if link.hello_at is not None and now >= min(link.hello_at, link.may_join_at)
        ]
        if len(ready) > TOGETHER:
            ready = nsmallest(TOGETHER, ready, key=_due_of)
        for _, link in ready:
            self._commands.append(ev.Send(link.port, self._introduce(link, now)))

    def _introduce(self, link: Link, now: Instant) -> bytes:
        """A hello, now and then with who LOCAL is."""
        hello = link.next_hello(self.switch, now)
        told_at = self._introduced.get(link.port)
        if told_at is None or now - told_at >= INTRODUCE_S:
            self._introduced[link.port] = now
            mac, addresses = self._local
            hello = replace(hello, mac=mac, addresses=addresses)
        body = encode(hello)
        return frame(body if self.keys is None else self.keys.sign(body, link.mac), link.mac)


def _due_of(planned: tuple[Instant, Link]) -> Instant:
    return planned[0]
