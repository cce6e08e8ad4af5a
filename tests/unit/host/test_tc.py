"""Traffic control's messages both ways, beside pyroute2's message class, which knows the same formats independently."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from inband.errors import WireError
from inband.host import codec, tc
from inband.host.codec import Message
from tests.unit.host import netlink_oracle

PROGRAM = bytes.fromhex("0000000001000d1b 0600000004000000")


def filter_body() -> bytes:
    program = (codec.number(tc.TCA_BPF_OPS_LEN, 2, 2), codec.attribute(tc.TCA_BPF_OPS, PROGRAM))
    return tc.bpf_filter(7, 2, *program)


def read_by_pyroute2(body: bytes) -> Any:
    return netlink_oracle.read(tcmsg, codec.message(tc.RTM_NEWTFILTER, 0, 0, body))


def test_a_filter_to_add_is_what_pyroute2_reads() -> None:
    message = read_by_pyroute2(filter_body())

    assert (message["index"], message["handle"], message["parent"]) == (7, 1, 0xFFFFFFF2)
    assert message["info"] == 2 << 16 | 0x0300
    assert message.get_attr("TCA_KIND") == "bpf"
    options = message.get_attr("TCA_OPTIONS")
    assert options.get_attr("TCA_BPF_OPS_LEN") == 2
    assert options.get_attr("TCA_BPF_FLAGS") == 1


def test_a_filter_to_name_has_no_options() -> None:
    assert read_by_pyroute2(tc.bpf_filter(7, 2)).get_attr("TCA_OPTIONS") is None


def test_a_filter_is_read_as_it_was_written() -> None:
    entry = tc.read(filter_body())

    assert (entry.handle, entry.kind, entry.options[tc.TCA_BPF_OPS]) == (1, "bpf", PROGRAM)


def test_what_pyroute2_writes_is_read() -> None:
    fields = {"index": 7, "handle": 0x10003, "parent": 0x10000}
    (message,) = codec.split(netlink_oracle.written(tcmsg, 40, fields, [("TCA_KIND", "htb")]))

    assert tc.read(message.body)[:2] == (0x10003, "htb")
    assert tc.interface_of(message) == 7


@pytest.mark.parametrize(("kind", "index"), [(36, 7), (41, 7), (45, 7), (100, 7), (48, None), (32, None)])
def test_only_what_belongs_to_an_interface_names_one(kind: int, index: int | None) -> None:
    assert tc.interface_of(Message(kind, 0, 0, tc.body(7, 1, 2, 3, "bpf"))) == index


def test_a_block_of_filters_that_interfaces_share_names_none() -> None:
    assert tc.interface_of(Message(44, 0, 0, tc.body(-1, 1, 2, 3, "bpf"))) is None


def test_options_of_other_kinds_need_not_be_attributes() -> None:
    entry = tc.read(tc.body(7, 1, 2, 3, "pfifo", b"\2\0\0\0"))

    assert (entry.kind, entry.options) == ("pfifo", {})


def test_an_entry_cut_anywhere_is_refused_or_says_less() -> None:
    body = filter_body()

    for size in range(len(body)):
        with contextlib.suppress(WireError):
            assert tc.read(body[:size]).options.get(tc.TCA_BPF_OPS) in (None, PROGRAM)


@given(st.sampled_from([36, 40, 44, 48, 100]), st.binary(max_size=80))
def test_any_bytes_are_an_entry_or_a_wire_error(kind: int, body: bytes) -> None:
    for read in (lambda: tc.read(body), lambda: tc.interface_of(Message(kind, 0, 0, body))):
        with contextlib.suppress(WireError):
            read()
