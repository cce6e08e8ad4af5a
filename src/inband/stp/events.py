"""What a spanning tree hears of, and what it has done: events in, commands out."""

from __future__ import annotations

from dataclasses import dataclass

from inband.flow.ports import PortNo
from inband.stp.bpdu import AnyBpdu
from inband.stp.settings import DEFAULT_PORT, PortTreeSettings, TreeSettings
from inband.vocabulary.addresses import Mac
from inband.vocabulary.spanning_tree import StpState


@dataclass(frozen=True, slots=True)
class BridgeChanged:
    """The bridge has this address and these settings."""

    mac: Mac
    settings: TreeSettings


@dataclass(frozen=True, slots=True)
class PortChanged:
    """A port is new, or not what it was. ``path_cost`` is that of its speed. ``is_enabled``: its link is up."""

    number: PortNo
    is_enabled: bool
    path_cost: int
    is_point_to_point: bool = True
    settings: PortTreeSettings = DEFAULT_PORT


@dataclass(frozen=True, slots=True)
class PortRemoved:
    """A port is there no longer."""

    number: PortNo


@dataclass(frozen=True, slots=True)
class BpduReceived:
    """A port received a BPDU."""

    number: PortNo
    bpdu: AnyBpdu


@dataclass(frozen=True, slots=True)
class RubbishReceived:
    """A port received what bridges send, and it is none: only counted."""

    number: PortNo


@dataclass(frozen=True, slots=True)
class TopologyChangeAsked:
    """A person wants all to forget where hosts are."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """``next_deadline`` has come."""


Event = BridgeChanged | PortChanged | PortRemoved | BpduReceived | RubbishReceived | TopologyChangeAsked | TimePassed


@dataclass(frozen=True, slots=True)
class SetState:
    """Have a port do this with data from now on."""

    number: PortNo
    state: StpState


@dataclass(frozen=True, slots=True)
class ForgetAddresses:
    """Forget the hosts that were learned behind a port."""

    number: PortNo


@dataclass(frozen=True, slots=True)
class SendBpdu:
    """Send a message from a port."""

    number: PortNo
    bpdu: AnyBpdu


Command = SetState | ForgetAddresses | SendBpdu
