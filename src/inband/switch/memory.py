"""What a switch knows of itself beyond its configuration, and must not forget: see ``runtime.state_dir``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac


@dataclass(frozen=True, slots=True)
class BridgeMemory:
    """Of one bridge: the number of each port by its interface's name, also of ports that are away, and what it chose.

    ``datapath_id`` and ``mac`` are those that it has where the configuration names none. ``adopted`` is the interface
    whose addresses its own interface had when this was written, and ``leases`` the IP versions of which these came with
    a lease that the bridge's own DHCP client kept. ``lease_server`` is the DHCP server whose lease led to a controller:
    its identifier (0: it says none), and the interface that it answered by.
    """

    ports: Mapping[str, PortNo] = field(default_factory=dict)
    datapath_id: int | None = None
    mac: Mac | None = None
    adopted: str | None = None
    leases: frozenset[int] = frozenset()
    lease_server: tuple[int, str] | None = None
