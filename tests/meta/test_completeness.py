"""Whoever adds an action, an instruction, a match field or a message is told of every place to touch.

Each test tries one thing with one of them and says in its failure which file to open. What one of them rightly lacks is
named in the tables below, with its reason: a table is a place to touch, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import pytest

from inband.agent.agent import HANDLERS
from inband.agent.table_features import ACTIONS as FEATURE_ACTIONS
from inband.agent.validate import SETTABLE, Asked, check_actions, check_flow
from inband.datapath.ebpf.keys import PLACES
from inband.datapath.ebpf.ops import SEND_UP, compile_ops
from inband.flow import actions as a
from inband.flow import ports
from inband.flow.fields import FIELDS, PIPELINE_FIELDS, VLAN_PRESENT, Field
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.flow.text_actions import format_action, format_actions, parse_actions
from inband.flow.text_match import format_match, parse_match
from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow.actions import encode_actions
from inband.openflow.codec import decode, encode
from inband.openflow.constants import ActionType
from inband.openflow.messages import Envelope, FlowMod, PacketOut
from inband.packet.build import frame_of_key
from inband.packet.edit import apply
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.packet.set_field import SLOTS
from inband.pipeline.action_set import ActionSet
from inband.table.table_set import TableSet
from inband.testing import packets
from inband.vocabulary.openflow import OFP10, OFP13, FlowModCommand, MeterFlags
from inband.vocabulary.openflow_errors import ERROR_TYPE, ErrorCode
from tests.unit.openflow.samples import SAMPLES
from tests.unit.pipeline.scene import Scene

HERE = "tests/meta/test_completeness.py"


@contextmanager
def told(where: str, what: str) -> Iterator[None]:
    """Turn whatever goes wrong into the place to go to."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{where}: {what} ({type(error).__name__}: {error})") from error


# Actions ------------------------------------------------------------------------------------------------------------

ACTIONS: tuple[a.Action, ...] = (
    a.Output(PortNo(2)),
    a.Group(1),
    a.SetQueue(3),
    a.PopQueue(),
    a.PushVlan(0x88A8),
    a.PopVlan(),
    a.SetVlanVid(5),
    a.SetVlanPcp(3),
    a.PushMpls(0x8848),
    a.PopMpls(0x0800),
    a.PushPbb(),
    a.PopPbb(),
    a.SetField("eth_dst", 5),
    a.MoveField("eth_src", "eth_dst", 48),
    a.SetMplsTtl(4),
    a.DecMplsTtl(),
    a.SetNwTtl(5),
    a.DecNwTtl(),
    a.CopyTtlOut(),
    a.CopyTtlIn(),
    a.Resubmit(PortNo(7), 5),
    a.SendToController(128, 3, a.PacketInReason.NO_MATCH),
)
"""One of each class of ``inband.flow.actions.Action``."""

NOT_IN_10 = {
    a.Group: "1.0 has no groups",
    a.PushVlan: "1.0 pushes a tag by setting its VLAN",
    a.PushPbb: "neither 1.0 nor Nicira has PBB",
    a.PopPbb: "neither 1.0 nor Nicira has PBB",
    a.CopyTtlOut: "neither 1.0 nor Nicira copies TTLs",
    a.CopyTtlIn: "neither 1.0 nor Nicira copies TTLs",
}
"""Actions without a form in OpenFlow 1.0: a dump for a 1.0 peer leaves them out."""

SENT_UP = {
    a.PushMpls: "MPLS in the slow path: rare, and its labels are not in the kernel's parser",
    a.PopMpls: "as PushMpls",
    a.SetMplsTtl: "as PushMpls",
    a.DecMplsTtl: "as PushMpls",
    a.PushPbb: "PBB in the slow path: hardly anybody has it",
    a.PopPbb: "as PushPbb",
    a.CopyTtlOut: "copies between headers in the slow path",
    a.CopyTtlIn: "as CopyTtlOut",
    a.ToController: "controllers are not reached from the kernel",
}
"""Actions that the program in the kernel leaves to the switch: a decision with one of them goes up frame by frame."""

NOT_ON_THE_WIRE = {
    a.SetVlanVid: "1.3 has no tag that is pushed where there is none: it is a push and a set_field",
    a.SetVlanPcp: "as SetVlanVid",
    a.SetNwTtl: "in 1.0 a load into ip_ttl",
}
"""Actions that come back from a version's wire as others."""

each_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
FRAME = packets.tcp()


def test_every_action_is_here() -> None:
    missing = {cls.__name__ for cls in get_args(a.Action)} ^ {type(action).__name__ for action in ACTIONS}
    assert missing == set(), f"{HERE}: put one of each class of flow.actions.Action into ACTIONS"


@each_action
def test_an_action_has_a_place_in_the_action_set(action: a.Action) -> None:
    with told("src/inband/pipeline/action_set.py", "give it a place in _ORDER"):
        actions = ActionSet()
        actions.write((action,))
        assert actions.in_order() == (action,)


@each_action
def test_an_action_has_words_that_are_read_again(action: a.Action) -> None:
    where = "src/inband/flow/text_actions.py"
    with told(where, "give it words in format_action"):
        words = format_action(action)
    with told(where, f"read {words} in parse_actions"):
        assert parse_actions(words) == (a.ApplyActions((action,)),)


@each_action
@pytest.mark.parametrize("version", [OFP13, OFP10])
def test_an_action_travels(action: a.Action, version: int) -> None:
    if version == OFP10 and type(action) in NOT_IN_10:
        assert encode_actions((action,), OFP10, lenient=True) == b"", f"{HERE}: take it out of NOT_IN_10"
        return
    module = "actions" if version == OFP13 else "actions10"
    with told(f"src/inband/openflow/{module}.py or nicira_actions.py", f"write it, or name it in {HERE}: NOT_IN_10"):
        data = encode(Envelope(version, 1, PacketOut(ports.ANY, (action,))))
    with told(f"src/inband/openflow/{module}.py or nicira_actions.py", f"read it, or see {HERE}: NOT_ON_THE_WIRE"):
        again = decode(data).message
        assert isinstance(again, PacketOut)
        assert again.actions == (action,) or type(action) in NOT_ON_THE_WIRE


@each_action
def test_an_action_is_judged_in_flows_and_groups(action: a.Action) -> None:
    with told("src/inband/agent/validate.py", "judge it in _Review"):
        check_actions((action,), Match(), Asked.NONE, {1})


@each_action
def test_an_action_is_carried_out(action: a.Action) -> None:
    scene = Scene()
    with told("src/inband/pipeline: where actions are carried out", "carry it out"):
        scene.packet_out(FRAME, action, a.Output(PortNo(3)))


@pytest.mark.parametrize("cls", get_args(a.HeaderAction), ids=lambda cls: cls.__name__)
def test_an_action_on_headers_edits_frames(cls: type[a.HeaderAction]) -> None:
    with told(HERE, "put one into ACTIONS"):
        (action,) = (action for action in ACTIONS if type(action) is cls)
    with told("src/inband/packet/edit.py", "do it in apply"):
        assert isinstance(action, get_args(a.HeaderAction))
        assert apply(Frame(FRAME), action).data


@pytest.mark.parametrize("cls", get_args(a.DatapathAction), ids=lambda cls: cls.__name__)
def test_an_action_of_a_datapath_is_an_op_or_known_to_be_slow(cls: type) -> None:
    made: dict[type, a.DatapathAction] = {
        a.ToController: a.ToController(a.PacketInReason.ACTION, 128, 0, 0),
        a.Clone: a.Clone((a.Output(PortNo(2)),)),
        a.Meter: a.Meter(1),
        **{type(action): action for action in ACTIONS if isinstance(action, get_args(a.DatapathAction))},
    }
    with told(HERE, "put one into ACTIONS"):
        action = made[cls]
    with told("src/inband/datapath/ebpf/ops.py", f"make an op of it in _edit, or name it in {HERE}: SENT_UP"):
        ops = compile_ops((action, a.Output(PortNo(2)), a.Output(PortNo(3))), int, meters={1: False})
        assert (ops == SEND_UP) == (cls in SENT_UP)


@each_action
def test_table_features_name_an_action_that_has_a_number(action: a.Action) -> None:
    number = ActionType(int.from_bytes(encode_actions((action,), OFP13)[:2], "big"))
    assert number is ActionType.EXPERIMENTER or number in FEATURE_ACTIONS, "src/inband/agent/table_features.py: ACTIONS"


# Instructions -------------------------------------------------------------------------------------------------------

INSTRUCTIONS: tuple[a.Instruction, ...] = (
    a.Meter(1),
    a.ApplyActions((a.Output(PortNo(2)),)),
    a.ClearActions(),
    a.WriteActions((a.Output(PortNo(3)),)),
    a.WriteMetadata(5, 7),
    a.GotoTable(3),
)
"""One of each class of ``inband.flow.actions.Instruction``."""

each_instruction = pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=lambda each: type(each).__name__)


def test_every_instruction_is_here_and_has_a_turn() -> None:
    classes = set(get_args(a.Instruction))
    assert {type(each) for each in INSTRUCTIONS} == classes, f"{HERE}: put one of each class into INSTRUCTIONS"
    assert set(a.INSTRUCTION_ORDER) == classes, "src/inband/flow/actions.py: give it a turn in INSTRUCTION_ORDER"


@each_instruction
def test_an_instruction_has_words_and_travels(instruction: a.Instruction) -> None:
    with told("src/inband/flow/text_actions.py", "write it in format_actions and read it in parse_actions"):
        assert parse_actions(format_actions((instruction,))) == (instruction,)
    with told("src/inband/openflow/instructions.py", "write and read it"):
        message = FlowMod(FlowModCommand.ADD, instructions=(instruction,))
        assert decode(encode(Envelope(OFP13, 1, message))).message == message


@each_instruction
def test_an_instruction_is_judged_and_followed(instruction: a.Instruction) -> None:
    scene = Scene()
    tables = TableSet()
    tables.meters.add(1, MeterFlags.KBPS, (), 0.0)
    with told("src/inband/agent/validate.py", "judge it in check_flow"):
        check_flow(FlowMod(FlowModCommand.ADD, instructions=(instruction,)), tables, OFP13)
    with told("src/inband/pipeline: where instructions are followed", "follow it"):
        scene.flow_of(instruction)
        scene.actions(FRAME)


# Fields -------------------------------------------------------------------------------------------------------------

VALUES: dict[str, int] = {
    "eth_type": 0x0800,
    "vlan_vid": VLAN_PRESENT | 5,
    "ip_proto": 17,
    "ip_frag": 1,
    "ipv6_exthdr": 8,
    "in_port": 3,
    "in_phy_port": 4,
}
"""Values of fields for which not every number will do."""

NOT_IN_FRAMES = {*PIPELINE_FIELDS, "in_port"}
"""Fields that tables and the switch set, not the packet."""

NO_SLOT = {
    "ip_frag": "a fact about the packet, in other bits of IPv4 and of IPv6",
    "ipv6_exthdr": "a summary of headers, not bytes of one",
}
"""Fields of packets that no action can write."""

UNSETTABLE = {"in_port", "in_phy_port", "eth_type", "ip_proto", "ip_frag", "tcp_flags", "ipv6_exthdr"}
"""Fields that ``agent.validate`` lets no action set: what the rest of the packet is, and where it came from."""

FOR_EXPERIMENTS = 253
"""A protocol that means nothing here (RFC 3692): 0 would be a header of IPv6."""

each_field = pytest.mark.parametrize("field", FIELDS.values(), ids=lambda field: field.name)


def match_of(field: Field) -> Match:
    """A match of one value of a field, with what it depends on."""
    fields = {name: (allowed[0] if allowed else VALUES[name]) for name, allowed in field.needs}
    return Match.of(**fields, **{field.name: VALUES.get(field.name, field.all_ones)})


@each_field
def test_a_field_has_words_that_are_read_again(field: Field) -> None:
    match = match_of(field)
    with told("src/inband/flow/text_match.py and text_fields.py", "write and read it"):
        text = format_match(match)
        assert text
        assert parse_match(text) == match


@each_field
def test_a_field_travels_in_matches(field: Field) -> None:
    match = match_of(field)
    with told("src/inband/openflow/wire_fields.py", "a field without an OXM number needs a row in _NXM_OF or _NXM_NX"):
        for version, nicira in ((OFP13, False), (OFP10, True)):
            message = FlowMod(FlowModCommand.ADD, match, nicira=nicira)
            again = decode(encode(Envelope(version, 1, message))).message
            assert isinstance(again, FlowMod)
            assert again.match == match


@each_field
def test_a_field_is_found_in_frames(field: Field) -> None:
    if field.name in NOT_IN_FRAMES:
        return
    match = match_of(field)
    with told("src/inband/packet/build.py", "put it into the frame that it describes"):
        ip_proto = FIELDS["ip_proto"]
        key = match.value if ip_proto.get(match.value) else ip_proto.put(match.value, FOR_EXPERIMENTS)
        frame = frame_of_key(key)
    with told("src/inband/packet/parse.py and build.py", f"read it and write it, or see {HERE}: NOT_IN_FRAMES"):
        assert match.matches(parse(frame, 0)), parse(frame, 0)


@each_field
def test_a_field_is_written_in_frames(field: Field) -> None:
    is_written = field.name not in NOT_IN_FRAMES and field.name not in NO_SLOT
    where = "src/inband/packet/set_field.py"
    assert (field.name in SLOTS) == is_written, f"{where}: give it a slot in _PLACES, or name it in {HERE}: NO_SLOT"


@each_field
def test_a_field_has_a_place_in_the_kernels_key(field: Field) -> None:
    where = "src/inband/datapath/ebpf/keys.py"
    assert (field.name in PLACES) == (field.name not in PIPELINE_FIELDS), (
        f"{where}: give it a place in PLACES, and in bpf/layout.h; or, if no packet has it, name it in PIPELINE_FIELDS"
    )


@each_field
def test_a_field_can_be_set_or_is_known_to_be_read_only(field: Field) -> None:
    where = "src/inband/agent/validate.py"
    assert (field.name in SETTABLE) == (field.name not in UNSETTABLE), f"{where}: SETTABLE, or {HERE}: UNSETTABLE"


@each_field
def test_a_field_can_be_set_and_moved_by_actions(field: Field) -> None:
    value = VALUES.get(field.name, field.all_ones)
    for action in (a.SetField(field.name, value), a.MoveField(field.name, field.name, field.bits)):
        with told("src/inband/flow/text_actions.py and text_fields.py", "write it in actions, and read it"):
            (again,) = parse_actions(format_action(action))
            assert again == a.ApplyActions((action,))
        with told("src/inband/pipeline: where actions are carried out", "set it"):
            Scene().packet_out(FRAME, action)


# Messages -----------------------------------------------------------------------------------------------------------

OF_THE_SESSION = {
    m.Hello: "greets",
    m.EchoRequest: "is answered at once",
    m.EchoReply: "is a sign of life",
    m.Error: "is never answered",
}
"""Messages that ``openflow.session`` takes itself, or that need no answer."""

OF_NO_ONE = {
    m.Experimenter: "of a vendor that is not known: refused",
    mp.ExperimenterMultipartRequest: "of a vendor that is not known: refused",
}
"""Messages that are understood only as far as it takes to refuse them."""

OF_A_SWITCH = {
    m.FeaturesReply, m.GetConfigReply, m.PacketIn, m.FlowRemoved, m.PortStatus, m.BarrierReply, m.RoleReply,
    m.GetAsyncReply, m.QueueGetConfigReply, *get_args(mp.MultipartReply),
}  # fmt: skip
"""Messages that a switch sends and never gets."""


@pytest.mark.parametrize("cls", get_args(m.Message), ids=lambda cls: cls.__name__)
def test_a_message_has_bytes_and_somebody_who_takes_it(cls: type[m.Message]) -> None:
    samples = [envelope for envelope in SAMPLES if type(envelope.message) is cls]
    assert samples, "tests/unit/openflow/samples.py: put one into the samples"
    with told("src/inband/openflow: bodies.py, bodies10.py, nicira.py or stats.py", "give it a row"):
        for envelope in samples:
            assert decode(encode(envelope), table_id_in_command=False).xid == envelope.xid
    taken = [cls in HANDLERS, *(cls in others for others in (OF_THE_SESSION, OF_NO_ONE, OF_A_SWITCH))]
    assert taken.count(True) == 1, (
        f"src/inband/agent/agent.py: say in HANDLERS what it does; or name it in {HERE}: OF_THE_SESSION, OF_A_SWITCH"
    )


@pytest.mark.parametrize("cls", get_args(ErrorCode), ids=lambda cls: cls.__name__)
def test_every_kind_of_error_has_a_type(cls: type) -> None:
    assert cls in ERROR_TYPE, "src/inband/vocabulary/openflow_errors.py: ERROR_TYPE"
