"""rtnetlink's messages both ways, beside pyroute2's message classes, which know the same formats independently."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from ipaddress import IPv4Interface, IPv6Interface, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from inband.errors import WireError
from inband.host import codec, rtnetlink
from inband.host.rtnetlink import Address, Link, Route
from inband.vocabulary.addresses import Mac
from tests.unit.host.netlink_oracle import read, written

V4, V6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")

macs = st.integers(0, 2**48 - 1).map(Mac)
indexes = st.integers(1, 2**31 - 1)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
interfaces = st.one_of(
    st.builds(lambda address, prefix: IPv4Interface((address, prefix)), st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda address, prefix: IPv6Interface((int(address), prefix)), st.ip_addresses(v=6), st.integers(0, 128)),
)


def body_of(message_class: Any, kind: int, fields: dict[str, Any], attributes: list[tuple[str, Any]]) -> bytes:
    """The body of a message as pyroute2 writes it."""
    (message,) = codec.split(written(message_class, kind, fields, attributes))
    return message.body


def veth_end(kind: str = "veth") -> bytes:
    attributes = [
        ("IFLA_IFNAME", "br0"),
        ("IFLA_ADDRESS", "02:00:00:00:00:01"),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", kind)]}),
        ("IFLA_QDISC", "noqueue"),
        ("IFLA_MTU", 1400),
        ("IFLA_IFALIAS", "inband:br0:outer"),
        ("IFLA_LINK", 8),
        ("IFLA_MASTER", 9),
        ("IFLA_LINK_NETNSID", 0),
    ]
    return body_of(ifinfmsg, 16, {"index": 7, "ifi_type": 1, "flags": 0x10000 | 0x100 | 0x1}, attributes)


VETH_END = Link(
    index=7,
    name="br0",
    kind="veth",
    mac=Mac.parse("02:00:00:00:00:01"),
    up=True,
    lower_up=True,
    arps=True,
    promiscuous=True,
    alias="inband:br0:outer",
    master=9,
    peer=8,
    peer_namespace=0,
    queueing="noqueue",
    mtu=1400,
    loopback=False,
    ethernet=True,
)
READINGS: dict[str, tuple[Callable[[bytes], object], bytes, object]] = {
    "an end of a veth pair": (rtnetlink.read_link, veth_end(), VETH_END),
    "the loopback interface": (
        rtnetlink.read_link,
        body_of(ifinfmsg, 16, {"index": 1, "ifi_type": 772, "flags": 0x8}, [("IFLA_IFNAME", "lo")]),
        Link(1, "lo", "", Mac(0), False, False, True, False, "", 0, 0, None, "", 0, loopback=True, ethernet=False),
    ),
    "an address with its own flags": (
        rtnetlink.read_address,
        body_of(
            ifaddrmsg,
            20,
            {"family": 10, "index": 7, "prefixlen": 64, "scope": 253, "flags": 0x80},
            [("IFA_ADDRESS", "2001:db8::1"), ("IFA_FLAGS", 0x282)],
        ),
        Address(7, V6, 64, 253, 0x282),
    ),
    "an address with the struct's flags": (
        rtnetlink.read_address,
        body_of(ifaddrmsg, 20, {"family": 2, "index": 7, "prefixlen": 24, "flags": 0x80}, [("IFA_LOCAL", "192.0.2.1")]),
        Address(7, V4, 24, 0, 0x80),
    ),
    "an address of no IP": (rtnetlink.read_address, body_of(ifaddrmsg, 20, {"family": 7, "index": 7}, []), None),
    "a default route": (
        rtnetlink.read_route,
        body_of(rtmsg, 24, {"family": 10, "table": 254, "type": 1}, [("RTA_GATEWAY", "fe80::1"), ("RTA_OIF", 7)]),
        Route(0, 254, 1, 7, ip_address("fe80::1"), None),
    ),
}


@pytest.mark.parametrize("name", READINGS)
def test_what_pyroute2_writes_is_read(name: str) -> None:
    reader, body, expected = READINGS[name]

    assert reader(body) == expected


@pytest.mark.parametrize("name", READINGS)
def test_what_is_cut_anywhere_is_refused_or_says_less(name: str) -> None:
    reader, body, _ = READINGS[name]

    for size in range(len(body)):
        with contextlib.suppress(WireError):
            reader(body[:size])


@given(st.sampled_from([rtnetlink.read_link, rtnetlink.read_address, rtnetlink.read_route]), st.binary(max_size=100))
def test_any_bytes_are_a_value_or_a_wire_error(reader: Callable[[bytes], object], body: bytes) -> None:
    with contextlib.suppress(WireError):
        reader(body)


@given(indexes, names, macs, names)
def test_a_link_as_pyroute2_writes_it_is_read(index: int, name: str, mac: Mac, alias: str) -> None:
    attributes = [("IFLA_IFNAME", name), ("IFLA_ADDRESS", str(mac)), ("IFLA_IFALIAS", alias)]

    link = rtnetlink.read_link(body_of(ifinfmsg, 16, {"index": index}, attributes))

    assert (link.index, link.name, link.mac, link.alias) == (index, name, mac, alias)


@given(indexes, interfaces, st.integers(0, 0xFFFF))
def test_an_address_to_give_is_what_pyroute2_reads_and_what_we_read(
    index: int, address: IPv4Interface | IPv6Interface, flags: int
) -> None:
    body = rtnetlink.address_body(index, address, flags)

    message = read(ifaddrmsg, codec.message(rtnetlink.RTM_NEWADDR, 0, 0, body))
    assert (message["index"], message["prefixlen"]) == (index, address.network.prefixlen)
    assert ip_address(message.get_attr("IFA_ADDRESS")) == address.ip
    assert message.get_attr("IFA_LOCAL") == (str(address.ip) if address.version == 4 else None)
    assert message.get_attr("IFA_FLAGS") == flags
    assert rtnetlink.read_address(body) == Address(index, address.ip, address.network.prefixlen, 0, flags)


@given(indexes, st.ip_addresses())
def test_a_default_route_to_set_is_what_pyroute2_reads_and_what_we_read(index: int, gateway: Any) -> None:
    body = rtnetlink.default_route_body(index, gateway)

    message = read(rtmsg, codec.message(rtnetlink.RTM_NEWROUTE, 0, 0, body))
    assert ip_address(message.get_attr("RTA_GATEWAY")) == gateway
    assert (message.get_attr("RTA_OIF"), message["dst_len"], message["proto"]) == (index, 0, 4)
    assert message.get_attr("RTA_TABLE", message["table"]) == 254
    assert rtnetlink.read_route(body) == Route(0, 254, 1, index, gateway, None)


def read_link(body: bytes) -> Any:
    return read(ifinfmsg, codec.message(rtnetlink.RTM_NEWLINK, 0, 0, body))


def test_a_veth_pair_to_make_is_what_pyroute2_reads() -> None:
    macs = Mac.parse("02:00:00:00:00:01"), Mac.parse("02:00:00:00:00:02")

    message = read_link(rtnetlink.veth_body("br0", "br0-in", *macs, 1400))

    info = message.get_attr("IFLA_LINKINFO")
    peer = info.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert message.get_attr("IFLA_IFNAME") == "br0"
    assert info.get_attr("IFLA_INFO_KIND") == "veth"
    assert peer.get_attr("IFLA_IFNAME") == "br0-in"
    for end, mac in zip((message, peer), macs, strict=True):
        assert (end.get_attr("IFLA_ADDRESS"), end.get_attr("IFLA_MTU")) == (str(mac), 1400)


def test_an_interface_without_link_local_address_is_what_pyroute2_reads() -> None:
    message = read_link(rtnetlink.without_link_local(7))

    inet6 = message.get_attr("IFLA_AF_SPEC").get_attr("AF_INET6")
    assert message["index"] == 7
    assert inet6.get_attr("IFLA_INET6_ADDR_GEN_MODE") == 1


def test_flags_to_change_and_a_question_without_counters_are_what_pyroute2_reads() -> None:
    change = read_link(rtnetlink.link_body(7, flags=0x1, change=0x101))
    question = read_link(rtnetlink.link_question(7))

    assert (change["index"], change["flags"], change["change"]) == (7, 0x1, 0x101)
    assert (question["index"], question.get_attr("IFLA_EXT_MASK")) == (7, 8)


@pytest.mark.parametrize(
    ("message_class", "body"),
    [
        (rtmsg, rtnetlink.all_routes(10)),
        (ifaddrmsg, rtnetlink.all_addresses(10)),
        (ndmsg, rtnetlink.all_neighbours()),
        (ifinfmsg, rtnetlink.link_question()),
    ],
)
def test_a_question_for_all_names_none(message_class: Any, body: bytes) -> None:
    message = read(message_class, codec.message(0, 0, 0, body))

    assert message["family"] == (10 if message_class in (rtmsg, ifaddrmsg) else 0)
    assert not any(message.get(name) for name in ("index", "ifindex", "dst_len"))


@pytest.mark.parametrize("destination", ["192.0.2.1", "2001:db8::1"])
def test_a_route_request_says_what_pyroute2_reads(destination: str) -> None:
    request = rtnetlink.route_request(ip_address(destination), 5, 77)

    message = read(rtmsg, request)

    assert message["header"]["type"] == rtnetlink.RTM_GETROUTE
    assert message["header"]["sequence_number"] == 77
    assert message.get_attr("RTA_DST") == destination
    assert message.get_attr("RTA_OIF") == 5
    assert message["dst_len"] in (32, 128)


def test_a_neighbour_request_says_what_pyroute2_reads() -> None:
    request = rtnetlink.neighbour_request(5, V6, 0, state=0, use=True)

    message = read(ndmsg, request)

    assert message["header"]["type"] == rtnetlink.RTM_NEWNEIGH
    assert (message["family"], message["ifindex"], message["flags"]) == (10, 5, rtnetlink.NTF_USE)
    assert message.get_attr("NDA_DST") == "2001:db8::1"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (16, "RTM_NEWLINK"),
        (29, "RTM_DELNEIGH"),
        (46, "RTM_GETTFILTER"),
        (100, "RTM_NEWCHAIN"),
        (105, "RTM_DELNEXTHOP"),
        (2, "NLMSG_ERROR"),
    ],
)
def test_a_message_type_is_called_as_the_kernels_headers_call_it(kind: int, name: str) -> None:
    assert rtnetlink.kind_name(kind) == name


def test_an_unknown_message_type_is_called_by_its_number() -> None:
    assert rtnetlink.kind_name(200) == "netlink type 200"
