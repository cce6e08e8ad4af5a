"""FLOW_MODs read by their shape are what reading them field by field gives, errors included, whatever the bytes."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.flow import actions as a
from inband.flow.flow import FlowFlags
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow import messages as m
from inband.openflow.bodies import decode_flow_mod_field_by_field
from inband.openflow.codec import decode, encode
from inband.openflow.errors import DecodeError, MalformedError
from inband.vocabulary import openflow as c
from tests.property.test_openflow_round_trip import matches

_MANY = settings(max_examples=300, deadline=None)
_INSTRUCTIONS = st.sampled_from(
    [
        (),
        (a.ApplyActions((a.Output(PortNo(2)),)),),
        (a.Meter(1), a.ApplyActions((a.SetField("eth_dst", 5), a.Output(PortNo(3)))), a.GotoTable(7)),
        (a.WriteActions((a.Output(PortNo(4)),) * 6),),
    ]
)


@st.composite
def flow_mods(draw: st.DrawFn, match: Match) -> m.FlowMod:
    """Any FLOW_MOD with this match."""
    return m.FlowMod(
        draw(st.sampled_from(c.FlowModCommand)),
        match,
        OpenFlowPriority(draw(st.integers(0, 0xFFFF))),
        draw(_INSTRUCTIONS),
        draw(st.integers(0, 255)),
        draw(st.integers(0, (1 << 64) - 1)),
        draw(st.sampled_from((0, 0xFF, (1 << 64) - 1))),
        draw(st.integers(0, 0xFFFF)),
        draw(st.integers(0, 0xFFFF)),
        FlowFlags(draw(st.integers(0, 0x1F))),
        draw(st.sampled_from((c.NO_BUFFER, 7))),
        PortNo(draw(st.sampled_from((0xFFFFFFFF, 1)))),
        draw(st.sampled_from((c.ANY_GROUP, 1))),
        draw(st.sampled_from((0, 9))),
    )


def wire(message: m.FlowMod, xid: int = 7) -> bytes:
    """A message of OpenFlow 1.3."""
    return encode(m.Envelope(c.OFP13, xid, message))


def field_by_field(data: bytes) -> object:
    """What the reading of field after field says."""
    try:
        return decode_flow_mod_field_by_field(data[8:])
    except MalformedError as error:
        return type(error.code), error.code, data[:512]


def by_shape(data: bytes) -> object:
    """What the codec says, which has met such FLOW_MODs, or not."""
    try:
        return decode(data).message
    except DecodeError as error:
        return type(error.code), error.code, error.data


@_MANY
@given(st.data(), matches())
def test_flow_mods_of_one_shape_are_read_as_field_by_field(data: st.DataObject, match: Match) -> None:
    first = data.draw(flow_mods(match))
    others = [data.draw(flow_mods(match)) for _ in range(2)]
    alike = replace(first, cookie=5, priority=OpenFlowPriority(6), table_id=8, idle_timeout_s=9, hard_timeout_s=10)

    for message in (first, first, *others, alike, replace(alike, match=ANY)):
        assert by_shape(wire(message)) == message == field_by_field(wire(message))


@_MANY
@given(st.data(), matches())
def test_flow_mods_that_were_changed_are_read_or_refused_as_field_by_field(data: st.DataObject, match: Match) -> None:
    good = wire(data.draw(flow_mods(match)))
    for _ in range(3):
        by_shape(good)
    changed = bytearray(good)
    for at in data.draw(st.lists(st.integers(8, len(good) - 1), min_size=1, max_size=3)):
        changed[at] ^= 1 << data.draw(st.integers(0, 7))
    changed[56 : 56 + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=12))
    changed[2:4] = len(changed).to_bytes(2, "big")

    assert by_shape(bytes(changed)) == field_by_field(bytes(changed))


@_MANY
@given(st.data(), matches())
def test_flow_mods_that_end_too_early_are_refused_as_field_by_field(data: st.DataObject, match: Match) -> None:
    good = wire(data.draw(flow_mods(match)))
    for _ in range(3):
        by_shape(good)

    for end in range(8, len(good)):
        cut = bytearray(good[:end])
        cut[2:4] = end.to_bytes(2, "big")
        assert by_shape(bytes(cut)) == field_by_field(bytes(cut))
