"""What is known of a packet's headers while its actions run: what the match asks for, and what actions have changed.

"The match of the flow entry must include the prerequisites of the field to be set" (OpenFlow 1.3.5, 7.2.5), and an
action on a header needs that header. A push or pop shows or hides what is below. Setting a field changes no
prerequisite: those that others depend on most (eth_type, ip_proto) cannot be set, and Open vSwitch takes an ICMPv6 type
for what the match said, too.

Only what is certain counts. A tag below the one that is popped is not known from a match, so it cannot be popped next;
of the packet of a PACKET_OUT all tags are known, by ``inner_tags``.
"""

from __future__ import annotations

from inband.flow.fields import FIELDS, FRAG_LATER, PREREQUISITES, TRANSPORT_FIELDS, VLAN_PRESENT
from inband.vocabulary.numbers import ETH_IPV4, ETH_IPV6, ETH_MPLS, ETH_MPLS_MC, ETH_PBB

_VLAN = FIELDS["vlan_vid"].mask | FIELDS["vlan_pcp"].mask
_TAG = VLAN_PRESENT << FIELDS["vlan_vid"].shift
_LATER = FRAG_LATER << FIELDS["ip_frag"].shift
_ETH_TYPE = FIELDS["eth_type"]
_TYPE = _ETH_TYPE.mask
_MPLS = frozenset(kind << _ETH_TYPE.shift for kind in (ETH_MPLS, ETH_MPLS_MC))
_IP = frozenset(kind << _ETH_TYPE.shift for kind in (ETH_IPV4, ETH_IPV6))
_PBB = frozenset({ETH_PBB << _ETH_TYPE.shift})

# A VLAN's id can be set where there is a tag; to match it nothing else needs to be matched.
_NEEDS = {**PREREQUISITES, "vlan_vid": PREREQUISITES["vlan_pcp"]}
_TRANSPORT = frozenset(TRANSPORT_FIELDS)


class KnownHeaders:
    """Bits of a flow key: ``mask`` says which are known, ``value`` what they are."""

    __slots__ = ("_inner_tags", "mask", "value")

    def __init__(self, value: int, mask: int, inner_tags: int = 0) -> None:
        self.value = value
        self.mask = mask
        self._inner_tags = inner_tags

    def has(self, name: str) -> bool:
        """Whether the packet has this field for certain."""
        value, mask = self.value, self.mask
        for bits, allowed in _NEEDS[name]:
            if mask & bits != bits or (allowed and value & bits not in allowed):
                return False
        return not (value & _LATER and name in _TRANSPORT)  # the later fragments have no transport header

    @property
    def has_vlan(self) -> bool:
        """Whether there is a VLAN tag."""
        return bool(self.value & _TAG)

    @property
    def is_mpls(self) -> bool:
        """Whether there is an MPLS label."""
        return self._is(_MPLS)

    @property
    def is_ip(self) -> bool:
        """Whether it is IPv4 or IPv6."""
        return self._is(_IP)

    @property
    def is_pbb(self) -> bool:
        """Whether there is a service instance tag."""
        return self._is(_PBB)

    def push_vlan(self) -> None:
        """Another tag is the outermost, and those that were there are below it."""
        self._inner_tags += self.has_vlan
        self._put(_TAG, _TAG)

    def ensure_vlan(self) -> None:
        """There is a tag now, if there was none (OpenFlow 1.0's set_vlan_vid and set_vlan_pcp)."""
        if not self.has_vlan:
            self.push_vlan()

    def pop_vlan(self) -> None:
        """The tag is gone; what is below it is known only if it was pushed before, or seen in the packet."""
        self._put(_VLAN, 0)
        if self._inner_tags:
            self._inner_tags -= 1
            self._put(_TAG, _TAG)

    def change_eth_type(self, eth_type: int) -> None:
        """MPLS was pushed or popped: of all behind the VLAN tags nothing is known but the type."""
        self.value, self.mask = self.value & _VLAN, self.mask & _VLAN
        self._put(_TYPE, eth_type << _ETH_TYPE.shift)

    def push_pbb(self) -> None:
        """All that was there is below a service instance tag, VLAN tags too."""
        self._inner_tags = 0
        self.value, self.mask = ETH_PBB << _ETH_TYPE.shift, _TYPE

    def pop_pbb(self) -> None:
        """What was below the service instance tag is not known."""
        self._inner_tags = self.value = self.mask = 0

    def _is(self, kinds: frozenset[int]) -> bool:
        return self.mask & _TYPE == _TYPE and self.value & _TYPE in kinds

    def _put(self, bits: int, value: int) -> None:
        self.value = self.value & ~bits | value
        self.mask |= bits
