"""A packet on its way through the tables: its key as actions have changed it, and what decisions about it depended on.

Tables look at the key as it is now; a cache knows only the key as the packet came. This keeps the two apart. Bits that
actions have set to constants (``written``) depend on nothing. The tag that comes to light when one is popped depends
on INNER_VLAN of the original key; a third one is not in it at all: a decision about that holds for this packet only.
The rest depends on the same bit of the original key. Pipeline fields start as 0 for every packet, so they are constants
from the start.

Invariant: the key is always what parsing the edited frame would give. Changes of Ethernet addresses,
VLAN tags and TTLs are made in the key directly, since they are common and cannot go wrong; for all others the
edits are applied to the frame and the result is parsed again.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

from inband.flow.actions import (
    CopyTtlIn,
    CopyTtlOut,
    DecMplsTtl,
    DecNwTtl,
    HeaderAction,
    PopMpls,
    PopPbb,
    PopVlan,
    PushMpls,
    PushPbb,
    PushVlan,
    SetField,
    SetMplsTtl,
    SetNwTtl,
)
from inband.flow.fields import ALL_BITS, FIELDS, INNER_VLAN, PIPELINE_FIELDS, VLAN_PRESENT, Field, FlowKey
from inband.flow.ports import PortNo
from inband.packet import edit, parse
from inband.packet.frame import Frame

_IN_PORT = FIELDS["in_port"]
_VLAN_VID = FIELDS["vlan_vid"]
_VLAN_PCP = FIELDS["vlan_pcp"]
_IP_TTL = FIELDS["ip_ttl"]
_MPLS_TTL = FIELDS["mpls_ttl"]
_TTLS = _IP_TTL.mask | _MPLS_TTL.mask
_VLAN = _VLAN_VID.mask | _VLAN_PCP.mask
_TAGGED = VLAN_PRESENT << _VLAN_VID.shift
_TO_INNER = INNER_VLAN.shift - _VLAN_VID.shift

PIPELINE_BITS = sum(FIELDS[name].mask for name in PIPELINE_FIELDS)
"""Bits that no parsed frame has: 0 in the original key of every packet."""

_PACKET_BITS = ALL_BITS & ~PIPELINE_BITS & ~_IN_PORT.mask

# Setting one of these makes other bytes mean something: fields appear that the original key does not have.
_PREREQUISITES = {name for field in FIELDS.values() for name, allowed in field.needs if allowed}

_SET_IN_KEY = ("eth_dst", "eth_src", "vlan_vid", "vlan_pcp")


class _State(NamedTuple):
    key: int
    written: int
    tag: int
    covered: tuple[int, ...]
    frame: Frame
    edits: tuple[HeaderAction, ...]


class PacketState:
    """One packet. ``mask`` and ``cacheable`` only ever get narrower; the rest can be put back to an earlier state.

    ``written`` are the bits of the key that actions have set, and those of the pipeline itself.
    """

    def __init__(self, key: FlowKey, frame: Frame) -> None:
        self.key: int = key
        self.mask = _IN_PORT.mask  # port configuration and "never back to where it came from" depend on it, always
        self.cacheable = True
        self._arrived: int = key
        self.written = PIPELINE_BITS
        self._tag = 0
        """Which of the packet's own tags is the outermost or under those that were pushed: 0 and 1 are in the key."""
        self._covered: tuple[int, ...] = ()
        """For each pushed tag, which bits were written of the one that it covers."""
        self._frame = frame
        self._edits: list[HeaderAction] = []

    def save(self) -> _State:
        """What a copy of the packet starts from; see ``restore``."""
        return _State(self.key, self.written, self._tag, self._covered, self._frame, tuple(self._edits))

    def restore(self, state: _State) -> None:
        """Go back to the packet as it was when ``save`` gave this."""
        self.key, self.written, self._tag, self._covered, self._frame, edits = state
        self._edits = list(edits)

    def depend_on(self, bits: int) -> None:
        """Note that a decision was made by these bits of the key as it is now."""
        if bits & _TTLS:  # a decremented TTL depends on all bits of the one before
            bits |= _IP_TTL.mask if bits & _IP_TTL.mask else 0
            bits |= _MPLS_TTL.mask if bits & _MPLS_TTL.mask else 0
        bits &= ~self.written
        if self._tag and bits & _VLAN:
            if self._tag > 1:
                self.cacheable = False
            bits = bits & ~_VLAN | (bits & _VLAN) << _TO_INNER
        self.mask |= bits

    def get(self, field: Field) -> int:
        """A field's value, on which the decision depends from now on."""
        self.depend_on(field.mask)
        return field.get(self.key)

    @property
    def is_tagged(self) -> bool:
        """Whether there is a VLAN tag, on which the decision depends from now on."""
        self.depend_on(_TAGGED)
        return bool(self.key & _TAGGED)

    def set_pipeline_bits(self, field: Field, value: int, mask: int) -> None:
        """Set bits of metadata, tunnel_id or a register."""
        self._write(field, value, mask)

    def set_in_port(self, port: PortNo) -> None:
        """Make it look as if the packet had come in on ``port`` (``restore`` ends it)."""
        self._write(_IN_PORT, port, _IN_PORT.all_ones)

    def spend_ttl(self, action: DecNwTtl | DecMplsTtl) -> bool:
        """Decrement a TTL; False, and nothing is changed, if it is spent. A packet without one has nothing to spend.

        That a TTL is not spent is shown by any one of its higher bits, so packets of many TTLs share a cache entry.
        """
        field = _IP_TTL if isinstance(action, DecNwTtl) else _MPLS_TTL
        if not self._has(field):
            return True
        ttl = field.get(self.key)
        if ttl <= 1:
            self.depend_on(field.mask)
            return False
        self._depend_on_ttl_above_one(field, ttl)
        self._edits.append(action)
        self.key = field.put(self.key, ttl - 1)
        return True

    def edit(self, action: HeaderAction) -> bool:
        """Change the packet; whether a datapath has to do the same (not for fields that are only the pipeline's)."""
        match action:
            case SetField(name, value, mask):
                field = FIELDS[name]
                bits = field.all_ones if mask is None else mask
                if field.mask & PIPELINE_BITS:
                    self._write(field, value, bits)
                    return False
                return self._set(field, value, bits, action)
            case SetNwTtl(ttl):
                return self._set(_IP_TTL, ttl, _IP_TTL.all_ones, action)
            case SetMplsTtl(ttl):
                return self._set(_MPLS_TTL, ttl, _MPLS_TTL.all_ones, action)
            case PushVlan():
                self._push_vlan(action)
            case PopVlan():
                return self._pop_vlan(action)
            case PushMpls() | PopMpls() | PushPbb() | PopPbb() | CopyTtlIn() | CopyTtlOut():
                self._edits.append(action)
                self._parse_again()
                self.cacheable = False  # what is behind the headers in the key is not in the key
            case DecNwTtl() | DecMplsTtl():
                return self.spend_ttl(action)
            case _:
                assert_never(action)
        return True

    def _set(self, field: Field, value: int, bits: int, action: HeaderAction) -> bool:
        if not self._has(field):
            return False
        if field is _VLAN_VID:
            value, bits = value | VLAN_PRESENT, bits & ~VLAN_PRESENT
        self._edits.append(action)
        if field.name not in _SET_IN_KEY:
            self._parse_again()
            is_cut = bool((field.get(self.key) ^ value) & bits)  # a header that the prerequisites promise is not whole
            if is_cut or field.name in _PREREQUISITES:
                self.cacheable = False
            if is_cut:
                return True
        self._write(field, value, bits)
        return True

    def _push_vlan(self, action: PushVlan) -> None:
        """A tag with VID and PCP of the one that was outermost, on which its bits depend as those of that did."""
        self._edits.append(action)
        self.key = INNER_VLAN.put(self.key, (self.key & _VLAN) >> _VLAN_VID.shift) | _TAGGED
        self._covered = (*self._covered, self.written & _VLAN)
        self.written |= _TAGGED

    def _pop_vlan(self, action: PopVlan) -> bool:
        self.depend_on(_TAGGED)
        if not self.key & _TAGGED:
            return False
        self._edits.append(action)
        self._parse_again()
        self.written &= ~_VLAN
        if self._covered:
            self.written |= self._covered[-1]
            self._covered = self._covered[:-1]
        else:
            self._tag += 1
        return True

    def _has(self, field: Field) -> bool:
        """Whether the packet has a field, by its prerequisites (OpenFlow 1.3.5, 7.2.3.6)."""
        for name, allowed in (("vlan_vid", ()),) if field is _VLAN_VID else field.needs:
            if name == "in_port":
                continue
            if name == "vlan_vid":
                self.depend_on(_TAGGED)
                if not self.key & _TAGGED:
                    return False
            elif self.get(FIELDS[name]) not in allowed:
                return False
        return True

    def _write(self, field: Field, value: int, bits: int) -> None:
        mask = bits << field.shift
        self.key = self.key & ~mask | value << field.shift & mask
        self.written |= mask

    def _depend_on_ttl_above_one(self, field: Field, ttl: int) -> None:
        if self.written & field.mask:
            return
        arrived = field.get(self._arrived)
        top = 1 << arrived.bit_length() - 1 if arrived else 0
        enough = arrived - ttl + 2  # the TTL on arrival that leaves 2 now
        self.mask |= top << field.shift if top >= enough else field.mask

    def _parse_again(self) -> None:
        for action in self._edits:
            self._frame = edit.apply(self._frame, action)
        self._edits.clear()
        parsed = parse.parse(self._frame.data, 0)
        self.key = self.key & ~_PACKET_BITS | parsed & _PACKET_BITS
