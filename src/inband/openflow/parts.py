"""Values that several OpenFlow messages hold: ports, queues, masks. Sections are 1.3.5's."""

from __future__ import annotations

from dataclasses import dataclass

from inband.flow.ports import PortNo
from inband.openflow.constants import QueuePropertyType
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import PortConfig, PortFeatures, PortState

ZERO_MAC = Mac(0)


@dataclass(frozen=True, slots=True)
class PortDescription:
    """A port (7.2.1). ``name`` has at most 15 bytes; speeds are in kbit/s."""

    port: PortNo
    mac: Mac = ZERO_MAC
    name: str = ""
    config: PortConfig = PortConfig.NONE
    state: PortState = PortState.NONE
    current: PortFeatures = PortFeatures.NONE
    advertised: PortFeatures = PortFeatures.NONE
    supported: PortFeatures = PortFeatures.NONE
    peer: PortFeatures = PortFeatures.NONE
    current_speed_kbps: int = 0
    max_speed_kbps: int = 0


@dataclass(frozen=True, slots=True)
class AsyncMasks:
    """Which asynchronous messages a controller gets (7.3.10): a bit 1 << reason each.

    ``*_slave`` apply while its role is slave, the others while it is equal or master.
    """

    packet_in: int = 0
    packet_in_slave: int = 0
    port_status: int = 0
    port_status_slave: int = 0
    flow_removed: int = 0
    flow_removed_slave: int = 0


@dataclass(frozen=True, slots=True)
class QueueProperty:
    """A queue's guarantee or limit (7.2.2); ``rate`` in 1/10 of a percent, above 1000 switched off."""

    type: QueuePropertyType
    rate: int = 0


@dataclass(frozen=True, slots=True)
class QueueDescription:
    """One queue (7.2.2). 1.0 says the port in the message only."""

    queue_id: int
    port: PortNo
    properties: tuple[QueueProperty, ...] = ()
