"""While a spanning tree runs here, what is sent to bridges is the tree's: no flow sees it, and no cache may hide it.

So every cached decision depends on the bits that show that its packets are none (IEEE 802.1D-2004, 7.12.3): one bit of
the destination for all that is sent to single hosts.
"""

from __future__ import annotations

from inband.flow.fields import FIELDS
from inband.vocabulary.addresses import BRIDGE_GROUP

_ETH_DST = FIELDS["eth_dst"]
_GROUP_BIT = 1 << 40 << _ETH_DST.shift


def recognise_bpdu(key: int) -> tuple[bool, int]:
    """Whether a packet is sent to bridges, and the key bits that show it."""
    if not key & _GROUP_BIT:
        return False, _GROUP_BIT
    return _ETH_DST.get(key) == BRIDGE_GROUP, _ETH_DST.mask
