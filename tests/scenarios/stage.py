"""What a scenario is played on: a row of switches and a controller, in the simulator or in network namespaces.

A stage is laid out by a Plan: controller, perhaps a gateway, s1, s2, and so on. Its switches run when the scenario
begins, and have no controller yet. A scenario waits for events and for answers of switches, never for a time, so it can
be the same for virtual and for real time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from inband.switch.config import FailMode

NAME, SERVER = "controller.example.net", "10.0.0.53"
CONTROLLER, MOVED = "10.0.0.100", "10.0.0.101"
PATIENCE_S = 60.0
"""How long a stage waits for what must come: far more than it takes on a busy machine."""


class Event(NamedTuple):
    """What happened to a switch, as ``inband events`` has it, but when."""

    kind: str
    bridge: str | None = None
    target: str | None = None


# Those say hello by their own clocks, so it is no part of the order in which a channel's events come.
BESIDE = ("neighbour-found", "neighbour-lost")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is laid out. Over IPv4 unless said; the controller is at CONTROLLER, or behind the gateway if there is one.

    ``has_name``: the switches know the controller by NAME, which SERVER (on the controller's machine) resolves.
    ``probe_s`` is short where a scenario has to wait for probes.
    """

    length: int
    has_gateway: bool = False
    has_name: bool = False
    is_ipv6: bool = False
    fail_mode: FailMode = FailMode.SECURE
    probe_s: float = 1.0


class Stage(Protocol):
    """A network that does what the scenario says. Switches are named s1, s2, ... by distance from the controller."""

    def connect(self) -> None:
        """Tell every switch its controller, nearest first."""

    def log(self, switch: str) -> list[Event]:
        """What happened to a switch since its start, but for what neighbours say (BESIDE)."""

    def wait_for(self, switch: str, events: int) -> None:
        """Let time pass until so many events are in a switch's log; raises AssertionError when they do not come."""

    def wait_for_echoes(self, number: int) -> None:
        """Let time pass until every switch has answered so many of the controller's echo requests from now on."""

    def stop_controller(self) -> None:
        """End the controller's process."""

    def start_controller(self) -> None:
        """Start it again."""

    def be_hostile(self) -> None:
        """Have the controller delete every flow and drop everything, again each half second."""

    def move_controller(self) -> None:
        """Give the controller's machine MOVED in place of CONTROLLER, and have NAME lead there."""

    def move_gateway(self) -> None:
        """Give the gateway another MAC address on the switches' network; it announces that."""

    def cut_above(self, switch: str) -> None:
        """Cut the link from a switch towards the controller."""

    def mend_above(self, switch: str) -> None:
        """Mend it again."""
