"""The hand-made rtnetlink codec beside pyroute2's message classes, which know the same formats independently."""

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
from inband.host import rtnetlink
from inband.host.events import AddressChanged, LinkChanged, LinkRemoved, NeighbourChanged, RoutesChanged
from inband.host.rtnetlink import RouteAnswer
from inband.vocabulary.addresses import Mac

MAC = Mac.parse("02:00:00:00:00:01")
V4, V6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")

LINK_FIELDS = {"index": 7, "flags": 0x1 | 0x40}
LINK_ATTRIBUTES = [("IFLA_IFNAME", "br0"), ("IFLA_MTU", 1400), ("IFLA_ADDRESS", str(MAC))]


def encoded(message_class: Any, kind: int, fields: dict[str, Any], attributes: list[tuple[str, Any]]) -> bytes:
    """A message as pyroute2 writes it."""
    message = message_class()
    message["header"]["type"] = kind
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = attributes
    message.encode()
    return bytes(message.data)


def neighbour(address: str, state: int, *, mac: Mac | None = MAC, kind: int = 28, flags: int = 0) -> bytes:
    fields = {"family": 2 if "." in address else 10, "ifindex": 7, "state": state, "flags": flags}
    attributes = [("NDA_DST", address)] + ([("NDA_LLADDR", str(mac))] if mac is not None else [])
    return encoded(ndmsg, kind, fields, attributes)


def route(kind: int, family: int, dst_len: int, attributes: list[tuple[str, Any]], **fields: int) -> bytes:
    return encoded(rtmsg, kind, {"family": family, "dst_len": dst_len, "type": 1, **fields}, attributes)


def address(family: int, prefix_length: int, attributes: list[tuple[str, Any]], kind: int = 20) -> bytes:
    return encoded(ifaddrmsg, kind, {"family": family, "index": 7, "prefixlen": prefix_length}, attributes)


MESSAGES: dict[str, tuple[bytes, rtnetlink.Decoded | None]] = {
    "a link that is up": (
        encoded(ifinfmsg, 16, LINK_FIELDS, LINK_ATTRIBUTES),
        LinkChanged(7, "br0", MAC, up=True, running=True, mtu=1400),
    ),
    "a link that is gone": (encoded(ifinfmsg, 17, LINK_FIELDS, LINK_ATTRIBUTES), LinkRemoved(7, "br0")),
    "a link that leaves a bridge stays": (encoded(ifinfmsg, 17, {**LINK_FIELDS, "family": 7}, LINK_ATTRIBUTES), None),
    "a tunnel has no MAC": (
        encoded(ifinfmsg, 16, {"index": 7}, [("IFLA_IFNAME", "tun0")]),
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
        encoded(ndmsg, 28, {"family": 7, "ifindex": 7, "state": 2}, [("NDA_LLADDR", str(MAC))]),
        None,
    ),
    "a route": (route(24, 2, 24, [("RTA_DST", "198.51.100.0")]), RoutesChanged(ip_network("198.51.100.0/24"))),
    "a default route that goes": (route(25, 10, 0, []), RoutesChanged(ip_network("::/0"))),
    "a broadcast route leads nobody": (route(24, 2, 32, [("RTA_DST", "192.0.2.255")], type=3), None),
    "a route exception is the kernel's own": (route(24, 10, 128, [("RTA_DST", "2001:db8::1")], flags=0x200), None),
    "a rule": (encoded(fibmsg, 32, {"family": 2}, []), RoutesChanged(None)),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_as_pyroute2_writes_it_is_read(name: str) -> None:
    data, expected = MESSAGES[name]

    (message,) = rtnetlink.split(data)

    assert rtnetlink.decode(message) == expected


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_cut_anywhere_is_refused_or_says_less(name: str) -> None:
    (whole,) = rtnetlink.split(MESSAGES[name][0])

    for length in range(len(whole.body)):
        cut = whole._replace(body=whole.body[:length])
        with contextlib.suppress(WireError):
            rtnetlink.decode(cut)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_datagram_cut_anywhere_is_refused(name: str) -> None:
    data = MESSAGES[name][0]

    for length in range(1, len(data)):
        with pytest.raises(WireError):
            list(rtnetlink.split(data[:length]))


def test_several_messages_in_one_datagram_come_in_order() -> None:
    first, second = MESSAGES["a rule"][0], MESSAGES["a route"][0]

    kinds = [message.kind for message in rtnetlink.split(first + second)]

    assert kinds == [rtnetlink.RTM_NEWRULE, rtnetlink.RTM_NEWROUTE]


def test_bytes_after_the_last_message_are_refused() -> None:
    with pytest.raises(WireError, match="after its last message"):
        list(rtnetlink.split(MESSAGES["a rule"][0] + b"\0\0\0"))


def test_an_attribute_longer_than_its_message_is_refused() -> None:
    (message,) = rtnetlink.split(MESSAGES["a reachable neighbour"][0])
    body = bytearray(message.body)
    body[12] = 200

    with pytest.raises(WireError):
        rtnetlink.decode(message._replace(body=bytes(body)))


def test_an_address_of_the_wrong_length_is_refused() -> None:
    (message,) = rtnetlink.split(MESSAGES["a reachable neighbour"][0])
    body = b"\x0a" + message.body[1:]  # IPv6, with four bytes of address

    with pytest.raises(WireError):
        rtnetlink.decode(message._replace(body=body))


def test_a_route_with_host_bits_and_impossible_lengths_raises_nothing_else() -> None:
    (message,) = rtnetlink.split(MESSAGES["a route"][0])
    body = bytes([2, 77]) + message.body[2:]

    with pytest.raises(WireError):
        rtnetlink.decode(message._replace(body=body))


@settings(max_examples=200)
@given(kind=st.sampled_from([16, 17, 20, 24, 28, 32, 99]), body=st.binary(max_size=80))
def test_any_bytes_are_an_event_or_a_wire_error(kind: int, body: bytes) -> None:
    try:
        rtnetlink.decode(rtnetlink.Message(kind, 0, 0, body))
        rtnetlink.decode_route_answer(body)
        rtnetlink.error_number(body)
    except WireError:
        pass


ANSWERS = {
    "on-link": (
        route(24, 2, 32, [("RTA_DST", "192.0.2.1"), ("RTA_OIF", 3), ("RTA_PREFSRC", "192.0.2.2")]),
        RouteAnswer(3, None, ip_address("192.0.2.2")),
    ),
    "through a gateway": (
        route(24, 2, 32, [("RTA_OIF", 3), ("RTA_GATEWAY", "192.0.2.254")]),
        RouteAnswer(3, ip_address("192.0.2.254"), None),
    ),
    "through a link-local gateway": (
        route(24, 10, 128, [("RTA_OIF", 3), ("RTA_GATEWAY", "fe80::1")]),
        RouteAnswer(3, ip_address("fe80::1"), None),
    ),
    "IPv4 through an IPv6 gateway": (
        route(24, 2, 32, [("RTA_OIF", 3), ("RTA_VIA", {"family": 10, "addr": "fe80::1"})]),
        RouteAnswer(3, ip_address("fe80::1"), None),
    ),
    "to this host": (route(24, 2, 32, [("RTA_OIF", 1)], type=2), None),
    "nowhere": (route(24, 10, 128, [("RTA_OIF", 1)], type=7), None),
    "without an interface": (route(24, 2, 32, []), None),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_route_answer_is_read(name: str) -> None:
    data, expected = ANSWERS[name]

    (message,) = rtnetlink.split(data)

    assert rtnetlink.decode_route_answer(message.body) == expected


def read_by_pyroute2(message_class: Any, data: bytes) -> Any:
    message = message_class(data)
    message.decode()
    return message


@pytest.mark.parametrize("destination", ["192.0.2.1", "2001:db8::1"])
def test_a_route_request_says_what_pyroute2_reads(destination: str) -> None:
    request = rtnetlink.route_request(ip_address(destination), 5, 77)

    message = read_by_pyroute2(rtmsg, request)

    assert message["header"]["type"] == rtnetlink.RTM_GETROUTE
    assert message["header"]["sequence_number"] == 77
    assert message.get_attr("RTA_DST") == destination
    assert message.get_attr("RTA_OIF") == 5
    assert message["dst_len"] in (32, 128)


def test_a_neighbour_request_says_what_pyroute2_reads() -> None:
    request = rtnetlink.neighbour_request(5, V6, 0, state=0, use=True)

    message = read_by_pyroute2(ndmsg, request)

    assert message["header"]["type"] == rtnetlink.RTM_NEWNEIGH
    assert (message["family"], message["ifindex"], message["flags"]) == (10, 5, rtnetlink.NTF_USE)
    assert message.get_attr("NDA_DST") == "2001:db8::1"
