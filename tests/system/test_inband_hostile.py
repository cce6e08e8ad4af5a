"""What a controller may do to its switch without cutting itself off: everything OpenFlow has."""

from __future__ import annotations

from functools import partial

import pytest

from lab import measure, topology
from lab.switch import SwitchMaker, letters

pytestmark = pytest.mark.root


def test_port_modification_stops_data_traffic_but_not_the_channel(make: SwitchMaker) -> None:
    found = measure.port_modification(make, 3.0)

    assert found is not None
    silence, before, during = found
    assert before == 3
    assert during == 0
    assert silence < 1.5


def test_everything_to_the_controller_does_not_cut_the_channel_nor_feed_it_to_itself(make: SwitchMaker) -> None:
    with measure.up(make, topology.behind_gateway) as stage:
        assert stage is not None

        silence = stage.withstand("to-controller")

        assert stage.lost() == 0
        assert silence < 1.5
        assert stage.controller.journal.count("packet_in") < 50


def test_groups_meters_spent_ttls_and_queues_do_not_reach_the_channel(make: SwitchMaker) -> None:
    with measure.up(make, partial(topology.row, length=2)) as stage:
        assert stage is not None

        silence = stage.withstand("twist")

        assert stage.lost() == 0
        assert silence < 1.5
        assert stage.controller.journal.count("error") == 0
        assert "group:3" in stage.switch.ofctl("dump-flows")


def test_a_way_through_every_table_into_nothing_does_not_cut_the_channel(make: SwitchMaker) -> None:
    with measure.up(make, partial(topology.row, length=2)) as stage:
        assert stage is not None

        silence = stage.withstand("detour")

        assert stage.lost() == 0
        assert silence < 1.5
        assert stage.controller.journal.count("error") == 0
        assert "goto_table:253" in stage.switch.ofctl("dump-flows")


def test_roles_and_silencing_configurations_do_not_cut_the_channel(make: SwitchMaker) -> None:
    with measure.up(make, partial(topology.row, length=2)) as stage:
        assert stage is not None

        silence = stage.withstand("throne")

        assert stage.lost() == 0
        assert silence < 1.5
        errors = {(each.details["type"], each.details["code"]) for each in stage.controller.journal.entries("error")}
        # OFPBRC_IS_SLAVE and OFPRRFC_STALE; the wish to drop fragments is granted
        assert errors <= {(1, 10), (11, 0)}
        assert (11, 0) in errors
        assert "priority=65535" in stage.switch.ofctl("dump-flows")


def test_a_full_table_still_takes_the_hidden_flows_of_a_new_controller(make: SwitchMaker) -> None:
    found = measure.full_table(make)

    assert found is not None
    rules, up = found
    assert set("fghijk") <= set(rules)
    assert up is not None


def test_hidden_flows_are_in_no_statistics(make: SwitchMaker) -> None:
    with measure.up(make, topology.same_subnet) as stage:
        assert stage is not None

        flows = stage.switch.ofctl("dump-flows")
        total = stage.switch.ofctl("dump-aggregate")

        assert "priority" not in flows
        assert "flow_count=0" in total
        assert letters(stage.switch.hidden()).startswith("abcdefghi")


def test_a_flush_by_hand_leaves_the_hidden_flows_alone(make: SwitchMaker) -> None:
    with measure.up(make, topology.same_subnet) as stage:
        assert stage is not None
        before = stage.switch.hidden()

        for _ in range(5):
            stage.switch.ofctl("del-flows")
            stage.switch.ofctl("add-flow", "priority=65535,actions=drop")

        assert before <= stage.switch.hidden()
        assert stage.watch(0.5) < 0.5
