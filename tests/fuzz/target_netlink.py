"""What the kernel says by netlink: through every reader, into what is kept of it, and into a whole bridge.

Checked beside that nothing but WireError is raised: what is kept is what was said last; after a dump that mentions a
part of it the rest is gone; each question for a route has at most one answer; a bridge goes on, and has its rules.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address, ip_interface

from inband.errors import WireError
from inband.host import codec, htb, rtnetlink, tc
from inband.host.codec import Message
from inband.host.events import AddressChanged, HostEvent, LinkChanged, LinkRemoved, NextHopFound, Resynchronised
from inband.host.netlink_socket import Trouble
from inband.host.notifications import decode
from inband.host.route_lookup import RouteLookups
from inband.host.state import KernelState
from inband.runtime.queues import decode_classes
from inband.vocabulary.addresses import Mac
from tests.fuzz.fuzzing import Script, Target, sized
from tests.unit.switch.bench import ADDRESS, LOCAL, Bench

# Kinds of messages that a byte of the input stands for, the most frequent twice.
KINDS = (
    rtnetlink.RTM_NEWLINK, rtnetlink.RTM_DELLINK, rtnetlink.RTM_NEWADDR, rtnetlink.RTM_DELADDR, rtnetlink.RTM_NEWROUTE,
    rtnetlink.RTM_DELROUTE, rtnetlink.RTM_NEWNEIGH, rtnetlink.RTM_DELNEIGH, rtnetlink.RTM_NEWRULE, 36, 40, 44, 100,
    rtnetlink.RTM_NEWNEXTHOP, codec.NLMSG_ERROR, codec.NLMSG_DONE,
)  # fmt: skip
RAW, READERS, BRIDGE = range(3)
DESTINATIONS = tuple(map(ip_address, ("192.0.2.1", "2001:db8::1", "10.0.0.1")))


def check(data: bytes) -> None:
    """A byte that says what the rest is: a datagram, messages for the readers, or for a bridge."""
    script = Script(data)
    mode = script.number() % 3
    if mode == RAW:
        with suppress(WireError):
            _check_readers(list(codec.split(script.take(len(data)))))
        return
    messages = list(_messages(script))
    again = [each for message in messages for each in codec.split(codec.message(*message))]
    assert again == messages, "a message is read as another one than was written"
    (_check_bridge if mode == BRIDGE else _check_readers)(messages)


def _messages(script: Script) -> Iterable[Message]:
    while script:
        kind = KINDS[script.number() % len(KINDS)]
        yield Message(kind, 0, script.number(), script.sized(1))


def _check_readers(messages: list[Message]) -> None:
    readers: tuple[Callable[[bytes], object], ...] = (
        rtnetlink.read_link, rtnetlink.read_address, rtnetlink.read_route, tc.read, htb.read, codec.error_number,
        codec.error_words, lambda body: decode_classes([body], Trouble(lambda: 0.0)), codec.attributes,
    )  # fmt: skip
    for message in messages:
        for reader in readers:
            with suppress(WireError):
                reader(message.body)
        with suppress(WireError):
            tc.interface_of(message)
    _check_state([event for event, _ in _events(messages)])
    _check_lookups(messages)


def _events(messages: Iterable[Message]) -> Iterable[tuple[HostEvent, int]]:
    for message in messages:
        with suppress(WireError):
            decoded = decode(message)
            if decoded is not None:
                yield decoded if isinstance(decoded, tuple) else (decoded, 0)


def _check_state(events: list[HostEvent]) -> None:
    state, links = KernelState(), dict[int, LinkChanged]()
    for event in events:
        state.note(event)
        match event:
            case LinkChanged(index=index):
                links[index] = event
                assert state.link_named(event.name) == event
            case LinkRemoved(index=index):
                links.pop(index, None)
            case AddressChanged():
                there = event.address in {each.address for each in state.addresses_of(event.index)}
                assert there or not event.present
    assert {each.index: each for each in state.links} == links
    _check_dump(state, events[::2])


def _check_dump(state: KernelState, mentioned: list[HostEvent]) -> None:
    fresh = KernelState()
    state.begin_dump()
    for event in mentioned:
        state.note(event)
        fresh.note(event)
    for event in state.end_dump():
        state.note(event)
    assert set(state.links) == set(fresh.links)
    assert not state.end_dump()


def _check_lookups(messages: list[Message]) -> None:
    lookups = RouteLookups(lambda index: f"eth{index}")
    for destination in DESTINATIONS:
        lookups.ask(destination)
    lookups.requests(0.0)
    answers: list[NextHopFound] = []
    for message in messages:
        with suppress(WireError):
            found = lookups.receive(message)
            answers += [] if found is None else [found]
    answers += lookups.settled()
    assert len({answer.destination for answer in answers}) == len(answers)


def _check_bridge(messages: list[Message]) -> None:
    bench = Bench()
    managed = bench.managed
    managed.host_event(NextHopFound(ADDRESS, None))
    for event, _ in _events(messages):
        managed.host_event(event)
        bench.pass_time(0.1)
    managed.host_event(Resynchronised())
    bench.pass_time(1.0)
    letters = {flow.origin.letter for flow in managed.bridge.tables.hidden() if flow.origin}
    assert {"h", "i"} <= letters, "the controller is not protected any more"


# --- good inputs ---------------------------------------------------------------------------------------------------


def seeds() -> Iterable[bytes]:
    """Every kind of message, about the bridge's interface, by each way of looking at it."""
    index, mac = LOCAL.index, Mac(0x020000000009).packed
    link = rtnetlink.link_body(
        index, codec.text(rtnetlink.IFLA_IFNAME, "br0"), codec.attribute(rtnetlink.IFLA_ADDRESS, mac),
        codec.number(rtnetlink.IFLA_MTU, 1500, 4), flags=rtnetlink.IFF_UP | rtnetlink.IFF_RUNNING,
    )  # fmt: skip
    addresses = [rtnetlink.address_body(index, ip_interface(text)) for text in ("192.0.2.7/24", "2001:db8::7/64")]
    hop, far = (codec.attribute(rtnetlink.RTA_GATEWAY, bytes((192, 0, 2, 254))), bytes((192, 0, 2, 1)))
    route = rtnetlink.ROUTE.pack(2, 24, 0, 0, 254, 4, 0, 1, 0) + codec.attribute(rtnetlink.RTA_DST, far) + hop
    route += codec.number(rtnetlink.RTA_OIF, index, 4)
    neighbour = rtnetlink.NEIGHBOUR.pack(2, index, rtnetlink.NUD_REACHABLE, 0, 1)
    neighbour += codec.attribute(rtnetlink.NDA_DST, far) + codec.attribute(rtnetlink.NDA_LLADDR, mac)
    error = struct.pack("=i", -101) + bytes(16)
    queue = tc.body(index, 0x10002, 0xFFFFFFFF, 0, "htb", codec.attribute(1, bytes(44)))
    rows = [
        (0, link), (2, addresses[0]), (2, addresses[1]), (4, route), (6, neighbour), (9, queue), (10, queue),
        (7, neighbour), (14, error), (15, error), (3, addresses[0]), (1, link),
    ]  # fmt: skip
    for mode in (READERS, BRIDGE):
        yield bytes((mode,)) + b"".join(
            bytes((kind, number % 4)) + sized(body, 1) for number, (kind, body) in enumerate(rows)
        )
        for kind, body in rows:
            yield bytes((mode, kind, 1)) + sized(body, 1)
    yield bytes((RAW,)) + b"".join(codec.message(KINDS[kind], 0, 1, body) for kind, body in rows[:4])


WORDS = tuple(
    struct.pack("=HH", size, kind)
    for size, kind in ((8, 1), (8, 2), (8, 3), (10, 1), (10, 2), (20, 1), (20, 5), (8, 4), (8, 5), (8, 18), (5, 26))
)
TARGET = Target(check, seeds, WORDS, max_bytes=1000)
