"""The megaflow classifier: finding, replacing, forgetting, and its bound."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.datapath.classifier import DatapathClassifier
from inband.flow.actions import Output
from inband.flow.fields import make_key
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.testing.megaflows import megaflow_of

TO_1 = (Output(PortNo(1)),)
TO_2 = (Output(PortNo(2)),)


def test_a_packet_is_found_by_the_bits_of_the_mask_alone() -> None:
    classifier = DatapathClassifier()
    megaflow = megaflow_of(Match.of(in_port=1, eth_dst=7), TO_2)

    classifier.install(megaflow)

    assert classifier.find(make_key(in_port=1, eth_dst=7, eth_src=9)) is megaflow
    assert classifier.find(make_key(in_port=2, eth_dst=7, eth_src=9)) is None


def test_an_empty_cache_finds_nothing() -> None:
    assert DatapathClassifier().find(make_key(in_port=1)) is None


def test_the_same_match_again_replaces_the_old_one() -> None:
    classifier = DatapathClassifier()
    old, new = megaflow_of(Match.of(in_port=1), TO_1), megaflow_of(Match.of(in_port=1), TO_2)
    classifier.install(old)

    taken, replaced = classifier.install(new)

    assert (taken, replaced, len(classifier)) == (True, old, 1)
    assert classifier.find(make_key(in_port=1)) is new


def test_removing_a_replaced_megaflow_leaves_its_successor() -> None:
    classifier = DatapathClassifier()
    old, new = megaflow_of(Match.of(in_port=1), TO_1), megaflow_of(Match.of(in_port=1), TO_2)
    classifier.install(old)
    classifier.install(new)

    assert classifier.remove([old]) == []
    assert list(classifier) == [new]


def test_a_mask_without_megaflows_is_not_looked_at_any_more() -> None:
    classifier = DatapathClassifier()
    first, second = megaflow_of(Match.of(in_port=1), TO_1), megaflow_of(Match.of(eth_dst=1), TO_1)
    classifier.install(first)
    classifier.install(second)

    classifier.remove([first])

    assert classifier.mask_count == 1
    assert classifier.find(make_key(in_port=1)) is None


def test_a_full_cache_takes_no_more_but_still_replaces() -> None:
    classifier = DatapathClassifier(limit=1)
    classifier.install(megaflow_of(Match.of(in_port=1), TO_1))

    assert classifier.install(megaflow_of(Match.of(in_port=2), TO_1)) == (False, None)
    assert classifier.install(megaflow_of(Match.of(in_port=1), TO_2))[0]
    assert len(classifier) == 1


def test_flushing_forgets_everything() -> None:
    classifier = DatapathClassifier()
    classifier.install(megaflow_of(Match.of(in_port=1), TO_1))

    classifier.flush()

    assert (len(classifier), list(classifier), classifier.mask_count) == (0, [], 0)


def test_the_mask_that_hits_most_comes_first_in_time() -> None:
    classifier = DatapathClassifier()
    classifier.install(megaflow_of(Match.of(in_port=1), TO_1))
    busy = megaflow_of(Match.of(eth_dst=1), TO_1)
    classifier.install(busy)

    for _ in range(2000):
        classifier.find(make_key(eth_dst=1))

    assert next(iter(classifier)) is busy


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 3), st.booleans()), max_size=30),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_it_finds_what_a_search_through_all_megaflows_finds(
    steps: list[tuple[int, bool, int, bool]], in_port: int, eth_dst: int
) -> None:
    classifier = DatapathClassifier()
    for port, has_port, dst, remove in steps:
        match = Match.of(in_port=port, eth_dst=dst) if has_port else Match.of(eth_dst=dst)
        if remove:
            classifier.remove([each for each in classifier if each.match == match])
        else:
            classifier.install(megaflow_of(match, (Output(PortNo(dst)),)))
    key = make_key(in_port=in_port, eth_dst=eth_dst)

    found = classifier.find(key)

    candidates = [each for each in classifier if each.match.matches(key)]
    assert found in candidates if candidates else found is None
