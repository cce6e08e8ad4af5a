"""What a group is made of (OpenFlow 1.3.5, 5.6)."""

from __future__ import annotations

from dataclasses import dataclass

from inband.flow.actions import Action
from inband.flow.ports import ANY as ANY_PORT
from inband.flow.ports import PortNo
from inband.vocabulary.openflow import ANY_GROUP


@dataclass(frozen=True, slots=True)
class Bucket:
    """One way through a group (7.3.4.2)."""

    actions: tuple[Action, ...]
    weight: int = 0
    watch_port: PortNo = ANY_PORT
    watch_group: int = ANY_GROUP
