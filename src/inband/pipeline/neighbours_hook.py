"""Frames between neighbours never become data: no flow sees them, and no cache may take them for something else.

The bridge takes them before the pipeline does. That only works if it sees them, so while it does every cached decision
depends on the bits that show that its packets are none.
"""

from __future__ import annotations

from inband.flow.fields import FlowKey
from inband.flow.match import Match
from inband.vocabulary.addresses import NEAREST_BRIDGE
from inband.vocabulary.numbers import ETH_EXPERIMENT

_MATCH = Match.of(eth_dst=NEAREST_BRIDGE, eth_type=ETH_EXPERIMENT, vlan_vid=0)
_VALUE, BITS_THAT_SHOW = _MATCH.value, _MATCH.mask
"""The bits of a packet that is none of these which show it. Of other types than theirs the Ethernet type alone does."""


def is_from_neighbour(key: FlowKey) -> bool:
    """Whether a frame is what neighbours say to each other: untagged, to their group, of their type."""
    return key & BITS_THAT_SHOW == _VALUE
