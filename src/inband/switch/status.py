"""What a running bridge is like at an instant, as commands and scripts show it: facts, no words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inband.agent.fail_mode import Forwarding
from inband.bridge.in_band import InBandStatus
from inband.flow.membership import VlanMembership
from inband.flow.ports import PortNo
from inband.openflow.reconnect import State
from inband.pipeline.ports import SwitchPort
from inband.stp.status import TreeStatus
from inband.switch.targets import Target
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import Role


@dataclass(frozen=True, slots=True)
class OutgoingStatus:
    """A controller that is dialled.

    ``since`` is how long it has been as it is (None: it was never dialled); ``next_try``: when it is dialled again.
    ``addresses`` are all that are known, ``failures`` why each could not be reached the last time. ``role`` and
    ``version`` are of the session, if there is one.
    """

    target: Target
    state: State
    is_connected: bool
    role: Role | None
    version: int | None
    since: Instant | None
    last_error: str | None
    last_error_at: Instant
    next_try: Instant | None
    address: IpAddress | None
    addresses: tuple[IpAddress, ...]
    failures: Mapping[IpAddress, str]


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """An address at which clients may call, and whether one of them has a session."""

    target: Target
    has_sessions: bool


@dataclass(frozen=True, slots=True)
class BridgeStatus:
    """One bridge. ``datapath`` is its kind; ``counters`` are all that have names.

    ``vlans`` are those of ports that are members of some, by number. ``tree`` is None where no spanning tree runs.
    ``loops`` are ports that are joined outside, by their names: pairs, or one that leads to itself.
    """

    name: str
    datapath: str
    datapath_id: int
    forwarding: Forwarding
    ports: tuple[SwitchPort, ...]
    vlans: Mapping[PortNo, VlanMembership]
    tree: TreeStatus | None
    loops: tuple[tuple[str, ...], ...]
    outgoing: tuple[OutgoingStatus, ...]
    listeners: tuple[ListenerStatus, ...]
    in_band: InBandStatus
    counters: Mapping[str, int]
