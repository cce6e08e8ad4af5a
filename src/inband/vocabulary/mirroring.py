"""What a port is to see of a bridge's traffic, by names of ports (ovs-vswitchd.conf.db(5), Mirror)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MirrorConfig:
    """What comes in on ``sources`` or leaves by ``destinations`` goes to ``output`` too; None: all ports.

    ``vlans``: only packets of these VLANs; none: of all. Ports are named by their interface.
    """

    name: str
    output: str
    sources: frozenset[str] | None = frozenset()
    destinations: frozenset[str] | None = frozenset()
    vlans: frozenset[int] = frozenset()
