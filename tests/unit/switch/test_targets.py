"""Targets: every form people write, its canonical text, and a refusal for each way to be wrong."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inband.errors import UsageError
from inband.switch.targets import Scheme, Target, parse_target

REFUSED = ("not the address of one host", "needs its interface", "this is an IPv4 address")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("tcp:192.0.2.1", "tcp:192.0.2.1:6653"),
        ("TCP:192.0.2.1:6633", "tcp:192.0.2.1:6633"),
        ("ssl:192.0.2.1", "tls:192.0.2.1:6653"),
        ("tls:[2001:DB8::1]", "tls:[2001:db8::1]:6653"),
        ("tcp:[2001:db8::1]:1", "tcp:[2001:db8::1]:1"),
        ("tcp:192.0.2.1:6653,out-of-band", "tcp:192.0.2.1:6653,out-of-band"),
        ("tcp:192.0.2.1,in-band", "tcp:192.0.2.1:6653"),
        ("tcp:Controller.Example.:65535", "tcp:controller.example:65535"),
        ("ptcp:", "ptcp:6653"),
        ("ptcp:6633", "ptcp:6633"),
        ("ptcp:6633:127.0.0.1", "ptcp:6633:127.0.0.1"),
        ("pssl:6633:[::1]", "pssl:6633:[::1]"),
        ("tcp:[fe80::1%br0]", "tcp:[fe80::1%br0]:6653"),
        ("ptcp:6654:[fe80::1%br0]", "ptcp:6654:[fe80::1%br0]"),
        (
            "ptcp:6653:0.0.0.0,allow=192.0.2.0/24,allow=2001:db8::/32",
            "ptcp:6653:0.0.0.0,allow=192.0.2.0/24,allow=2001:db8::/32",
        ),
        ("pssl:6653:[::],allow=192.0.2.9", "pssl:6653:[::],allow=192.0.2.9/32"),
        ("tls:192.0.2.1,peer-name=Ctl.Example", "tls:192.0.2.1:6653,peer-name=ctl.example"),
        (f"tls:192.0.2.1,peer-name=SHA256:{'AB:' * 31}AB", f"tls:192.0.2.1:6653,peer-name=sha256:{'ab' * 32}"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("punix:/run/x.sock", "punix:/run/x.sock"),
        (" Auto ", "auto"),
    ],
)
def test_a_target_is_read_and_has_one_canonical_text(text: str, canonical: str) -> None:
    target = parse_target(text)

    assert str(target) == canonical
    assert parse_target(canonical) == target


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not say how to connect"),
        ("192.0.2.1", "does not say how to connect: write tcp:192.0.2.1 or tls:192.0.2.1"),
        ("192.0.2.1:6653", "does not say how to connect: write tcp:192.0.2.1:6653 or tls:192.0.2.1:6653"),
        ("192.0.2.1:99999", "does not say how to connect: write tcp:192.0.2.1:6653 or"),
        ("auto:192.0.2.1", "auto stands alone"),
        ("auto,out-of-band", "auto stands alone"),
        ("tcpp:192.0.2.1", "did you mean tcp:"),
        ("tsl:192.0.2.1", "did you mean t"),
        ("gopher:192.0.2.1", "it must be one of"),
        ("tcp", "does not say how to connect"),
        ("tcp:", "names no host"),
        ("tcp::6653", "names no host"),
        ("tcp:192.0.2.1:0", "1 to 65535"),
        ("tcp:192.0.2.1:65536", "1 to 65535"),
        ("tcp:192.0.2.1:http", "1 to 65535"),
        ("tcp:192.0.2.1:²", "1 to 65535"),
        ("tcp:2001:db8::1", "goes in brackets"),
        ("tcp:[2001:db8::1", "not closed"),
        ("tcp:[2001:db8::1]6653", "not closed"),
        ("tcp:[192.0.2.1]", "not an IPv6 address"),
        ("tcp:300.0.0.1", "neither an address nor a host name"),
        ("tcp:a b", "neither an address nor a host name"),
        ("tcp:-x.example", "neither an address nor a host name"),
        ("tcp:0.0.0.0", "not the address of one host"),
        ("tcp:224.0.0.1", "not the address of one host"),
        ("tcp:255.255.255.255", "not the address of one host"),
        ("tcp:[fe80::1]", "write [fe80::1%br0]"),
        ("tcp:[2001:db8::1%br0]", "only a link-local address has an interface"),
        ("tcp:[fe80::1%a b]", "'a b' cannot be the name of an interface"),
        ("tcp:[fe80::1%sixteen-letters-]", "cannot be the name of an interface"),
        ("tcp:[fe80::1%\x00]", "cannot be the name of an interface"),
        ("ptcp:6653:[fe80::1]", "write [fe80::1%br0]"),
        ("tcp:[::ffff:192.0.2.1]", "write 192.0.2.1"),
        ("tcp:192.0.2.1,offband", "unknown option 'offband'"),
        ("ptcp:6653:example.org", "listening needs an address"),
        ("unix:", "has no path"),
        ("tcp:192.0.2.1,allow=192.0.2.0/24", "allow= is for listening"),
        ("punix:/run/x,allow=192.0.2.0/24", "allow= is for listening"),
        ("ptcp:6653,allow=192.0.2.1/24", "not a network"),
        ("ptcp:6653,allow=", "unknown option"),
        ("tcp:192.0.2.1,peer-name=x", "others have no certificate"),
        ("tls:192.0.2.1,peer-name=a b", "neither a host name nor"),
        ("tls:192.0.2.1,peer-name=sha256:12", "64 hexadecimal digits"),
    ],
)
def test_a_wrong_target_is_refused_with_the_part_that_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text)

    assert complaint in str(caught.value)


def test_a_host_is_an_address_or_a_name_never_both() -> None:
    by_address, by_name = parse_target("tcp:192.0.2.1"), parse_target("tcp:ctl.example")

    assert (by_address.address, by_address.name) == (ip_address("192.0.2.1"), None)
    assert (by_name.address, by_name.name) == (None, "ctl.example")


@pytest.mark.parametrize(
    ("text", "in_band"),
    [("tcp:192.0.2.1", True), ("tcp:192.0.2.1,out-of-band", False), ("ptcp:6653", False), ("unix:/x", False)],
)
def test_only_what_is_dialled_over_ip_is_in_band(text: str, in_band: bool) -> None:
    assert parse_target(text).in_band is in_band


@given(
    scheme=st.sampled_from([Scheme.TCP, Scheme.TLS]),
    host=st.ip_addresses(),
    port=st.integers(1, 65535),
    out_of_band=st.booleans(),
)
def test_every_target_reads_back_from_its_text(scheme: Scheme, host: object, port: int, out_of_band: bool) -> None:
    try:
        target = parse_target(str(Target(scheme, host, port, "", out_of_band)))  # type: ignore[arg-type]
    except UsageError as error:
        assert any(each in str(error) for each in REFUSED)  # noqa: PT017 - both outcomes are right
    else:
        assert target == Target(scheme, host, port, "", out_of_band)  # type: ignore[arg-type]


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        target = parse_target(text)
    except UsageError:
        return
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("ptcp:", False),
        ("ptcp:6653:127.0.0.1", False),
        ("ptcp:6653:[::1]", False),
        ("ptcp:6653:0.0.0.0", True),
        ("ptcp:6653:[::]", True),
        ("ptcp:6653:192.0.2.1", True),
        ("ptcp:6653:0.0.0.0,allow=192.0.2.0/24", False),
        ("pssl:6653:0.0.0.0", False),
        ("punix:/x", False),
    ],
)
def test_a_place_is_open_when_strangers_may_call(text: str, is_open: bool) -> None:
    assert parse_target(text).is_open is is_open


def test_who_may_call_is_told_by_networks_of_either_family() -> None:
    target = parse_target("ptcp:6653:[::],allow=192.0.2.0/24,allow=2001:db8::/32")

    assert target.allows(ip_address("192.0.2.7"))
    assert target.allows(ip_address("::ffff:192.0.2.7"))
    assert target.allows(ip_address("2001:db8::9"))
    assert not target.allows(ip_address("198.51.100.1"))
    assert not target.allows(ip_address("::ffff:198.51.100.1"))
    assert parse_target("ptcp:6653").allows(ip_address("198.51.100.1"))
