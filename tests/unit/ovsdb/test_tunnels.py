"""Rows of tunnels become ports that the switch makes; what cannot be fixed is refused in words."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from inband.errors import UsageError
from inband.host import codec, rtnetlink
from inband.host.tunnel_links import tunnel_body
from inband.ovsdb.rows import Row
from inband.ovsdb.translate import translate
from inband.ovsdb.tunnels import tunnel_of
from inband.vocabulary.tunnels import Tunnel, TunnelKind
from tests.unit.ovsdb.database import Database

FAR, FAR6, NEAR = ip_address("192.0.2.1"), ip_address("2001:db8::1"), ip_address("192.0.2.2")


def row(kind: str, **options: str) -> Row:
    return Row("x", {"name": "t0", "type": kind, "options": options})


@pytest.mark.parametrize(
    ("interface", "tunnel"),
    [
        (row("vxlan", remote_ip="192.0.2.1"), Tunnel(TunnelKind.VXLAN, FAR, key=0, dst_port=4789)),
        (
            row("vxlan", remote_ip="192.0.2.1", local_ip="192.0.2.2", key="0x10", dst_port="8472", ttl="9"),
            Tunnel(TunnelKind.VXLAN, FAR, NEAR, 16, 8472, 9),
        ),
        (row("gre", remote_ip="192.0.2.1"), Tunnel(TunnelKind.GRE, FAR)),
        (row("gre", remote_ip="2001:db8::1", in_key="7", out_key="7"), Tunnel(TunnelKind.GRE, FAR6, key=7)),
        (row("geneve", remote_ip="192.0.2.1", key="5"), Tunnel(TunnelKind.GENEVE, FAR, key=5, dst_port=6081)),
    ],
)
def test_options_say_what_a_tunnel_is(interface: Row, tunnel: Tunnel) -> None:
    assert tunnel_of(interface) == tunnel


@pytest.mark.parametrize(
    ("interface", "words"),
    [
        (row("vxlan"), "t0: vxlan type requires valid 'remote_ip' argument"),
        (row("vxlan", remote_ip="flow"), "t0: options:remote_ip=flow is not supported: say a fixed value"),
        (row("gre", remote_ip="192.0.2.1", key="flow"), "options:key=flow is not supported"),
        (row("vxlan", remote_ip="far.example.net"), "options:remote_ip=far.example.net is not the address of one host"),
        (row("vxlan", remote_ip="224.0.0.1"), "is not the address of one host"),
        (row("vxlan", remote_ip="0.0.0.0"), "is not the address of one host"),
        (row("vxlan", remote_ip="192.0.2.1", local_ip="2001:db8::1"), "are of one version of IP"),
        (
            row("vxlan", remote_ip="192.0.2.1", key="16777216"),
            "options:key=16777216 is not a number from 0 to",
        ),
        (row("geneve", remote_ip="192.0.2.1", key="1_0"), "options:key=1_0 is not a number"),
        (row("geneve", remote_ip="192.0.2.1", key="x"), "options:key=x is not a number"),
        (row("vxlan", remote_ip="192.0.2.1", dst_port="65536"), "options:dst_port=65536 is not a number"),
        (row("gre", remote_ip="192.0.2.1", in_key="1", out_key="2"), "in_key and out_key are one number here"),
    ],
)
def test_what_cannot_be_is_refused_in_words(interface: Row, words: str) -> None:
    with pytest.raises(UsageError, match="t0: ") as refused:
        tunnel_of(interface)

    assert words in str(refused.value)


def test_a_row_is_a_port_that_is_made_and_another_one_is_left_out() -> None:
    database = Database()
    database.bridge("br0", "eth1", "t0", "t1")
    database.row("Interface", "interface-t0", type="vxlan", options={"remote_ip": "192.0.2.1", "csum": "true"})
    database.row("Interface", "interface-t1", type="gre", options={"remote_ip": "flow"})

    wanted = translate(database.snapshot())

    (bridge,) = wanted.bridges
    assert bridge.ports == ("eth1", "t0")
    assert bridge.made_ports == (("t0", Tunnel(TunnelKind.VXLAN, FAR, key=0, dst_port=4789)),)
    assert wanted.problems["Interface", "interface-t0"] == "options:csum: not supported, and without effect"
    assert "options:remote_ip=flow is not supported" in wanted.problems["Interface", "interface-t1"]


@pytest.mark.parametrize(
    ("tunnel", "kind", "data"),
    [
        (
            Tunnel(TunnelKind.VXLAN, FAR, NEAR, 5, 4789, 9),
            "vxlan",
            {1: b"\5\0\0\0", 2: FAR.packed, 4: NEAR.packed, 5: b"\t", 7: b"\0", 15: b"\x12\xb5"},
        ),
        (
            Tunnel(TunnelKind.VXLAN, FAR6, None, 5, 4789),
            "vxlan",
            {1: b"\5\0\0\0", 7: b"\0", 15: b"\x12\xb5", 16: FAR6.packed},
        ),
        (
            Tunnel(TunnelKind.GENEVE, FAR, None, 5, 6081),
            "geneve",
            {1: b"\5\0\0\0", 2: FAR.packed, 5: b"\x17\xc1"},
        ),
        (Tunnel(TunnelKind.GENEVE, FAR6, None, 0, 6081), "geneve", {1: bytes(4), 5: b"\x17\xc1", 7: FAR6.packed}),
        (Tunnel(TunnelKind.GRE, FAR), "gretap", {7: FAR.packed}),
        (
            Tunnel(TunnelKind.GRE, FAR6, None, 7),
            "ip6gretap",
            {2: b"\x20\0", 3: b"\x20\0", 4: b"\0\0\0\7", 5: b"\0\0\0\7", 7: FAR6.packed},
        ),
    ],
)
def test_the_kernel_is_told_by_its_own_numbers(tunnel: Tunnel, kind: str, data: dict[int, bytes]) -> None:
    found = codec.attributes(tunnel_body("t0", tunnel), rtnetlink.LINK.size)

    info = codec.attributes(found[rtnetlink.IFLA_LINKINFO])
    assert codec.as_text(found[rtnetlink.IFLA_IFNAME]) == "t0"
    assert codec.as_text(info[rtnetlink.IFLA_INFO_KIND]) == kind
    assert codec.attributes(info[rtnetlink.IFLA_INFO_DATA]) == data


def test_a_tunnel_says_itself_as_dpif_show_does() -> None:
    assert str(Tunnel(TunnelKind.VXLAN, FAR, NEAR, 5, 4789)) == "vxlan: key=5, local_ip=192.0.2.2, remote_ip=192.0.2.1"
    assert str(Tunnel(TunnelKind.GRE, FAR)) == "gre: remote_ip=192.0.2.1"
