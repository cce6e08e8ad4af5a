"""Random bridges and cables against the definition of the tree, and data never goes round in a circle."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.vocabulary.spanning_tree import StpRole
from tests.unit.stp.network import joined

BRIDGES = st.integers(0, 5)
priorities = st.lists(st.sampled_from((0, 4096, 32768)), min_size=6, max_size=6)
pairs = st.lists(st.tuples(BRIDGES, BRIDGES).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=10)
pauses = st.sampled_from((0.0005, 0.003, 0.01, 0.5, 3.0, 30.0))
events = st.lists(st.tuples(pauses, st.integers(0, 99), st.booleans()), max_size=6)


@settings(max_examples=60)
@given(priorities, pairs, events)
def test_every_network_becomes_its_tree_without_a_circle_on_the_way(
    ranks: list[int], cables: list[tuple[int, int]], changes: list[tuple[float, int, bool]]
) -> None:
    net = joined(ranks, cables)

    for pause, which, up in changes:
        net.run(pause)
        net.set_cable(which % len(net.cables), up=up)
    net.run(60)

    assert net.loops == []
    assert net.circle() == []
    assert net.roles() == net.expected_roles()
    in_tree = {end for end, role in net.roles().items() if role in (StpRole.ROOT, StpRole.DESIGNATED)}
    assert {end for end in net.roles() if net.is_forwarding(end)} == in_tree


@settings(max_examples=30)
@given(priorities, st.lists(st.tuples(BRIDGES, BRIDGES), min_size=1, max_size=8))
def test_cables_that_lead_back_to_their_bridge_are_closed(ranks: list[int], cables: list[tuple[int, int]]) -> None:
    net = joined(ranks, cables)

    net.run(60)

    assert net.circle() == []
    assert net.roles() == net.expected_roles()
