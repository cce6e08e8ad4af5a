"""What a link can do and does: speeds and media of a port, as OpenFlow says them (1.3.5, 7.2.1)."""

from __future__ import annotations

from dataclasses import dataclass

from inband.vocabulary.openflow import PortFeatures


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Features now, offered to the peer, possible, and offered by the peer; speeds in kbit/s, 0 where unknown."""

    current: PortFeatures = PortFeatures.NONE
    advertised: PortFeatures = PortFeatures.NONE
    supported: PortFeatures = PortFeatures.NONE
    peer: PortFeatures = PortFeatures.NONE
    current_speed_kbps: int = 0
    max_speed_kbps: int = 0


UNKNOWN_LINK = LinkSettings()
"""Of a link that says nothing of itself."""
