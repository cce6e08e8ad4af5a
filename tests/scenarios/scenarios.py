"""Scenarios: what is done to a network, and what its switches must say of it. Each is written once, for every stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inband.switch.config import FailMode
from tests.scenarios.stage import Event, Plan, Stage

Log = dict[str, list[Event]]
"""The events of each switch."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A plan and what is played on it."""

    name: str
    plan: Plan
    play: Callable[[Stage], None]

    def played_on(self, stage: Stage) -> Log:
        """Play it; returns what happened. Raises AssertionError."""
        self.play(stage)
        return {switch: stage.log(switch) for switch in switches(self.plan)}


def switches(plan: Plan) -> list[str]:
    """The names of a plan's switches, nearest to the controller first."""
    return [f"s{number}" for number in range(1, plan.length + 1)]


def kinds(stage: Stage, switch: str) -> list[str]:
    """What happened to a switch, in words."""
    return [event.kind for event in stage.log(switch)]


def _connect_both(stage: Stage) -> None:
    stage.connect()
    for switch in ("s1", "s2"):
        stage.wait_for(switch, 1)


def _first_connection(stage: Stage) -> None:
    _connect_both(stage)
    stage.wait_for_echoes(3)

    for switch in ("s1", "s2"):
        assert kinds(stage, switch) == ["connected"]


def _hostile_controller_and_moving_gateway(stage: Stage) -> None:
    _connect_both(stage)
    stage.be_hostile()
    stage.wait_for_echoes(10)

    stage.move_gateway()
    stage.wait_for_echoes(20)

    for switch in ("s1", "s2"):
        assert kinds(stage, switch) == ["connected"]


def _controller_restarts(stage: Stage) -> None:
    _connect_both(stage)

    stage.stop_controller()
    for switch in ("s1", "s2"):
        stage.wait_for(switch, 2)
    stage.start_controller()
    for switch in ("s1", "s2"):
        stage.wait_for(switch, 3)
    stage.wait_for_echoes(3)

    for switch in ("s1", "s2"):
        assert kinds(stage, switch) == ["connected", "connection-lost", "connected"]


def _controller_gone_for_long(stage: Stage) -> None:
    stage.connect()
    stage.wait_for("s1", 1)

    stage.stop_controller()
    stage.wait_for("s1", 3)
    stage.start_controller()
    stage.wait_for("s1", 5)

    alone = ["connected", "connection-lost", "standalone-entered"]
    assert kinds(stage, "s1") == [*alone, "connected", "standalone-left"]


def _cut_link(stage: Stage) -> None:
    _connect_both(stage)

    stage.cut_above("s2")
    stage.wait_for("s2", 3)
    stage.mend_above("s2")
    stage.wait_for("s2", 5)
    stage.wait_for_echoes(3)

    assert kinds(stage, "s1") == ["connected", "link-lost", "link-back"]
    assert kinds(stage, "s2") == ["connected", "link-lost", "connection-lost", "link-back", "connected"]


def _name_moves(stage: Stage) -> None:
    stage.connect()
    for switch in ("s1", "s2"):
        stage.wait_for(switch, 3)

    stage.move_controller()
    for switch in ("s1", "s2"):
        stage.wait_for(switch, 7)

    found = ["servers-chosen", "name-resolved", "connected"]
    moved = ["connection-lost", "name-resolved", "connected", "name-resolved"]  # the last: without the old address
    for switch in ("s1", "s2"):
        assert kinds(stage, switch) == [*found, *moved]


SCENARIOS = (
    Scenario("first connection in a row of two", Plan(2), _first_connection),
    Scenario("first connection over IPv6", Plan(2, is_ipv6=True), _first_connection),
    Scenario(
        "a hostile controller, and a gateway that moves",
        Plan(2, has_gateway=True, probe_s=5.0),
        _hostile_controller_and_moving_gateway,
    ),
    Scenario("the controller restarts", Plan(2), _controller_restarts),
    Scenario("the controller is gone for long", Plan(1, fail_mode=FailMode.STANDALONE), _controller_gone_for_long),
    Scenario("a link is cut", Plan(2), _cut_link),
    Scenario("the controller's name leads to another address", Plan(2, has_name=True), _name_moves),
)
