"""The network changes under the channel: addresses, routes, gateways, other remotes."""

from __future__ import annotations

import pytest

from lab import measure
from lab.switch import SwitchMaker

pytestmark = pytest.mark.root


def test_a_gateway_that_announces_its_new_mac_is_followed_at_once(make: SwitchMaker) -> None:
    change = measure.gateway_mac(make, "announced", wait_s=10.0)

    assert change is not None
    assert change.rules_s is not None
    assert change.rules_s < 1.0
    assert change.silence_s < 3.0


@pytest.mark.parametrize("how", ["silent", "mute"])
def test_a_gateway_that_changes_its_mac_silently_is_found_again(make: SwitchMaker, how: str) -> None:
    change = measure.gateway_mac(make, how, wait_s=15.0)

    assert change is not None
    assert change.rules_s is not None
    assert change.rules_s < 6.0
    assert change.silence_s < 6.0


def test_rules_follow_a_route_to_another_gateway(make: SwitchMaker) -> None:
    change = measure.route_moves(make, wait_s=10.0)

    assert change is not None
    assert change.rules_s is not None
    assert change.rules_s < 1.0
    assert change.silence_s < 1.5


def test_a_default_route_on_another_interface_does_not_mislead(make: SwitchMaker) -> None:
    assert measure.default_route_elsewhere(make) is True


def test_a_new_local_mac_replaces_a_to_c_and_never_takes_d_and_e_away(make: SwitchMaker) -> None:
    change = measure.local_mac(make)

    assert change is not None
    assert change.rules_s is not None
    assert change.rules_s < 1.0
    assert change.absent_s == 0


def test_no_rule_that_stays_is_ever_missing_while_remotes_and_queues_come_and_go(make: SwitchMaker) -> None:
    found = measure.comings_and_goings(make, 3.0)

    assert found is not None
    lost, samples, missing = found
    assert samples > 50
    assert missing == frozenset()
    assert lost == 0
