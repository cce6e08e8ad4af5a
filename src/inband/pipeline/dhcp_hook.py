"""What configures the local port gets there whatever the flow tables say, and no cache may keep it away.

The address a DHCP reply is for (chaddr) is in the payload, so no flow can match it: the pipeline looks at each reply
itself (docs/in-band.md, "Packets that no flow can match"). That only works if it sees them, hence two duties: a
decision about a reply may be cached only if it reaches LOCAL anyway, and every other cached decision must depend on the
bits that show that its packets are no DHCP replies.

IPv6 configures by router advertisements, to all nodes or to us, and DHCPv6 replies to us; and it is asked which groups
it listens to. Headers show these, so a decision about one may be cached; while IPv6 is in use every other decision must
again depend on what shows that its packets are none.

A router advertisement can also end a channel, by another router, another prefix or a hop limit of 1. So where an IPv6
gateway was proven (``places``), LOCAL gets advertisements from its port alone, whatever the tables say.

All are matches, so the fast classifier with just these flows answers both "is this one?" and "which bits show that it
is not?".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from inband.flow.actions import (
    Clone,
    DatapathAction,
    HeaderAction,
    Meter,
    Output,
    PopQueue,
    PopVlan,
    SetQueue,
    ToController,
)
from inband.flow.fields import FIELDS
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import LOCAL, PortNo
from inband.flow.priority import HiddenPriority
from inband.packet.dhcp import DHCP_REPLY, DHCPV6_REPLY
from inband.table.classifier import TupleSpaceClassifier
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_IPV6, IP_ICMPV6, LISTENER_QUERY, ROUTER_ADVERTISEMENT

_ICMPV6_TYPE = FIELDS["icmpv6_type"]

ADVERTISEMENT = Match.of(eth_type=ETH_IPV6, ip_proto=IP_ICMPV6, icmpv6_type=ROUTER_ADVERTISEMENT)
"""Router advertisements (RFC 4861, 4.2)."""

_ALL_NODES = Mac(0x333300000001)
"""Where ff02::1 is sent to (RFC 2464, 7)."""


class Recogniser:
    """Tells packets of a few matches from all others."""

    def __init__(self, *matches: Match) -> None:
        self._classifier = TupleSpaceClassifier()
        for match in matches:
            self._classifier.insert(Flow(match, HiddenPriority(1 << 16), ()))

    def recognise(self, key: int) -> tuple[bool, int]:
        """Whether a packet is one of them, and the key bits that show it."""
        flow, mattered = self._classifier.lookup(key)
        return flow is not None, mattered


def dhcp_replies(vlan: int | None) -> Recogniser:
    """Packets from a DHCP server or relay to a client, in this VLAN (None: untagged)."""
    return Recogniser(DHCP_REPLY.in_vlan(vlan))


def ipv6_configuration(local_mac: Mac, vlan: int | None) -> Recogniser:
    """What a host's IPv6 needs to hear, for the host with this MAC address.

    Router advertisements (RFC 4861, 4.2), DHCPv6 replies (RFC 8415, 7.2) and the question which groups it listens to
    (RFC 3810, 5.1.15): what we answered once is forgotten by switches after some minutes.
    """
    query = Match.of(eth_type=ETH_IPV6, ip_proto=IP_ICMPV6, icmpv6_type=LISTENER_QUERY, eth_dst=_ALL_NODES)
    matches = (
        query,
        ADVERTISEMENT.with_field("eth_dst", _ALL_NODES),
        ADVERTISEMENT.with_field("eth_dst", local_mac),
        DHCPV6_REPLY.with_field("eth_dst", local_mac),
    )
    return Recogniser(*(match.in_vlan(vlan) for match in matches))


def is_advertisement(key: int) -> bool:
    """Whether it is a router's (RFC 4861, 4.2)."""
    return _ICMPV6_TYPE.get(key) == ROUTER_ADVERTISEMENT


def without(port: PortNo, actions: Iterable[DatapathAction]) -> tuple[DatapathAction, ...]:
    """The actions without outputs to a port, and without what is done for these alone."""
    left: list[DatapathAction] = []
    for action in actions:
        if isinstance(action, Clone):
            copied = without(port, action.actions)
            left += [Clone(copied)] if copied else []
        elif not (isinstance(action, Output) and action.port == port):
            left.append(action)
    return tuple(left) if any(isinstance(each, Output | ToController | Clone | Meter) for each in left) else ()


def reaches_local(actions: Iterable[DatapathAction], *, tagged: bool) -> bool:
    """Whether the frame as it came goes to LOCAL: an output there before any edit but, if ``tagged``, of the tag.

    One behind a meter does not count: the meter may drop it.
    """
    for action in actions:
        if type(action) is Output:  # nearly always, and a case takes longer to find
            if action.port == LOCAL and not tagged:
                return True
            continue
        match action:
            case PopVlan() if tagged:
                tagged = False
            case Clone(copied) if reaches_local(copied, tagged=tagged):
                return True
            case Output() | Clone() | ToController() | SetQueue() | PopQueue():
                continue
            case Meter():
                return False
            case _ if isinstance(action, HeaderAction):
                return False
            case _:
                assert_never(action)
    return False
