"""Do a flow's actions fit the packets that it matches?

"The match of the flow entry must include the prerequisites of the field to be set" (OpenFlow 1.3.5, 7.2.5): setting
tcp_dst in a flow that does not ask for TCP is OFPBAC_MATCH_INCONSISTENT (6.4). Pushing and popping changes what is
known of the packet on the way. Only prerequisites are looked at; whether there is a tag to pop is found out per packet.

Not for OpenFlow 1.0, whose actions do nothing to packets that they do not fit, nor for groups and PACKET_OUT, which
have no match.
"""

from __future__ import annotations

from collections.abc import Iterable

from inband.flow import actions as a
from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.match import Match
from inband.openflow.errors import MalformedError
from inband.openflow.oxm import field_row
from inband.vocabulary.numbers import ETH_PBB
from inband.vocabulary.openflow_errors import BadAction

_TAG = VLAN_PRESENT << FIELDS["vlan_vid"].shift
_ETH_TYPE, _IP_PROTO = FIELDS["eth_type"], FIELDS["ip_proto"]


def check_consistency(match: Match, instructions: Iterable[a.Instruction]) -> None:
    """Refuse a SetField whose prerequisites do not hold where it is carried out.

    Raises MalformedError: OFPBAC_MATCH_INCONSISTENT.
    """
    value, mask = match.value, match.mask
    for instruction in instructions:
        if isinstance(instruction, a.ApplyActions | a.WriteActions):
            for action in instruction.actions:
                if type(action) is not a.Output:
                    value, mask = _after(action, value, mask)


def _after(action: a.Action, value: int, mask: int) -> tuple[int, int]:
    """What is known of a packet after an action."""
    match action:
        case a.SetField(name, number, bits):
            _check(name, value, mask)
            field = FIELDS[name]
            if bits is None:
                return field.put(value, number), mask | field.mask
        case a.PushVlan():
            return value | _TAG, mask | _TAG
        case a.PushMpls(eth_type) | a.PopMpls(eth_type):
            return _ETH_TYPE.put(value, eth_type), (mask | _ETH_TYPE.mask) & ~_IP_PROTO.mask
        case a.PushPbb():
            return _ETH_TYPE.put(value, ETH_PBB), mask | _ETH_TYPE.mask
        case a.PopPbb():  # whatever was inside: nothing is known of it
            return value, mask & ~_ETH_TYPE.mask
    return value, mask


def _check(name: str, value: int, mask: int) -> None:
    for bits, allowed in field_row(name).needs:
        if mask & bits != bits or (allowed and value & bits not in allowed):
            raise MalformedError(BadAction.MATCH_INCONSISTENT, f"set {name} in a flow that does not ask for it")
