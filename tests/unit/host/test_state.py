"""What the kernel has said: what is answered, and what is gone after lost messages."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    NeighbourChanged,
    Resynchronised,
    RoutesChanged,
)
from inband.host.state import KernelState
from inband.vocabulary.addresses import IpAddress, Mac

MAC = Mac(0x020000000001)
V4, V6 = ip_address("192.0.2.1"), ip_address("2001:db8::1")
LINK = LinkChanged(7, "br0", MAC, up=True, running=True, mtu=1500)
ADDRESS = AddressChanged(7, V4, 24, present=True)
NEIGHBOUR = NeighbourChanged(7, V4, MAC, confirmed=True)
REMOVALS: list[HostEvent] = [
    NeighbourChanged(7, V4, None, confirmed=False),
    AddressChanged(7, V4, 24, present=False),
    LinkRemoved(7, "br0"),
]


def full_state() -> KernelState:
    state = KernelState()
    assert dumped(state, neighbour_state=2) == []
    return state


def dumped(state: KernelState, neighbour_state: int) -> list[HostEvent]:
    """Tell everything; gives what is gone."""
    state.begin_dump()
    state.note(LINK)
    state.note(ADDRESS)
    state.note(NEIGHBOUR, neighbour_state)
    return state.end_dump()


def resynchronised(state: KernelState, *mentioned: HostEvent) -> list[HostEvent]:
    """Tell everything again, and take note of what is gone."""
    state.begin_dump()
    for event in mentioned:
        state.note(event)
    gone = state.end_dump()
    for event in gone:
        state.note(event)
    return gone


def test_what_a_dump_does_not_mention_is_removed_links_last() -> None:
    state = full_state()

    gone = resynchronised(state)

    assert gone == REMOVALS
    assert state.link(7) is None
    assert state.neighbour_state(7, V4) == 0
    assert list(state.addresses_of(7)) == []


def test_what_a_dump_mentions_stays() -> None:
    state = full_state()

    assert dumped(state, neighbour_state=4) == []
    assert state.link(7) == LINK
    assert state.neighbour_state(7, V4) == 4


def test_a_dump_that_is_begun_anew_asks_for_everything_again() -> None:
    state = full_state()
    state.begin_dump()
    state.note(LINK)

    gone = resynchronised(state, ADDRESS, NEIGHBOUR)

    assert gone == [LinkRemoved(7, "br0")]


def test_what_was_removed_by_an_event_is_not_removed_again() -> None:
    state = full_state()
    for event in REMOVALS:
        state.note(event, 0)

    assert resynchronised(state) == []


def test_what_an_event_removes_during_a_dump_is_not_removed_by_the_dump() -> None:
    assert resynchronised(full_state(), *REMOVALS) == []


def test_a_renamed_link_is_removed_under_its_new_name() -> None:
    state = full_state()
    state.note(LinkChanged(7, "br9", MAC, up=True, running=True, mtu=1500))

    assert LinkRemoved(7, "br9") in resynchronised(state)


def test_an_unresolved_neighbour_entry_is_known_too() -> None:
    state = KernelState()

    state.note(NeighbourChanged(7, V4, None, confirmed=False), 1)

    assert state.neighbour_state(7, V4) == 1
    assert state.mac_of(7, V4) is None
    assert resynchronised(state) == [NeighbourChanged(7, V4, None, confirmed=False)]


def test_without_its_state_a_neighbour_is_there_while_it_has_a_mac() -> None:
    state = KernelState()
    state.note(NEIGHBOUR)
    assert state.mac_of(7, V4) == MAC

    state.note(NeighbourChanged(7, V4, None))

    assert state.mac_of(7, V4) is None
    assert resynchronised(state) == []


def test_a_mac_of_zero_is_none() -> None:
    state = KernelState()

    state.note(NeighbourChanged(7, V4, Mac(0)))

    assert state.mac_of(7, V4) is None


def test_a_link_and_its_addresses_are_told_again_and_those_of_others_are_not() -> None:
    state = full_state()
    state.note(LinkChanged(8, "eth0", MAC, up=True, running=True, mtu=1500))
    state.note(AddressChanged(8, V6, 64, present=True))

    assert list(state.about(7)) == [LINK, ADDRESS]
    assert list(state.about(9)) == []


def test_what_is_over_is_forgotten() -> None:
    state = full_state()

    for event in REMOVALS:
        state.note(event)

    assert list(state.about(7)) == []
    assert list(state.links) == []
    assert state.link_named("br0") is None
    assert state.mac_of(7, V4) is None


def test_an_address_with_two_prefix_lengths_is_there_until_both_are_gone() -> None:
    state = full_state()
    wider = AddressChanged(7, V4, 16, present=True)
    state.note(wider)

    state.note(AddressChanged(7, V4, 24, present=False))

    assert list(state.addresses_of(7)) == [wider]


def test_an_address_is_as_the_last_event_says() -> None:
    state = KernelState()
    state.note(AddressChanged(7, V6, 64, present=True, tentative=True))

    state.note(AddressChanged(7, V6, 64, present=True))

    assert [each.tentative for each in state.addresses_of(7)] == [False]


def test_interfaces_that_exchange_their_names_are_found_by_their_new_ones() -> None:
    state = KernelState()
    for index, name in ((1, "a"), (2, "b"), (1, "c"), (2, "a"), (1, "b")):
        state.note(LinkChanged(index, name, MAC, True, True, 1500))

    found = {name: link.index for name in "abc" if (link := state.link_named(name)) is not None}
    assert found == {"a": 2, "b": 1}


def test_a_name_that_another_interface_has_by_now_stays_that_ones() -> None:
    state = full_state()
    again = LinkChanged(9, "br0", MAC, up=True, running=True, mtu=1500)
    state.note(again)

    state.note(LinkRemoved(7, "br0"))

    assert state.link_named("br0") == again


indexes = st.integers(1, 3)
addresses: st.SearchStrategy[IpAddress] = st.sampled_from([V4, V6])
noted = st.one_of(
    st.tuples(
        st.builds(LinkChanged, indexes, st.sampled_from("abc"), st.just(MAC), st.booleans(), st.booleans(), st.just(1)),
        st.none(),
    ),
    st.tuples(st.builds(LinkRemoved, indexes, st.sampled_from("abc")), st.none()),
    st.tuples(st.builds(AddressChanged, indexes, addresses, st.sampled_from([24, 64]), st.booleans()), st.none()),
    st.tuples(
        st.builds(NeighbourChanged, indexes, addresses, st.sampled_from([None, MAC])), st.sampled_from([None, 0, 1, 2])
    ),
    st.tuples(st.sampled_from([RoutesChanged(None), Resynchronised()]), st.none()),
)


@given(st.lists(noted, max_size=30))
def test_a_dump_that_mentions_nothing_takes_away_exactly_what_was_there(
    events: list[tuple[HostEvent, int | None]],
) -> None:
    state = KernelState()
    for event, neighbour_state in events:
        state.note(event, neighbour_state)
    links = {link.index for link in state.links}
    owned = {(i, each.address, each.prefix_length) for i in range(1, 4) for each in state.addresses_of(i)}

    gone = resynchronised(state)

    assert {event.index for event in gone if isinstance(event, LinkRemoved)} == links
    told = {(e.index, e.address, e.prefix_length) for e in gone if isinstance(e, AddressChanged)}
    assert told == owned
    assert resynchronised(state) == []
    assert not list(state.links)
    assert not any(
        state.mac_of(i, address) or state.neighbour_state(i, address) for i in (1, 2, 3) for address in (V4, V6)
    )
