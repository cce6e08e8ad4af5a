"""Actions and instructions as ovs-ofctl writes them, both ways: ``set_queue:1,NORMAL``, ``dec_ttl,goto_table:3``.

ovs-actions(7) is the reference. Written: what ``ovs-ofctl -O OpenFlow13 dump-flows`` prints, and for what Open vSwitch
does not have, words in the same style (``copy_ttl_in``, ``push_pbb:0x88e7``). Read: what is written, and the usual
short forms (``2``, ``normal``, ``mod_vlan_vid:5``, ``strip_vlan``, ``enqueue:1:2``).

The grammar is one rule: NAME, NAME:ARGUMENT or NAME(ARGUMENT), separated by commas outside parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import assert_never

from inband.errors import UsageError
from inband.flow import actions as a
from inband.flow import ports
from inband.flow.fields import FIELDS, Field
from inband.flow.text_fields import (
    NO_PORTS,
    WIRE_NAMES,
    Ports,
    find_field,
    format_value,
    parse_number,
    parse_port,
    parse_value,
    suggest,
    written_name,
)

_REASONS = {
    a.PacketInReason.NO_MATCH: "no_match",
    a.PacketInReason.ACTION: "action",
    a.PacketInReason.INVALID_TTL: "invalid_ttl",
}


def format_actions(actions: Iterable[a.Instruction | a.Action | a.DatapathAction]) -> str:
    """Instructions of a flow, or actions of a flow or a datapath, as ovs-ofctl prints them behind ``actions=``.

    Nothing at all is ``drop``.
    """
    return ",".join(term for action in actions for term in _terms_of(action)) or "drop"


def _terms_of(action: a.Instruction | a.Action | a.DatapathAction) -> Iterator[str]:
    match action:
        case a.ApplyActions(actions):
            yield from map(format_action, actions)
        case a.ClearActions():
            yield "clear_actions"
        case a.WriteActions(actions):
            yield f"write_actions({format_actions(actions)})"
        case a.WriteMetadata(value, mask):
            every = FIELDS["metadata"].all_ones
            yield f"write_metadata:{value:#x}" + ("" if mask == every else f"/{mask:#x}")
        case a.GotoTable(table_id):
            yield f"goto_table:{table_id}"
        case _:
            yield format_action(action)


def format_action(action: a.Action | a.DatapathAction) -> str:
    """One action."""
    match action:
        case a.Output(port, max_len):
            return _format_output(port, max_len)
        case a.ToController(reason, max_len):
            return f"controller(reason={_REASONS[reason]},max_len={max_len})"
        case a.SendToController():
            return _format_controller(action)
        case a.Group(group_id):
            return f"group:{group_id}"
        case a.SetQueue(queue_id):
            return f"set_queue:{queue_id}"
        case a.SetField():
            return _format_set_field(action)
        case a.MoveField():
            source = _subfield(action.source, action.source_offset, action.bits)
            return f"move:{source}->{_subfield(action.destination, action.destination_offset, action.bits)}"
        case a.Resubmit(in_port, None):
            return f"resubmit:{'' if in_port is None else in_port}"
        case a.Resubmit(in_port, table_id):
            return f"resubmit({'' if in_port is None else in_port},{table_id})"
        case a.Clone(actions):
            return f"clone({format_actions(actions)})"
        case a.SetVlanVid(vid):
            return f"mod_vlan_vid:{vid}"
        case a.SetVlanPcp(pcp):
            return f"mod_vlan_pcp:{pcp}"
        case a.SetMplsTtl(ttl):
            return f"set_mpls_ttl({ttl})"
        case a.SetNwTtl(ttl):
            return f"mod_nw_ttl:{ttl}"
        case a.PushVlan(eth_type):
            return f"push_vlan:{eth_type:#06x}"
        case a.PushMpls(eth_type):
            return f"push_mpls:{eth_type:#06x}"
        case a.PushPbb(eth_type):
            return f"push_pbb:{eth_type:#06x}"
        case a.PopMpls(eth_type):
            return f"pop_mpls:{eth_type:#06x}"
        case _:
            return _format_plain(action)


_Plain = a.PopQueue | a.PopVlan | a.PopPbb | a.DecMplsTtl | a.DecNwTtl | a.CopyTtlOut | a.CopyTtlIn | a.Meter


def _format_plain(action: _Plain) -> str:
    """An action without an argument, or a meter."""
    match action:
        case a.Meter(meter_id):
            return f"meter:{meter_id}"
        case a.PopQueue():
            return "pop_queue"
        case a.PopVlan():
            return "pop_vlan"
        case a.PopPbb():
            return "pop_pbb"
        case a.DecMplsTtl():
            return "dec_mpls_ttl"
        case a.DecNwTtl():
            return "dec_ttl"
        case a.CopyTtlOut():
            return "copy_ttl_out"
        case a.CopyTtlIn():
            return "copy_ttl_in"
        case _:
            assert_never(action)


def _format_output(port: ports.PortNo, max_len: int) -> str:
    if port == ports.CONTROLLER:
        return f"CONTROLLER:{max_len}"
    return str(port) if port in ports.NAMES else f"output:{int(port)}"


def _format_controller(action: a.SendToController) -> str:
    parts = []
    if action.reason is not a.PacketInReason.ACTION:
        parts.append(f"reason={_REASONS[action.reason]}")
    if action.max_len != a.WHOLE_PACKET:
        parts.append(f"max_len={action.max_len}")
    if action.controller_id:
        parts.append(f"id={action.controller_id}")
    return f"controller({','.join(parts)})"


def _format_set_field(action: a.SetField) -> str:
    """``set_field`` of a whole field; ``load`` of adjacent bits and of fields that only Nicira's extension can set."""
    field = FIELDS[action.field]
    mask = field.all_ones if action.mask is None else action.mask
    if mask == field.all_ones and field.oxm is not None:
        return f"set_field:{_plain_value(field, action.value)}->{written_name(field.name)}"
    low = (mask & -mask).bit_length() - 1
    bits = mask.bit_count()
    if mask and mask >> low == (1 << bits) - 1:
        return f"load:{action.value >> low:#x}->{_subfield(field.name, low, bits)}".replace(":0x0->", ":0->")
    return f"set_field:{action.value:#x}/{mask:#x}->{written_name(field.name)}"


def _plain_value(field: Field, value: int) -> str:
    """Open vSwitch writes vlan_vid in decimal and the flow label without padding here, unlike in matches."""
    if field.name in ("vlan_vid", "ip_frag", "tcp_flags"):
        return str(value)
    return f"{value:#x}" if field.name == "ipv6_flabel" else format_value(field, value, field.all_ones)


def _subfield(name: str, low: int, bits: int) -> str:
    field = FIELDS[name]
    where = "" if bits == field.bits else f"{low}..{low + bits - 1}" if bits > 1 else f"{low}"
    return f"{WIRE_NAMES.get(name, name)}[{where}]"


_TERM = re.compile(r"(\w+)(?:[:=]\s*(.*)|\((.*)\))?", re.DOTALL)
_SUBFIELD = re.compile(r"(\w+)\[(?:(\d{1,3})(?:\.\.(\d{1,3}))?)?\]")

# Long enough for any real list; nesting is bounded by it as well.
_MAX_TEXT = 1 << 16
_MAX_DEPTH = 8


def parse_actions(text: str, known_ports: Ports = NO_PORTS) -> tuple[a.Instruction, ...]:
    """Read what is behind ``actions=``; raises UsageError naming the action that is wrong.

    Actions become one ApplyActions, around which the instructions are in OpenFlow's order of execution (1.3.5, 5.9).
    """
    if len(text) > _MAX_TEXT:
        raise UsageError(f"actions of more than {_MAX_TEXT} characters")
    apply: list[a.Action] = []
    instructions: list[a.Instruction] = []
    for name, argument in _parse_terms(text):
        if name in _INSTRUCTIONS:
            instructions.append(_INSTRUCTIONS[name](argument, known_ports))
        else:
            apply += _parse_action(name, argument, known_ports)
    if apply:
        instructions.append(a.ApplyActions(tuple(apply)))
    instructions.sort(key=lambda instruction: a.INSTRUCTION_ORDER.index(type(instruction)))
    kinds = [type(instruction) for instruction in instructions]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise UsageError(f"{kind.__name__} is given twice: a flow has at most one")
    return tuple(instructions)


def _parse_terms(text: str) -> Iterator[tuple[str, str]]:
    """(name, argument) of each action; the argument is empty where there is none."""
    for term in _split(text):
        found = _TERM.fullmatch(term)
        if found is None:
            raise UsageError(f"{term!r} is not an action: write NAME, NAME:ARGUMENT or NAME(ARGUMENT)")
        yield found[1].lower(), found[2] or found[3] or ""


def _split(text: str) -> list[str]:
    """Cut at commas outside parentheses; empty pieces are dropped."""
    pieces, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not 0 <= depth <= _MAX_DEPTH:
            raise UsageError(f"parentheses of {text!r} do not pair, or are deeper than {_MAX_DEPTH}")
        if character == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    if depth:
        raise UsageError(f"parentheses of {text!r} do not pair")
    return [piece.strip() for piece in pieces if piece.strip()]


def _parse_action(name: str, argument: str, known: Ports) -> Sequence[a.Action]:
    if name in _PLAIN and not argument:
        return _PLAIN[name]
    if name in _WITH_ARGUMENT:
        if not argument:
            raise UsageError(f"action {name} needs an argument: {name}:...")
        return _WITH_ARGUMENT[name](argument, known)
    if name == "controller":
        return [_parse_controller(argument)]
    if not argument and (name.isdigit() or name in known or name.upper() in ports.NAMES.values()):
        return [a.Output(parse_port(name, known))]
    words = sorted({*_PLAIN, *_WITH_ARGUMENT, *_INSTRUCTIONS, "controller", "normal", "flood"})
    what = f"{name}:{argument}" if argument else name
    raise UsageError(f"unknown action {what!r}{suggest(name, words)}")


_PLAIN: Mapping[str, Sequence[a.Action]] = {
    "drop": (),
    "pop_queue": (a.PopQueue(),),
    "pop_vlan": (a.PopVlan(),),
    "strip_vlan": (a.PopVlan(),),
    "pop_pbb": (a.PopPbb(),),
    "dec_mpls_ttl": (a.DecMplsTtl(),),
    "dec_ttl": (a.DecNwTtl(),),
    "copy_ttl_out": (a.CopyTtlOut(),),
    "copy_ttl_in": (a.CopyTtlIn(),),
}


def _number(bits: int, make: Callable[[int], a.Action]) -> Callable[[str, Ports], Sequence[a.Action]]:
    return lambda argument, _known: [make(parse_number(argument, bits, "argument"))]


def _parse_output(argument: str, known: Ports) -> Sequence[a.Action]:
    return [a.Output(parse_port(argument, known))]


def _parse_enqueue(argument: str, known: Ports) -> Sequence[a.Action]:
    """OpenFlow 1.0's enqueue: a queue for one output."""
    port, _, queue = argument.replace(",", ":").partition(":")
    return [a.SetQueue(parse_number(queue, 32, "queue")), a.Output(parse_port(port, known)), a.PopQueue()]


def _parse_resubmit(argument: str, known: Ports) -> Sequence[a.Action]:
    port_text, _, table_text = argument.partition(",")
    port = parse_port(port_text.strip(), known) if port_text.strip() else None
    table = parse_number(table_text.strip(), 8, "table") if table_text.strip() else None
    return [a.Resubmit(port, table)]


def _parse_set_field(argument: str, known: Ports) -> Sequence[a.Action]:
    value_text, arrow, name = argument.partition("->")
    field = find_field(name.strip())
    if not arrow or field is None:
        raise UsageError(f"set_field:{argument}: write set_field:VALUE[/MASK]->FIELD{suggest(name, sorted(FIELDS))}")
    value_text, slash, mask_text = value_text.strip().partition("/")
    value, _ = parse_value(field, value_text, known)
    mask, _ = parse_value(field, mask_text, known) if slash else (None, 0)
    return [a.SetField(field.name, value if mask is None else value & mask, mask)]


def _set(name: str) -> Callable[[str, Ports], Sequence[a.Action]]:
    """Open vSwitch's older mod_... actions."""
    return lambda argument, known: [a.SetField(name, parse_value(FIELDS[name], argument, known)[0])]


def _parse_load(argument: str, _known: Ports) -> Sequence[a.Action]:
    value_text, _, target = argument.partition("->")
    field, low, bits = _parse_subfield(target)
    value = parse_number(value_text.strip(), bits, "load")
    whole = bits == field.bits
    return [a.SetField(field.name, value << low, None if whole else (1 << bits) - 1 << low)]


def _parse_move(argument: str, _known: Ports) -> Sequence[a.Action]:
    source_text, _, target_text = argument.partition("->")
    source, source_low, source_bits = _parse_subfield(source_text)
    target, target_low, target_bits = _parse_subfield(target_text)
    if source_bits != target_bits:
        raise UsageError(f"move:{argument}: {source_bits} bits do not fit into {target_bits}")
    return [a.MoveField(source.name, target.name, source_bits, source_low, target_low)]


def _parse_subfield(text: str) -> tuple[Field, int, int]:
    """FIELD[], FIELD[BIT] or FIELD[LOW..HIGH] as (field, lowest bit, bits)."""
    found = _SUBFIELD.fullmatch(text.strip())
    field = find_field(found[1]) if found else None
    if found is None or field is None:
        raise UsageError(f"{text!r} is not a part of a field: write reg0[], reg0[3] or reg0[0..7]")
    low = int(found[2] or 0)
    high = int(found[3]) if found[3] else low if found[2] else field.bits - 1
    if not low <= high < field.bits:
        raise UsageError(f"{text!r}: {field.name} has bits 0 to {field.bits - 1}")
    return field, low, high - low + 1


def _parse_controller(argument: str) -> a.Action:
    """``controller``, ``controller:MAX_LEN``, or ``controller(reason=...,max_len=...,id=...)``."""
    if not argument:
        return a.Output(ports.CONTROLLER)
    if "=" not in argument:
        return a.Output(ports.CONTROLLER, parse_number(argument, 16, "controller"))
    given = dict(part.strip().partition("=")[::2] for part in argument.split(","))
    reasons = {word: reason for reason, word in _REASONS.items()}
    reason = reasons.get(given.pop("reason", "action"))
    max_len = parse_number(given.pop("max_len", str(a.WHOLE_PACKET)), 16, "max_len")
    controller_id = parse_number(given.pop("id", "0"), 16, "id")
    if reason is None or given:
        raise UsageError(f"controller({argument}): write controller(reason={'|'.join(reasons)},max_len=N,id=N)")
    return a.SendToController(max_len, controller_id, reason)


_WITH_ARGUMENT: Mapping[str, Callable[[str, Ports], Sequence[a.Action]]] = {
    "output": _parse_output,
    "enqueue": _parse_enqueue,
    "group": _number(32, a.Group),
    "set_queue": _number(32, a.SetQueue),
    "push_vlan": _number(16, a.PushVlan),
    "push_mpls": _number(16, a.PushMpls),
    "pop_mpls": _number(16, a.PopMpls),
    "push_pbb": _number(16, a.PushPbb),
    "set_mpls_ttl": _number(8, a.SetMplsTtl),
    "mod_nw_ttl": _number(8, a.SetNwTtl),
    "mod_nw_tos": _number(8, lambda tos: a.SetField("ip_dscp", tos >> 2)),
    "resubmit": _parse_resubmit,
    "set_field": _parse_set_field,
    "load": _parse_load,
    "move": _parse_move,
    "mod_vlan_vid": _number(12, a.SetVlanVid),
    "mod_vlan_pcp": _number(3, a.SetVlanPcp),
    "mod_dl_src": _set("eth_src"),
    "mod_dl_dst": _set("eth_dst"),
    "mod_nw_src": _set("ipv4_src"),
    "mod_nw_dst": _set("ipv4_dst"),
    "mod_nw_ecn": _set("ip_ecn"),
    "set_tunnel": _set("tunnel_id"),
    "set_tunnel64": _set("tunnel_id"),
}


def _parse_write_actions(argument: str, known: Ports) -> a.Instruction:
    actions = [action for name, inner in _parse_terms(argument) for action in _parse_action(name, inner, known)]
    return a.WriteActions(tuple(actions))


def _parse_write_metadata(argument: str, _known: Ports) -> a.Instruction:
    value, slash, mask = argument.partition("/")
    number = parse_number(value, 64, "write_metadata")
    return a.WriteMetadata(number, parse_number(mask, 64, "write_metadata")) if slash else a.WriteMetadata(number)


_INSTRUCTIONS: Mapping[str, Callable[[str, Ports], a.Instruction]] = {
    "meter": lambda argument, _known: a.Meter(parse_number(argument, 32, "meter")),
    "clear_actions": lambda _argument, _known: a.ClearActions(),
    "write_actions": _parse_write_actions,
    "write_metadata": _parse_write_metadata,
    "goto_table": lambda argument, _known: a.GotoTable(parse_number(argument, 8, "goto_table")),
}
