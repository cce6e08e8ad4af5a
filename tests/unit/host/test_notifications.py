"""The kernel's messages as events, beside pyroute2's message classes, which know the same formats independently."""

from __future__ import annotations

import contextlib
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from inband.errors import WireError
from inband.host import codec
from inband.host.codec import Message
from inband.host.events import AddressChanged, LinkChanged, LinkRemoved, NeighbourChanged, RoutesChanged
from inband.host.notifications import Decoded, decode
from inband.vocabulary.addresses import Mac
from tests.unit.host.netlink_oracle import written

MAC = Mac.parse("02:00:00:00:00:01")
V4, V6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")

LINK_FIELDS = {"index": 7, "flags": 0x1 | 0x40}
LINK_ATTRIBUTES = [("IFLA_IFNAME", "br0"), ("IFLA_MTU", 1400), ("IFLA_ADDRESS", str(MAC))]


def neighbour(address: str, state: int, *, mac: Mac | None = MAC, kind: int = 28, flags: int = 0) -> bytes:
    fields = {"family": 2 if "." in address else 10, "ifindex": 7, "state": state, "flags": flags}
    attributes = [("NDA_DST", address)] + ([("NDA_LLADDR", str(mac))] if mac is not None else [])
    return written(ndmsg, kind, fields, attributes)


def route(kind: int, family: int, dst_len: int, attributes: list[tuple[str, Any]], **fields: int) -> bytes:
    return written(rtmsg, kind, {"family": family, "dst_len": dst_len, "type": 1, **fields}, attributes)


def address(family: int, prefix_length: int, attributes: list[tuple[str, Any]], kind: int = 20) -> bytes:
    return written(ifaddrmsg, kind, {"family": family, "index": 7, "prefixlen": prefix_length}, attributes)


MESSAGES: dict[str, tuple[bytes, Decoded | None]] = {
    "a link that is up": (
        written(ifinfmsg, 16, LINK_FIELDS, LINK_ATTRIBUTES),
        LinkChanged(7, "br0", MAC, up=True, running=True, mtu=1400),
    ),
    "a link that is gone": (written(ifinfmsg, 17, LINK_FIELDS, LINK_ATTRIBUTES), LinkRemoved(7, "br0")),
    "a link that leaves a bridge stays": (written(ifinfmsg, 17, {**LINK_FIELDS, "family": 7}, LINK_ATTRIBUTES), None),
    "a tunnel has no MAC": (
        written(ifinfmsg, 16, {"index": 7}, [("IFLA_IFNAME", "tun0")]),
        LinkChanged(7, "tun0", Mac(0), up=False, running=False, mtu=0),
    ),
    "an IPv4 address": (
        address(2, 24, [("IFA_ADDRESS", "192.0.2.1"), ("IFA_LOCAL", "192.0.2.1")]),
        AddressChanged(7, V4, 24, present=True),
    ),
    "a point-to-point address is the near one": (
        address(2, 32, [("IFA_ADDRESS", "192.0.2.9"), ("IFA_LOCAL", "192.0.2.1")]),
        AddressChanged(7, V4, 32, present=True),
    ),
    "a tentative IPv6 address": (
        address(10, 64, [("IFA_ADDRESS", "2001:db8::1"), ("IFA_FLAGS", 0x40)]),
        AddressChanged(7, V6, 64, present=True, tentative=True),
    ),
    "an address that another host has": (
        address(10, 64, [("IFA_ADDRESS", "2001:db8::1"), ("IFA_FLAGS", 0xC8)]),
        AddressChanged(7, V6, 64, present=True, tentative=True, duplicate=True),
    ),
    "an address that is taken away as another host has it": (
        address(10, 64, [("IFA_ADDRESS", "2001:db8::1"), ("IFA_FLAGS", 0x48)], kind=21),
        AddressChanged(7, V6, 64, present=False, duplicate=True),
    ),
    "an address that another host has, given up": (
        address(10, 64, [("IFA_ADDRESS", "2001:db8::1"), ("IFA_FLAGS", 0xC8)], kind=21),
        AddressChanged(7, V6, 64, present=False),
    ),
    "an address that is gone": (
        address(10, 64, [("IFA_ADDRESS", "2001:db8::1"), ("IFA_FLAGS", 0x40)], kind=21),
        AddressChanged(7, V6, 64, present=False),
    ),
    "a reachable neighbour": (neighbour("192.0.2.1", 2), (NeighbourChanged(7, V4, MAC, confirmed=True), 2)),
    "a stale neighbour": (neighbour("2001:db8::1", 4), (NeighbourChanged(7, V6, MAC, confirmed=False), 4)),
    "a permanent neighbour": (neighbour("192.0.2.1", 0x80), (NeighbourChanged(7, V4, MAC, confirmed=True), 0x80)),
    "an incomplete neighbour": (neighbour("192.0.2.1", 1, mac=None), (NeighbourChanged(7, V4, None, False), 1)),
    "a failed neighbour's MAC is not told": (
        neighbour("192.0.2.1", 0x20),
        (NeighbourChanged(7, V4, None, confirmed=False), 0x20),
    ),
    "loopback's neighbour has no MAC": (
        neighbour("192.0.2.1", 0x40, mac=Mac(0)),
        (NeighbourChanged(7, V4, None, confirmed=False), 0x40),
    ),
    "a removed neighbour": (neighbour("192.0.2.1", 2, kind=29), (NeighbourChanged(7, V4, None, confirmed=False), 0)),
    "a proxy entry is no neighbour": (neighbour("192.0.2.1", 2, flags=8), None),
    "a bridge's forwarding entry is no neighbour": (
        written(ndmsg, 28, {"family": 7, "ifindex": 7, "state": 2}, [("NDA_LLADDR", str(MAC))]),
        None,
    ),
    "a route": (route(24, 2, 24, [("RTA_DST", "198.51.100.0")]), RoutesChanged(ip_network("198.51.100.0/24"))),
    "a default route that goes": (route(25, 10, 0, []), RoutesChanged(ip_network("::/0"))),
    "a broadcast route leads to no host": (route(24, 2, 32, [("RTA_DST", "192.0.2.255")], type=3), None),
    "a route exception is the kernel's own": (route(24, 10, 128, [("RTA_DST", "2001:db8::1")], flags=0x200), None),
    "a rule": (written(fibmsg, 32, {"family": 2}, []), RoutesChanged(None)),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_as_pyroute2_writes_it_is_read(name: str) -> None:
    data, expected = MESSAGES[name]

    (message,) = codec.split(data)

    assert decode(message) == expected


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_cut_anywhere_is_refused_or_says_less(name: str) -> None:
    (whole,) = codec.split(MESSAGES[name][0])

    for length in range(len(whole.body)):
        cut = whole._replace(body=whole.body[:length])
        with contextlib.suppress(WireError):
            decode(cut)


def test_an_attribute_longer_than_its_message_is_refused() -> None:
    (message,) = codec.split(MESSAGES["a reachable neighbour"][0])
    body = bytearray(message.body)
    body[12] = 200

    with pytest.raises(WireError):
        decode(message._replace(body=bytes(body)))


def test_an_address_of_the_wrong_length_is_refused() -> None:
    (message,) = codec.split(MESSAGES["a reachable neighbour"][0])
    body = b"\x0a" + message.body[1:]  # IPv6, with four bytes of address

    with pytest.raises(WireError):
        decode(message._replace(body=body))


def test_a_route_with_host_bits_and_impossible_lengths_raises_nothing_else() -> None:
    (message,) = codec.split(MESSAGES["a route"][0])
    body = bytes([2, 77]) + message.body[2:]

    with pytest.raises(WireError):
        decode(message._replace(body=body))


@settings(max_examples=200)
@given(kind=st.sampled_from([16, 17, 20, 24, 28, 32, 99]), body=st.binary(max_size=80))
def test_any_bytes_are_an_event_or_a_wire_error(kind: int, body: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(Message(kind, 0, 0, body))
