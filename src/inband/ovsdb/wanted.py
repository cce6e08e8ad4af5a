"""What the database asks for, in this switch's own terms, and which row asked for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inband.switch.config import BridgeConfig
from inband.switch.manager_targets import ManagerTarget
from inband.switch.targets import Target

RowKey = tuple[str, str]
"""A table and a UUID."""


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port: the UUIDs of its rows of Port and Interface, and the interface's name, which is a local port's bridge.

    ``mtu`` is what the interface shall have, if that is said.
    """

    bridge: str
    port: str
    interface: str
    name: str
    mtu: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is the bridge's own interface."""
        return self.name == self.bridge


@dataclass(frozen=True, slots=True)
class WantedController:
    """A controller: the UUID of its row; ``target`` is None when the row's cannot be used."""

    bridge: str
    uuid: str
    target: Target | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The whole. ``bridge_rows`` are UUIDs by name, ``problems`` what is wrong with rows, in words.

    ``mirrors`` are the UUIDs of those that can be had, by bridge and name.
    """

    bridges: tuple[BridgeConfig, ...] = ()
    managers: tuple[ManagerTarget, ...] = ()
    bridge_rows: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[WantedPort, ...] = ()
    controllers: tuple[WantedController, ...] = ()
    problems: Mapping[RowKey, str] = field(default_factory=dict)
    mirrors: Mapping[tuple[str, str], str] = field(default_factory=dict)
