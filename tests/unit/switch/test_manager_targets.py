"""Managers as people write them: every form, its canonical text, and one clear line for each way to be wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inband.control.endpoints import Protocol
from inband.errors import UsageError
from inband.switch.manager_targets import parse_manager


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("tcp:192.0.2.9:6640", "tcp:192.0.2.9:6640"),
        ("tcp:192.0.2.9", "tcp:192.0.2.9:6653"),
        ("TCP:192.0.2.9:22,in-band", "tcp:192.0.2.9:22"),
        ("ssl:[2001:DB8::9]:6640", "tcp:[2001:db8::9]:6640"),
        ("udp:192.0.2.123:123", "udp:192.0.2.123:123"),
        ("udp:Time.Example.Net.:123", "udp:time.example.net:123"),
        ("from:tcp:192.0.2.9:22", "from:tcp:192.0.2.9:22"),
        ("From:UDP:192.0.2.9:161", "from:udp:192.0.2.9:161"),
        ("from:tcp:admin.example.net:22", "from:tcp:admin.example.net:22"),
        ("from:tcp:192.0.2.0/24:22", "from:tcp:192.0.2.0/24:22"),
        ("from:tcp:192.0.2.9/32:22", "from:tcp:192.0.2.9:22"),
        ("from:tcp:0.0.0.0/0:22", "from:tcp:0.0.0.0/0:22"),
        ("from:tcp:[2001:db8::9]:22", "from:tcp:[2001:db8::9]:22"),
        ("from:udp:[2001:db8::]/64:161", "from:udp:[2001:db8::]/64:161"),
        ("from:tcp:[fe80::9%br0]:22", "from:tcp:[fe80::9%br0]:22"),
        ("from:tcp:[fe80::%br0]/64:22", "from:tcp:[fe80::%br0]/64:22"),
        ("from:tcp:192.0.2.9:22,out-of-band", "from:tcp:192.0.2.9:22,out-of-band"),
    ],
)
def test_a_manager_is_read_and_has_one_canonical_text(text: str, canonical: str) -> None:
    target = parse_manager(text)

    assert str(target) == canonical
    assert parse_manager(canonical) == target


def test_the_port_of_who_calls_is_one_of_this_switch() -> None:
    caller, called = parse_manager("from:udp:192.0.2.9:161"), parse_manager("udp:192.0.2.9:161")

    assert (caller.protocol, caller.port, caller.calls) == (Protocol.UDP, 161, True)
    assert (called.protocol, called.port, called.calls) == (Protocol.UDP, 161, False)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not say what to protect"),
        ("192.0.2.9:22", "does not say what to protect"),
        ("from:192.0.2.9:22", "does not say what to protect"),
        ("from:", "does not say what to protect"),
        ("from", "does not say what to protect"),
        ("tpc:192.0.2.9:22", "did you mean tcp:"),
        ("from:utp:192.0.2.9:22", "did you mean udp:"),
        ("form:tcp:192.0.2.9:22", "did you mean from:"),
        ("sctp:192.0.2.9:22", "'sctp' is no protocol: "),
        ("from:from:tcp:192.0.2.9:22", "did you mean from:"),
        ("icmp:192.0.2.9", "allowed are tcp: and udp:"),
        ("ptcp:6640", "protected, not dialled or listened for"),
        ("unix:/run/x", "protected, not dialled or listened for"),
        ("udp:192.0.2.9", "has no port (the one there)"),
        ("from:tcp:192.0.2.9", "has no port (the one here that is called)"),
        ("from:tcp:192.0.2.0/24", "has no port"),
        ("from:tcp:192.0.2.0/24:", "has no port"),
        ("from:tcp::22", "names no host"),
        ("udp::22", "names no host"),
        ("from:tcp:192.0.2.9:0", "'0' is not a TCP port: it must be 1 to 65535"),
        ("udp:192.0.2.9:70000", "'70000' is not a UDP port: it must be 1 to 65535"),
        ("udp:192.0.2.9:-1", "1 to 65535"),
        ("udp:192.0.2.9:ntp", "1 to 65535"),
        (f"udp:192.0.2.9:{'9' * 5000}", "1 to 65535"),
        ("from:tcp:admin.example.net/24:22", "/24 needs an address before it, not 'admin.example.net'"),
        ("from:tcp:/24:22", "/24 needs an address before it"),
        ("from:tcp:192.0.2.0/33:22", "must be 0 to 32"),
        ("from:tcp:192.0.2.0/:22", "the length goes between host and port"),
        ("from:tcp:192.0.2.0/x:22", "must be 0 to 32"),
        ("from:tcp:192.0.2.0/²:22", "must be 0 to 32"),
        ("from:tcp:[2001:db8::]/129:22", "must be 0 to 128"),
        ("from:tcp:[2001:db8::/64]:22", "the length goes after the brackets"),
        ("from:tcp:192.0.2.9:22/24", "the length goes between host and port"),
        ("from:tcp:192.0.2.9/24:22", "write 192.0.2.0/24, or leave out /24"),
        ("tcp:192.0.2.0/24:22", "one host, not a network: leave out /24:22"),
        ("udp:192.0.2.0/24:22", "one host, not a network"),
        ("from:tcp:224.0.0.0/4:22", "hosts have no such addresses"),
        ("from:tcp:0.0.0.0/32:22", "hosts have no such addresses"),
        ("from:tcp:224.0.0.1:22", "not the address of one host"),
        ("from:tcp:2001:db8::9:22", "goes in brackets"),
        ("from:tcp:[2001:db8::9:22", "not closed"),
        ("from:tcp:[fe80::9]:22", "needs its interface"),
        ("from:tcp:300.0.0.1:22", "neither an address nor a host name"),
        ("from:tcp:192.0.2.9:22,allow=192.0.2.0/24", "'allow=192.0.2.0/24' is no option of a manager"),
        ("from:tcp:192.0.2.9:22,", "'' is no option of a manager"),
    ],
)
def test_a_wrong_manager_is_refused_in_one_line_that_says_what_to_do(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse_manager(text)

    assert complaint in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(
    st.text(max_size=40) | st.from_regex(r"(from:)?(tcp|udp|x):[\[\]0-9a-f.:%/]{0,20}(:[0-9]{0,6})?", fullmatch=True)
)
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        target = parse_manager(text)
    except UsageError:
        return

    assert parse_manager(str(target)) == target
