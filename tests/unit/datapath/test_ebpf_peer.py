"""Which interfaces known unicast may skip, by what the kernel says of a link."""

from __future__ import annotations

import contextlib
import struct

import pytest

from inband.datapath.ebpf.peer import is_plain_pair
from inband.errors import WireError
from inband.host.codec import attribute
from inband.host.rtnetlink import read_link

UP, LOWER_UP = 0x1, 0x10000
QDISC, LINKINFO, NETNSID = 6, 18, 37


def link(
    *, flags: int = UP | LOWER_UP, kind: bytes = b"veth", qdisc: bytes = b"noqueue", elsewhere: bool = True
) -> bytes:
    """An RTM_NEWLINK's body (linux/rtnetlink.h, linux/if_link.h)."""
    body = struct.pack("=BxHiII", 0, 1, 7, flags, 0) + attribute(QDISC, qdisc + b"\0")
    body += attribute(LINKINFO, attribute(1, kind + b"\0"))
    return body + (attribute(NETNSID, struct.pack("=i", 0)) if elsewhere else b"")


def test_a_pair_to_another_namespace_without_a_queue_may_be_skipped() -> None:
    assert is_plain_pair(read_link(link()))


@pytest.mark.parametrize(
    "body",
    [
        link(elsewhere=False),
        link(kind=b"macvlan"),
        link(kind=b""),
        link(qdisc=b"htb"),
        link(qdisc=b"tbf"),
        link(flags=UP),
        link(flags=LOWER_UP),
        link(flags=0),
    ],
    ids=["same namespace", "no veth", "no kind", "htb", "tbf", "no carrier", "set down", "down"],
)
def test_no_other_interface_may(body: bytes) -> None:
    assert not is_plain_pair(read_link(body))


def test_what_is_cut_may_not() -> None:
    whole = link()

    for size in range(len(whole)):
        with contextlib.suppress(WireError):
            assert not is_plain_pair(read_link(whole[:size]))
