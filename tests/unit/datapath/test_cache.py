"""The megaflow cache: finding, replacing, forgetting, and its bound."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.datapath.base import Megaflow
from inband.datapath.cache import MegaflowCache
from inband.flow.actions import Output
from inband.flow.fields import make_key
from inband.flow.match import Match
from inband.flow.ports import PortNo

TO_1 = (Output(PortNo(1)),)
TO_2 = (Output(PortNo(2)),)


def test_a_packet_is_found_by_the_bits_of_the_mask_alone() -> None:
    cache = MegaflowCache()
    megaflow = Megaflow(Match.of(in_port=1, eth_dst=7), TO_2)

    cache.install(megaflow)

    assert cache.find(make_key(in_port=1, eth_dst=7, eth_src=9)) is megaflow
    assert cache.find(make_key(in_port=2, eth_dst=7, eth_src=9)) is None


def test_an_empty_cache_finds_nothing() -> None:
    assert MegaflowCache().find(make_key(in_port=1)) is None


def test_the_same_match_again_replaces_the_old_one() -> None:
    cache = MegaflowCache()
    old, new = Megaflow(Match.of(in_port=1), TO_1), Megaflow(Match.of(in_port=1), TO_2)
    cache.install(old)

    taken, replaced = cache.install(new)

    assert (taken, replaced, len(cache)) == (True, old, 1)
    assert cache.find(make_key(in_port=1)) is new


def test_removing_a_replaced_megaflow_leaves_its_successor() -> None:
    cache = MegaflowCache()
    old, new = Megaflow(Match.of(in_port=1), TO_1), Megaflow(Match.of(in_port=1), TO_2)
    cache.install(old)
    cache.install(new)

    assert cache.remove([old]) == []
    assert list(cache) == [new]


def test_a_mask_without_megaflows_is_not_looked_at_any_more() -> None:
    cache = MegaflowCache()
    first, second = Megaflow(Match.of(in_port=1), TO_1), Megaflow(Match.of(eth_dst=1), TO_1)
    cache.install(first)
    cache.install(second)

    cache.remove([first])

    assert cache.mask_count == 1
    assert cache.find(make_key(in_port=1)) is None


def test_a_full_cache_takes_no_more_but_still_replaces() -> None:
    cache = MegaflowCache(limit=1)
    cache.install(Megaflow(Match.of(in_port=1), TO_1))

    assert cache.install(Megaflow(Match.of(in_port=2), TO_1)) == (False, None)
    assert cache.install(Megaflow(Match.of(in_port=1), TO_2))[0]
    assert len(cache) == 1


def test_flushing_forgets_everything() -> None:
    cache = MegaflowCache()
    cache.install(Megaflow(Match.of(in_port=1), TO_1))

    cache.flush()

    assert (len(cache), list(cache), cache.mask_count) == (0, [], 0)


def test_the_mask_that_hits_most_comes_first_in_time() -> None:
    cache = MegaflowCache()
    cache.install(Megaflow(Match.of(in_port=1), TO_1))
    busy = Megaflow(Match.of(eth_dst=1), TO_1)
    cache.install(busy)

    for _ in range(2000):
        cache.find(make_key(eth_dst=1))

    assert next(iter(cache)) is busy


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 3), st.booleans()), max_size=30),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_it_finds_what_a_search_through_all_megaflows_finds(
    steps: list[tuple[int, bool, int, bool]], in_port: int, eth_dst: int
) -> None:
    cache = MegaflowCache()
    for port, has_port, dst, remove in steps:
        match = Match.of(in_port=port, eth_dst=dst) if has_port else Match.of(eth_dst=dst)
        if remove:
            cache.remove([each for each in cache if each.match == match])
        else:
            cache.install(Megaflow(match, (Output(PortNo(dst)),)))
    key = make_key(in_port=in_port, eth_dst=eth_dst)

    found = cache.find(key)

    candidates = [each for each in cache if each.match.matches(key)]
    assert found in candidates if candidates else found is None
