"""A decision's actions become ops that the program in the kernel runs, or one op: "the switch does it".

The program does what is common and cheap: outputs, queues, VLAN tags, addresses (ARP's too), ports, DSCP, ECN, TTL,
meters, drops. What it cannot is SCTP's ports, as a CRC over all of the packet would follow.
A decision with anything else in it (a controller, MPLS, a copy that is edited and then the original) is sent up frame
by frame and carried out by ``execute`` in this process: slower, and by definition right.

Invariants: ops do what ``datapath.execute`` does with the same actions; the table of packets and a property
test compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import assert_never

from inband.datapath.ebpf.layout import MAX_OPS, OP, OP_BYTES, OpKind
from inband.flow.actions import (
    Clone,
    CopyTtlIn,
    CopyTtlOut,
    DatapathAction,
    DecMplsTtl,
    DecNwTtl,
    HeaderAction,
    Meter,
    Output,
    PopMpls,
    PopPbb,
    PopQueue,
    PopVlan,
    PushMpls,
    PushPbb,
    PushVlan,
    SetField,
    SetMplsTtl,
    SetNwTtl,
    SetQueue,
    ToController,
)
from inband.flow.fields import FIELDS
from inband.flow.ports import PortNo
from inband.vocabulary.numbers import IP_TCP, IP_UDP
from inband.vocabulary.openflow import MAX_QUEUE

NO_METERS: Mapping[int, bool] = MappingProxyType({})
SEND_UP = OP.pack(OpKind.SEND_UP, 0, 0, 0)

_VID_BITS = 0xFFF
_ETHERNET = {"eth_dst": OpKind.SET_ETH_DST, "eth_src": OpKind.SET_ETH_SRC}
# The first of the 16 bits of an address among those of both.
_ETH_WORDS = {"eth_dst": 0, "eth_src": 3}
_WHOLE_ADDRESS = (1 << 48) - 1
_IPV4 = {"ipv4_src": OpKind.SET_IPV4_SRC, "ipv4_dst": OpKind.SET_IPV4_DST}
# The first of the words of an address among those of both.
_IPV6 = {"ipv6_src": 0, "ipv6_dst": 4}
_WORD_BITS = 32
# Where in the message, and how many bytes.
_ARP = {"arp_op": (6, 2), "arp_sha": (8, 6), "arp_spa": (14, 4), "arp_tha": (18, 6), "arp_tpa": (24, 4)}
_PORTS = {
    "tcp_src": (OpKind.SET_PORT_SRC, IP_TCP),
    "tcp_dst": (OpKind.SET_PORT_DST, IP_TCP),
    "udp_src": (OpKind.SET_PORT_SRC, IP_UDP),
    "udp_dst": (OpKind.SET_PORT_DST, IP_UDP),
}


class UnfitError(Exception):
    """The program in the kernel cannot do this."""


def compile_ops(
    actions: Iterable[DatapathAction],
    slot_of: Callable[[PortNo], int],
    *,
    known_unicast: bool = False,
    meters: Mapping[int, bool] = NO_METERS,
) -> bytes:
    """The ops of a decision, packed; none for a drop, SEND_UP for what the program cannot do.

    ``known_unicast``: the port is that of the one destination, so the program may hand the packet to the port's peer
    (``peer``). ``meters``: those that the program knows, and whether they change packets. What it cannot do is alone,
    or behind a first action that is a meter which does not: so much never comes up of what such a meter drops.
    """
    listed = tuple(actions)
    if len(listed) == 1 and isinstance(only := listed[0], Output):  # nearly all are
        return OP.pack(OpKind.OUTPUT_UNICAST if known_unicast else OpKind.OUTPUT, 0, slot_of(only.port), 0)
    try:
        is_unicast = known_unicast and not any(isinstance(action, (Output, Clone)) for action in listed[:-1])
        program = _Program(slot_of, meters, OpKind.OUTPUT_UNICAST if is_unicast else OpKind.OUTPUT)
        program.run(listed)
    except UnfitError:
        return _send_up(listed, meters)
    ops = program.ops[: program.length]
    return b"".join(ops) if len(ops) <= MAX_OPS else _send_up(listed, meters)


def _send_up(actions: tuple[DatapathAction, ...], meters: Mapping[int, bool]) -> bytes:
    first = actions[0]
    if isinstance(first, Meter) and not meters.get(first.meter_id, True):
        return OP.pack(OpKind.METER, 0, 0, first.meter_id) + SEND_UP
    return SEND_UP


class _Program:
    """Ops so far. What comes after the last output or meter does nothing, so ``length`` ends there."""

    def __init__(self, slot_of: Callable[[PortNo], int], meters: Mapping[int, bool], output: OpKind) -> None:
        self.ops: list[bytes] = []
        self.length = 0
        self._slot_of = slot_of
        self._meters = meters
        self._output_kind = output
        self._wanted_queue: int | None = None
        self._queue: int | None = None

    def run(self, actions: tuple[DatapathAction, ...]) -> None:
        for index, action in enumerate(actions):
            match action:
                case Output(port):
                    self._output(port)
                case SetQueue(queue):
                    self._wanted_queue = queue
                case PopQueue():
                    self._wanted_queue = None
                case Clone(copied):
                    self._clone(copied, is_last=not _sends(actions[index + 1 :]))
                case Meter(meter_id):
                    self._meter(meter_id)
                case ToController():
                    raise UnfitError
                case _ if isinstance(action, HeaderAction):
                    self.ops += edit_ops(action)
                case _:
                    assert_never(action)

    def _output(self, port: PortNo) -> None:
        if self._wanted_queue != self._queue:
            self._queue = self._wanted_queue
            self.ops.append(OP.pack(OpKind.SET_QUEUE, 0, 0, priority_of(self._queue)))
        self.ops.append(OP.pack(self._output_kind, 0, self._slot_of(port), 0))
        self.length = len(self.ops)

    def _meter(self, meter_id: int) -> None:
        if meter_id not in self._meters:
            raise UnfitError
        self.ops.append(OP.pack(OpKind.METER, 0, 0, meter_id))
        self.length = len(self.ops)

    def _clone(self, actions: tuple[DatapathAction, ...], *, is_last: bool) -> None:
        """A copy's edits cannot be undone, and a meter ends all: they may only be where nothing is done afterwards."""
        queue = self._wanted_queue
        if not (is_last or all(isinstance(action, (Output, SetQueue, PopQueue)) for action in actions)):
            raise UnfitError
        self.run(actions)
        self._wanted_queue = queue


def _sends(actions: tuple[DatapathAction, ...]) -> bool:
    return any(isinstance(action, (Output, Clone, Meter)) for action in actions)


def priority_of(queue: int | None) -> int:
    """skb->priority for a queue: as Open vSwitch's linux-htb numbers its classes. One that cannot be is none."""
    return 0 if queue is None or queue > MAX_QUEUE else 1 << 16 | queue + 1


def edit_ops(action: HeaderAction) -> list[bytes]:
    """The ops of a change of headers, packed. Raises UnfitError."""
    if isinstance(action, SetField) and action.field in _IPV6:
        ones = FIELDS[action.field].all_ones
        return _set_ipv6(action.field, action.value, ones if action.mask is None else action.mask)
    if isinstance(action, SetField) and action.field in _ETH_WORDS and action.mask not in (None, _WHOLE_ADDRESS):
        return _set_some_of_ethernet(action.field, action.value, action.mask or 0)
    return [_edit(action)]


def _edit(action: HeaderAction) -> bytes:
    match action:
        case PushVlan(eth_type):
            return OP.pack(OpKind.PUSH_VLAN, 0, eth_type, 0)
        case PopVlan():
            return OP.pack(OpKind.POP_VLAN, 0, 0, 0)
        case DecNwTtl():
            return OP.pack(OpKind.DEC_IP_TTL, 0, 0, 0)
        case SetNwTtl(ttl):
            return OP.pack(OpKind.SET_IP_TTL, ttl, 0, 0)
        case SetField(name, value, mask):
            ones = FIELDS[name].all_ones
            return _set_field(name, value & ones, ones if mask is None else mask & ones)
        case PushMpls() | PopMpls() | PushPbb() | PopPbb():
            raise UnfitError
        case SetMplsTtl() | DecMplsTtl() | CopyTtlIn() | CopyTtlOut():
            raise UnfitError
        case _:
            assert_never(action)


def _set_ipv6(name: str, value: int, mask: int) -> list[bytes]:
    """An op for each word; of a mask that covers some of a word there is none."""
    ops = []
    for index in range(4):
        shift = (3 - index) * _WORD_BITS
        word, bits = value >> shift & 0xFFFFFFFF, mask >> shift & 0xFFFFFFFF
        if bits == 0xFFFFFFFF:
            ops.append(OP_BYTES.pack(OpKind.SET_IPV6_WORD, _IPV6[name] + index, bytes(2) + word.to_bytes(4, "big")))
        elif bits:
            raise UnfitError
    return ops


def _set_some_of_ethernet(name: str, value: int, mask: int) -> list[bytes]:
    """An op for each 16 bits of which some are set."""
    ops = []
    for index in range(3):
        shift = (2 - index) * 16
        word, bits = value >> shift & 0xFFFF, mask >> shift & 0xFFFF
        if bits:
            ops.append(OP.pack(OpKind.SET_ETH_WORD, _ETH_WORDS[name] + index, word & bits, bits))
    return ops


def _set_field(name: str, value: int, mask: int) -> bytes:
    is_whole = mask == FIELDS[name].all_ones
    if name == "vlan_vid":
        return OP.pack(OpKind.SET_VLAN, 0, value & mask & _VID_BITS, mask & _VID_BITS)
    if name == "vlan_pcp":
        return OP.pack(OpKind.SET_VLAN, 0, (value & mask) << 13, mask << 13)
    if name == "ip_dscp":
        return OP.pack(OpKind.SET_IP_TOS, (value & mask) << 2, mask << 2, 0)
    if name == "ip_ecn":
        return OP.pack(OpKind.SET_IP_TOS, value & mask, mask, 0)
    if name in _ETHERNET and is_whole:
        return OP_BYTES.pack(_ETHERNET[name], 0, value.to_bytes(6, "big"))
    if name in _IPV4 and is_whole:
        return OP_BYTES.pack(_IPV4[name], 0, bytes(2) + value.to_bytes(4, "big"))
    if name in _PORTS and is_whole:
        kind, proto = _PORTS[name]
        return OP_BYTES.pack(kind, proto, value.to_bytes(2, "big") + bytes(4))
    if name == "ipv6_flabel" and is_whole:
        return OP_BYTES.pack(OpKind.SET_IPV6_LABEL, 0, bytes(2) + value.to_bytes(4, "big"))
    if name in _ARP and is_whole:
        at, size = _ARP[name]
        return OP_BYTES.pack(OpKind.SET_ARP, at, value.to_bytes(size, "big").ljust(6, b"\0"))
    if name == "ip_ttl" and is_whole:
        return OP.pack(OpKind.SET_IP_TTL, value, 0, 0)
    raise UnfitError
