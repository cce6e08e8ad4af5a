"""Whether flows, buckets and PACKET_OUTs make sense: the one judge of meaning.

The codec has checked bytes: lengths, known types, values that fit their field. Here it is about ports that can be sent
to, tables that a goto can reach, fields that can be set, headers that the match promises ("prerequisites", OpenFlow
1.3.5, 7.2.3.8 and 7.2.5), groups and meters that are there. Verdicts are those of Open vSwitch 3.1 where it has one,
else the specification's; a test asks both switches the same and names each difference.

Of several faults the one is told that Open vSwitch finds first: what is wrong by itself, then what does not fit the
packet, then what is not there. So all actions are looked at before a flow is refused.

OpenFlow 1.0's actions on headers do nothing to packets that do not have them; what it takes from Nicira (loads and
moves of other fields) needs its prerequisites there as well. Groups have no match: of their buckets nothing is asked.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from enum import Enum
from typing import Final, assert_never

from inband.agent.known_headers import KnownHeaders
from inband.agent.refusal import RefusalError
from inband.flow import actions as a
from inband.flow import ports
from inband.flow.facts import Facts, are_few
from inband.flow.fields import FIELDS, FRAG_LATER, TRANSPORT_FIELDS, VLAN_PRESENT
from inband.flow.groups import Bucket
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.openflow.messages import FlowMod
from inband.table.groups import MAX_GROUP_ID
from inband.table.table_set import TableSet
from inband.vocabulary.numbers import ETH_MPLS, ETH_MPLS_MC, ETH_PBB, ETH_QINQ, ETH_VLAN
from inband.vocabulary.openflow import ALL_TABLES, OFP10, FlowModCommand
from inband.vocabulary.openflow_errors import (
    BadAction,
    BadInstruction,
    BadMatch,
    BadRequest,
    ErrorCode,
    GroupModFailed,
    MeterModFailed,
)

_READ_ONLY = frozenset({"in_port", "eth_type", "ip_proto", "ip_frag", "tcp_flags"})
# Not among Open vSwitch's fields.
_UNSUPPORTED = frozenset({"in_phy_port", "ipv6_exthdr"})

SETTABLE: Final = frozenset(FIELDS) - _READ_ONLY - _UNSUPPORTED
"""The fields that an action may set: not those that say what the rest of the packet is, or where it came from."""

_ALWAYS_THERE: Final = SETTABLE & {name for name, field in FIELDS.items() if not field.needs} - {"vlan_vid"}

_OUTPUTS: Final = frozenset(ports.NAMES) - {ports.ANY}
_WATCHED: Final = frozenset({ports.LOCAL, ports.CONTROLLER, ports.ANY})

# As plain numbers: they are compared for each action.
_HIGHEST, _MAX = int(ports.HIGHEST), int(ports.MAX)
_IN_PORT = FIELDS["in_port"].mask
_LATER = FRAG_LATER << FIELDS["ip_frag"].shift
_TRANSPORT_BITS = sum(FIELDS[name].mask for name in TRANSPORT_FIELDS)

# What OpenFlow 1.0 has actions for (there 5.2.4), or Nicira actions that say the same for MPLS.
_OWN_10 = frozenset(
    {"ipv4_src", "ipv4_dst", "ip_dscp", "tcp_src", "tcp_dst", "udp_src", "udp_dst", "mpls_label", "mpls_tc"}
)
_VLAN_FIELDS = frozenset({"vlan_vid", "vlan_pcp"})


class Asked(Enum):
    """Which actions need the headers that they change to be known."""

    ALL = "all"
    NOT_OPENFLOW_10 = "not OpenFlow 1.0's"
    NONE = "none"


def what_is_asked(version: int) -> Asked:
    """What a connection of this OpenFlow version has to make sure of."""
    return Asked.NOT_OPENFLOW_10 if version == OFP10 else Asked.ALL


def check_flow(request: FlowMod, tables: TableSet, version: int) -> None:
    """Check what a FLOW_MOD of this OpenFlow version says; raises RefusalError.

    Of ``tables`` is asked how many there are, and which groups and meters; a delete need not name such as are there.
    """
    _check_match(request.match)
    if request.out_port == ports.ANY and _are_plain(request.instructions):
        return
    review = _Review(request.match, what_is_asked(version), tables.groups)
    for instruction in request.instructions:
        match instruction:
            case a.ApplyActions(actions) | a.WriteActions(actions):
                review.actions(actions)
            case a.GotoTable(target):
                is_backward = request.table_id != ALL_TABLES and target <= request.table_id
                if is_backward or target >= len(tables):
                    review.refuse(_UNFIT, BadInstruction.BAD_TABLE_ID, f"goto {target} from table {request.table_id}")
            case a.Meter(meter_id):
                if meter_id not in tables.meters:
                    review.refuse(_MISSING, MeterModFailed.INVALID_METER, f"there is no meter {meter_id}")
            case a.WriteMetadata() | a.ClearActions():
                pass
            case _:
                assert_never(instruction)
    if request.out_port != ports.ANY and not _is_port(request.out_port):
        review.refuse(_WRONG, BadAction.BAD_OUT_PORT, f"nothing is output to port {int(request.out_port)}")
    review.finish(_UNFIT if request.command >= FlowModCommand.DELETE else _MISSING)


def _is_always_right(instructions: tuple[a.Instruction, ...]) -> bool:
    """Whether there is nothing to ask about these, whatever the match, the table, and what is there: most lists."""
    return all(
        isinstance(instruction, a.ApplyActions | a.WriteActions)
        and all(isinstance(action, a.Output) and _is_target(action.port) for action in instruction.actions)
        for instruction in instructions
    )


_are_plain = Facts(_is_always_right, are_few).of


def check_actions(
    actions: Iterable[a.Action], packet: Match | KnownHeaders, asked: Asked, groups: Container[int]
) -> None:
    """Check the actions of a PACKET_OUT, in order; raises RefusalError. ``groups`` are those that may be named."""
    review = _Review(packet, asked, groups)
    review.actions(actions)
    review.finish()


def check_bucket(bucket: Bucket, groups: Container[int]) -> None:
    """Check a bucket's actions and the port it watches; raises RefusalError. ``groups`` are those it may name."""
    check_actions(bucket.actions, ANY, Asked.NONE, groups)
    if not (0 < bucket.watch_port <= ports.HIGHEST or bucket.watch_port in _WATCHED):
        raise RefusalError(GroupModFailed.BAD_WATCH, f"port {bucket.watch_port} cannot be watched")


def check_in_port(port: PortNo) -> None:
    """Check where a PACKET_OUT's packet came in: on a port, there or not, or on none; raises RefusalError."""
    if not _is_port(port):
        raise RefusalError(BadAction.BAD_OUT_PORT, f"{int(port)} is no number of a port")
    if port > ports.HIGHEST and port not in (ports.LOCAL, ports.CONTROLLER, ports.ANY):
        raise RefusalError(BadRequest.BAD_PORT, f"a packet cannot come in on port {int(port)}")


def _check_match(match: Match) -> None:
    in_port = match.value & _IN_PORT  # the rightmost bits of a key; 0 when it is not matched
    if not _is_port(in_port):
        raise RefusalError(BadMatch.BAD_VALUE, f"a packet cannot come in on port {in_port}")
    if match.value & _LATER and match.mask & _TRANSPORT_BITS:
        raise RefusalError(BadMatch.BAD_PREREQ, "later fragments have no transport header to match")


def _is_port(port: int) -> bool:
    """Whether 16 bits can name it, as every peer must be able to: an ordinary port or a reserved one."""
    return port <= _HIGHEST or port >= _MAX


def _is_target(port: PortNo) -> bool:
    """Whether a packet can be output to it."""
    return 0 < port <= _HIGHEST or port in _OUTPUTS


# Which fault is told: the lowest, and of several such the first.
_WRONG, _UNFIT, _MISSING = range(3)


class _Review:
    """One request's actions in order: what is known of the packet, and the worst fault so far."""

    __slots__ = ("_asked", "_fault", "_groups", "_is_lenient", "_packet", "_rank")

    def __init__(self, packet: Match | KnownHeaders, asked: Asked, groups: Container[int]) -> None:
        self._packet = packet
        self._asked = asked
        self._is_lenient = asked is not Asked.ALL
        self._groups = groups
        self._rank = _MISSING + 1
        self._fault: tuple[ErrorCode, str] | None = None

    def refuse(self, rank: int, code: ErrorCode, text: str) -> None:
        """Note a fault."""
        if rank < self._rank:
            self._rank, self._fault = rank, (code, text)

    def finish(self, up_to: int = _MISSING) -> None:
        """Raise RefusalError for the fault, if there is one of these ranks."""
        if self._fault is not None and self._rank <= up_to:
            raise RefusalError(*self._fault)

    def actions(self, actions: Iterable[a.Action]) -> None:
        """Look at actions that run one after the other."""
        for action in actions:
            if type(action) is a.Output:  # in nearly every list, and often all of it
                self._output(action.port)
            else:
                self._action(action)

    @property
    def _known(self) -> KnownHeaders:
        """What is known of the packet, made when first an action asks for it."""
        packet = self._packet
        if isinstance(packet, Match):
            packet = self._packet = KnownHeaders(packet.value, packet.mask)
        return packet

    def _output(self, port: PortNo) -> None:
        if not _is_target(port):
            self.refuse(_WRONG, BadAction.BAD_OUT_PORT, f"cannot output to port {int(port)}")

    def _action(self, action: a.Action) -> None:
        match action:
            case a.Output(port):
                self._output(port)
            case a.SetField(name, value, mask):
                self._set_field(name, value, mask)
            case a.Group(group_id):
                self._group(group_id)
            case a.PushVlan() | a.PushMpls() | a.PushPbb():
                self._push(action)
            case a.PopVlan() | a.PopMpls() | a.PopPbb():
                self._pop(action)
            case a.SetNwTtl() | a.DecNwTtl():
                self._need(self._is_lenient or self._known.is_ip, action)
            case a.SetMplsTtl() | a.DecMplsTtl():
                self._need(self._is_lenient or self._known.is_mpls, action)
            case a.SetVlanVid() | a.SetVlanPcp():
                self._known.ensure_vlan()
            case a.MoveField(source, destination):
                self._move(source, destination)
            case a.SetQueue() | a.PopQueue() | a.Resubmit() | a.SendToController() | a.CopyTtlOut() | a.CopyTtlIn():
                pass
            case _:
                assert_never(action)

    def _need(self, is_there: bool, action: a.Action) -> None:
        if not is_there:
            self._unfit(f"the match does not make sure that {action} is possible")

    def _unfit(self, text: str) -> None:
        self.refuse(_UNFIT, BadAction.MATCH_INCONSISTENT, text)

    def _group(self, group_id: int) -> None:
        if group_id > MAX_GROUP_ID:
            self.refuse(_WRONG, BadAction.BAD_OUT_GROUP, f"{group_id:#x} is no number of a group")
        elif group_id not in self._groups:
            self.refuse(_MISSING, BadAction.BAD_OUT_GROUP, f"there is no group {group_id}")

    def _push(self, action: a.PushVlan | a.PushMpls | a.PushPbb) -> None:
        match action:
            case a.PushVlan(eth_type):
                is_tag = eth_type in (ETH_VLAN, ETH_QINQ)
                self._known.push_vlan()
            case a.PushMpls(eth_type):
                is_tag = eth_type in (ETH_MPLS, ETH_MPLS_MC)
                self._known.change_eth_type(eth_type)
            case a.PushPbb(eth_type):
                is_tag = eth_type == ETH_PBB
                self._known.push_pbb()
            case _:
                assert_never(action)
        if not is_tag:
            self.refuse(_WRONG, BadAction.BAD_ARGUMENT, f"{type(action).__name__} of ethertype {eth_type:#06x}")

    def _pop(self, action: a.PopVlan | a.PopMpls | a.PopPbb) -> None:
        match action:
            case a.PopVlan():
                self._need(self._is_lenient or self._known.has_vlan, action)
                self._known.pop_vlan()
            case a.PopMpls(eth_type):
                self._need(self._is_lenient or self._known.is_mpls, action)
                self._known.change_eth_type(eth_type)
            case a.PopPbb():
                self._need(self._is_lenient or self._known.is_pbb, action)
                self._known.pop_pbb()
            case _:
                assert_never(action)

    def _set_field(self, name: str, value: int, mask: int | None) -> None:
        if name in _ALWAYS_THERE:
            return
        self._check_settable(name)
        if name == "vlan_vid" and not value & VLAN_PRESENT and (mask is None or mask & VLAN_PRESENT):
            self.refuse(_WRONG, BadAction.BAD_SET_ARGUMENT, f"vlan_vid {value:#x} without OFPVID_PRESENT")
        if not self._known.has(name) and self._is_asked(name, mask):
            self._unfit(f"the match does not make sure that there is {name} to set")

    def _move(self, source: str, destination: str) -> None:
        self._check_settable(destination)
        for name in (source, destination):
            if not self._known.has(name) and self._asked is not Asked.NONE:
                self._unfit(f"the match does not make sure that there is {name} to move")

    def _check_settable(self, name: str) -> None:
        if name not in SETTABLE:
            code = BadAction.BAD_SET_TYPE if name in _UNSUPPORTED else BadAction.BAD_SET_ARGUMENT
            self.refuse(_WRONG, code, f"{name} cannot be set")

    def _is_asked(self, name: str, mask: int | None) -> bool:
        if self._asked is Asked.NOT_OPENFLOW_10:
            return not (name in _VLAN_FIELDS or (mask is None and name in _OWN_10))
        return self._asked is Asked.ALL
