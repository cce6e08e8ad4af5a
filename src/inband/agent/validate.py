"""Whether instructions and actions make sense, beyond what the codec can see in the bytes.

The codec has checked form: lengths, known types, values that fit. Here it is about meaning: ports that cannot be sent
to, tables that a goto cannot reach, header changes that the match does not allow ("prerequisites", OpenFlow 1.3.5,
7.2.3.8), groups and meters that are not there.

OpenFlow 1.0 knows no prerequisites for actions: there a header change that does not fit the packet does nothing, so
consistency is not asked for (``is_strict`` False).
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from inband.agent.refusal import RefusalError
from inband.flow import ports
from inband.flow.actions import (
    Action,
    ApplyActions,
    DecMplsTtl,
    DecNwTtl,
    GotoTable,
    Group,
    Instruction,
    Meter,
    Output,
    PopMpls,
    PopPbb,
    PopVlan,
    PushMpls,
    PushPbb,
    PushVlan,
    SetField,
    SetMplsTtl,
    SetNwTtl,
    WriteActions,
)
from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.table.table_set import TableSet
from inband.vocabulary.numbers import ETH_IPV4, ETH_IPV6, ETH_MPLS, ETH_MPLS_MC, ETH_PBB
from inband.vocabulary.openflow_errors import BadAction, BadInstruction, BadMatch, MeterModFailed

HIGHEST_PORT = 0xFEFF
"""Ports that a flow can name end where OpenFlow 1.0's do (there 5.2.1), so that every peer can be shown every flow."""

_IN_PORT = FIELDS["in_port"]
_MPLS = (ETH_MPLS, ETH_MPLS_MC)
_IP = (ETH_IPV4, ETH_IPV6)


def check_flow(
    instructions: Iterable[Instruction], match: Match, table_id: int, tables: TableSet, *, is_strict: bool
) -> None:
    """Check a flow's instructions and the port it matches; raises RefusalError. Only groups and meters are asked for
    of ``tables``, and how many tables there are.
    """
    in_port = _IN_PORT.get(match.value)  # 0 when it is not asked for
    if in_port > HIGHEST_PORT and in_port not in ports.NAMES:
        raise RefusalError(BadMatch.BAD_VALUE, f"a packet cannot come in on port {in_port}")
    packet = match if is_strict else None
    for instruction in instructions:
        match instruction:
            case GotoTable(target):
                if not table_id < target < len(tables):
                    raise RefusalError(BadInstruction.BAD_TABLE_ID, f"goto_table:{target} from table {table_id}")
            case Meter(meter_id) if meter_id not in tables.meters:
                raise RefusalError(MeterModFailed.INVALID_METER, f"there is no meter {meter_id}")
            case ApplyActions(actions):
                packet = check_actions(actions, packet, tables.groups)
            case WriteActions(actions):
                check_actions(actions, packet, tables.groups)
            case _:
                pass


def check_actions(
    actions: Iterable[Action], packet: Match | None, groups: Container[int], *, is_packet_out: bool = False
) -> Match | None:
    """Check actions in order; raises RefusalError.

    ``packet`` is what is known of the packet's headers (None: do not ask); what is known after the actions is
    returned. ``groups`` are the numbers of those that may be named. Only a PACKET_OUT may output to TABLE.
    """
    for action in actions:
        match action:
            case Output(port):
                _check_output(port, is_packet_out=is_packet_out)
            case Group(group_id):
                if group_id not in groups:
                    raise RefusalError(BadAction.BAD_OUT_GROUP, f"there is no group {group_id}")
            case _ if packet is not None:
                _check_header(action, packet)
                packet = _after(action, packet)
            case _:
                pass
    return packet


def _check_output(port: PortNo, *, is_packet_out: bool) -> None:
    is_named = port in ports.NAMES and port != ports.ANY
    if not (0 < port <= HIGHEST_PORT or is_named) or (port == ports.TABLE and not is_packet_out):
        raise RefusalError(BadAction.BAD_OUT_PORT, f"cannot output to port {int(port)}")


def _check_header(action: Action, packet: Match) -> None:
    """Raise RefusalError when the action changes a header that the packet need not have."""
    eth_type = packet.get("eth_type")
    match action:
        case SetField(field):
            is_fine = _has_prerequisites(field, packet)
        case PopVlan():
            is_fine = _has_vlan(packet)
        case PopMpls() | SetMplsTtl() | DecMplsTtl():
            is_fine = eth_type in _MPLS
        case PopPbb():
            is_fine = eth_type == ETH_PBB
        case SetNwTtl() | DecNwTtl():
            is_fine = eth_type in _IP
        case _:
            is_fine = True
    if not is_fine:
        raise RefusalError(BadAction.MATCH_INCONSISTENT, f"the match does not make sure that {action} is possible")


def _has_prerequisites(name: str, packet: Match) -> bool:
    if name in ("vlan_vid", "vlan_pcp"):
        return _has_vlan(packet)
    return all(packet.get(needed) in allowed for needed, allowed in FIELDS[name].needs if allowed)


def _has_vlan(packet: Match) -> bool:
    return bool(FIELDS["vlan_vid"].get(packet.value) & VLAN_PRESENT)


def _after(action: Action, packet: Match) -> Match:
    """What is known of the headers after an action: a push or pop of a header hides or shows what is below."""
    match action:
        case PushVlan():
            return packet.with_field("vlan_vid", VLAN_PRESENT, VLAN_PRESENT)
        case PopVlan():
            # An inner tag may be left.
            return packet.with_field("vlan_vid", 0, 0)
        case PushMpls(eth_type) | PopMpls(eth_type):
            return _only_vlan(packet).with_field("eth_type", eth_type)
        case PushPbb(eth_type):
            return Match.of(eth_type=eth_type)
        case PopPbb():
            return Match()
        case _:
            return packet


def _only_vlan(packet: Match) -> Match:
    mask = packet.mask & FIELDS["vlan_vid"].mask
    return Match(packet.value & mask, mask)
