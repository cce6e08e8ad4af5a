"""DHCP replies to the local port get there whatever the flow tables say, and no cache may stand between.

The address a reply is for (chaddr) is in the payload, so no flow can match it: the pipeline looks at each DHCP reply
itself. That only works if it sees them, hence two duties (in-band.md, "Packets that no flow can match"): a decision
about a reply may be cached only if it reaches LOCAL anyway, and every other cached decision must depend on the bits
that show that its packets are no DHCP replies.

A DHCP reply is one flow's match, so the fast classifier with that single flow answers both "is this one?" and "which
bits show that it is not?".
"""

from __future__ import annotations

from collections.abc import Iterable

from inband.flow.actions import Clone, DatapathAction, Output, PopQueue, SetQueue, ToController
from inband.flow.fields import ETH_IPV4, IP_UDP
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import LOCAL
from inband.flow.priority import HiddenPriority
from inband.table.classifier import TupleSpaceClassifier

DHCP_REPLY = Match.of(eth_type=ETH_IPV4, ip_proto=IP_UDP, udp_src=67, udp_dst=68)
"""Packets from a DHCP server or relay to a client (RFC 2131, 4.1)."""

_replies = TupleSpaceClassifier()
_replies.insert(Flow(DHCP_REPLY, HiddenPriority(1 << 16), ()))


def classify_reply(key: int) -> tuple[bool, int]:
    """Whether a packet is a DHCP reply, and the key bits that show it."""
    flow, mattered = _replies.lookup(key)
    return flow is not None, mattered


def reaches_local_unchanged(actions: Iterable[DatapathAction]) -> bool:
    """Whether the frame as it came goes to LOCAL: an output there before any edit."""
    for action in actions:
        match action:
            case Output(port) if port == LOCAL:
                return True
            case Clone(copied) if reaches_local_unchanged(copied):
                return True
            case Output() | Clone() | ToController() | SetQueue() | PopQueue():
                continue
            case _:
                return False
    return False
