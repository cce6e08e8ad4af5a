"""Random messages survive the way to bytes and back; what 1.0's match says survives even where bits say nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.errors import WireError
from inband.flow import actions as a
from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.flow import FlowFlags
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow import messages as m
from inband.openflow.codec import decode, encode
from inband.openflow.match10 import decode_match10, encode_match10
from inband.vocabulary import openflow as c
from inband.vocabulary.openflow import OFP10, OFP13

_FEW = settings(max_examples=150, deadline=None)


@st.composite
def matches(draw: st.DrawFn) -> Match:
    """A match whose prerequisites hold: fields that ask for another packet than those before are left out."""
    allowed: dict[str, set[int]] = {}
    names: list[str] = []
    for name in draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=7, unique=True)):
        needs = dict(FIELDS[name].needs)
        if all(not values or allowed.get(other, set(values)) & set(values) for other, values in needs.items()):
            for other, values in needs.items():
                allowed[other] = allowed.get(other, set(values)) & set(values)
            names.append(name)
    fields: dict[str, int | tuple[int, int]] = {}
    for name in [*allowed, *names]:
        field = FIELDS[name]
        value = draw(st.integers(0, field.all_ones))
        if allowed.get(name):
            fields[name] = draw(st.sampled_from(sorted(allowed[name])))
        elif name == "vlan_vid":
            fields[name] = value | VLAN_PRESENT
        elif field.maskable and name not in allowed and draw(st.booleans()):
            fields[name] = value, draw(st.integers(1, field.all_ones))
        else:
            fields[name] = value
    return Match.of(**fields)


_SETTABLE = sorted(FIELDS)


@st.composite
def set_fields(draw: st.DrawFn) -> a.SetField:
    """Any bits of any field that can be set."""
    field = FIELDS[draw(st.sampled_from(_SETTABLE))]
    if draw(st.booleans()):
        return a.SetField(field.name, draw(st.integers(0, field.all_ones)))
    bits = draw(st.integers(1, min(field.bits - 1, 64) or 1))
    if bits == field.bits:
        return a.SetField(field.name, draw(st.integers(0, field.all_ones)))
    mask = (1 << bits) - 1 << draw(st.integers(0, field.bits - bits))
    return a.SetField(field.name, draw(st.integers(0, field.all_ones)) & mask, mask)


_PORTS = st.integers(1, 0xFEFF).map(PortNo)
_ACTIONS = st.lists(
    st.one_of(
        st.builds(a.Output, _PORTS, st.integers(0, 0xFFFF)),
        st.builds(a.SetQueue, st.integers(0, 0xFFFFFFFF)),
        st.builds(a.Resubmit, st.none() | _PORTS, st.none() | st.integers(0, 254)),
        st.sampled_from([a.PopVlan(), a.DecNwTtl(), a.PopQueue(), a.PushMpls(), a.DecMplsTtl()]),
        set_fields(),
    ),
    max_size=6,
).map(tuple)


@_FEW
@given(matches(), st.sampled_from(c.FlowModCommand), st.booleans())
def test_a_match_of_1_3_survives(match: Match, command: c.FlowModCommand, nicira: bool) -> None:
    flags = FlowFlags.RESET_COUNTS if nicira and command == c.FlowModCommand.ADD else FlowFlags.NONE
    sent = m.FlowMod(command, match, OpenFlowPriority(5), (), 3, flags=flags, nicira=nicira)

    assert decode(encode(m.Envelope(OFP13, 1, sent))).message == sent


@_FEW
@given(_ACTIONS)
def test_actions_of_1_3_survive(actions: tuple[a.Action, ...]) -> None:
    sent = m.PacketOut(PortNo(1), actions)

    assert decode(encode(m.Envelope(OFP13, 1, sent))).message == sent


@_FEW
@given(matches(), _ACTIONS)
def test_a_nicira_flow_mod_of_1_0_survives(match: Match, actions: tuple[a.Action, ...]) -> None:
    instructions = (a.ApplyActions(actions),) if actions else ()
    sent = m.FlowMod(c.FlowModCommand.MODIFY, match, OpenFlowPriority(5), instructions, 0, nicira=True)

    received = decode(encode(m.Envelope(OFP10, 1, sent))).message

    assert isinstance(received, m.FlowMod)
    assert received.match == match
    assert _meaning(received.instructions) == _meaning(instructions)


def _meaning(instructions: tuple[a.Instruction, ...]) -> list[tuple[object, ...]]:
    """Actions with each SetField as single bits: 1.0 may say in two actions what was one."""
    out: list[tuple[object, ...]] = []
    for instruction in instructions:
        assert isinstance(instruction, a.ApplyActions)
        for action in map(_as_set_field, instruction.actions):
            if isinstance(action, a.SetField):
                mask = FIELDS[action.field].all_ones if action.mask is None else action.mask
                # The tag's presence is no bit that 1.0 can choose: setting a VLAN sets it.
                mask &= 0xFFF if action.field == "vlan_vid" else mask
                bits = [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
                out += [(action.field, bit, action.value >> bit & 1) for bit in bits]
            else:
                out.append((action,))
    return out


def _as_set_field(action: a.Action) -> a.Action:
    """1.0 cannot set a tag's fields without adding a tag where there is none."""
    match action:
        case a.SetVlanVid(vid):
            return a.SetField("vlan_vid", vid | VLAN_PRESENT)
        case a.SetVlanPcp(pcp):
            return a.SetField("vlan_pcp", pcp)
    return action


@_FEW
@given(st.integers(0, 0x3FFFFF), st.binary(min_size=36, max_size=36), st.sampled_from([0x0800, 0x0806, 0x86DD, 0x05FF]))
def test_what_a_1_0_match_says_survives(wildcards: int, rest: bytes, eth_type: int) -> None:
    data = bytearray(wildcards.to_bytes(4, "big") + rest)
    data[22:24] = eth_type.to_bytes(2, "big")
    data[18] &= 0x0F
    data[20] &= 7
    try:
        match = decode_match10(bytes(data), 0)
    except WireError:  # an ICMP type of two bytes
        return
    if int.from_bytes(data[4:6], "big") >= 0xFF00:
        return

    assert decode_match10(encode_match10(match), 0) == match


@_FEW
@given(st.binary(max_size=120), st.sampled_from([OFP10, OFP13]), st.integers(0, 30))
def test_noise_is_refused_or_understood(body: bytes, version: int, number: int) -> None:
    data = bytes([version, number]) + (len(body) + 8).to_bytes(2, "big") + b"\0\0\0\1" + body
    try:
        envelope = decode(data)
    except WireError:
        return

    assert envelope.version == version
