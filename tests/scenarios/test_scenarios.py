"""Every scenario, in the simulator and in network namespaces: the same assertions, and the same events in both."""

from __future__ import annotations

import pytest

from tests.scenarios.real_stage import real_stage
from tests.scenarios.scenarios import SCENARIOS, Scenario
from tests.scenarios.sim_stage import SimStage

each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)


@each_scenario
def test_in_the_simulator(scenario: Scenario) -> None:
    log = scenario.played_on(SimStage(scenario.plan))

    assert all(log.values())


@pytest.mark.root
@each_scenario
def test_in_namespaces_with_the_same_log_as_in_the_simulator(scenario: Scenario) -> None:
    with real_stage(scenario.plan) as stage:
        log = scenario.played_on(stage)

    assert log == scenario.played_on(SimStage(scenario.plan))
