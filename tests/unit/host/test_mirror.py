"""The mirror: what is gone after lost messages."""

from __future__ import annotations

from ipaddress import ip_address

from inband.host.events import AddressChanged, LinkChanged, LinkRemoved, NeighbourChanged
from inband.host.mirror import Mirror
from inband.vocabulary.addresses import Mac

MAC = Mac(0x020000000001)
V4 = ip_address("192.0.2.1")
LINK = LinkChanged(7, "br0", MAC, up=True, running=True, mtu=1500)
ADDRESS = AddressChanged(7, V4, 24, present=True)
NEIGHBOUR = NeighbourChanged(7, V4, MAC, confirmed=True)


def full_mirror() -> Mirror:
    mirror = Mirror()
    mirror.begin_dump()
    mirror.note(LINK)
    mirror.note(ADDRESS)
    mirror.note(NEIGHBOUR, 2)
    mirror.end_dump()
    return mirror


def test_what_a_dump_does_not_mention_is_removed_links_last() -> None:
    mirror = full_mirror()

    mirror.begin_dump()
    gone = mirror.end_dump()

    assert gone == [
        NeighbourChanged(7, V4, None, confirmed=False),
        AddressChanged(7, V4, 24, present=False),
        LinkRemoved(7, "br0"),
    ]
    assert mirror.link(7) is None
    assert mirror.neighbour_state(7, V4) == 0


def test_what_a_dump_mentions_stays() -> None:
    mirror = full_mirror()

    mirror.begin_dump()
    mirror.note(LINK)
    mirror.note(ADDRESS)
    mirror.note(NEIGHBOUR, 4)

    assert mirror.end_dump() == []
    assert mirror.link(7) == LINK
    assert mirror.neighbour_state(7, V4) == 4


def test_what_was_removed_by_an_event_is_not_removed_again() -> None:
    mirror = full_mirror()
    mirror.note(NeighbourChanged(7, V4, None, confirmed=False), 0)
    mirror.note(AddressChanged(7, V4, 24, present=False))
    mirror.note(LinkRemoved(7, "br0"))

    mirror.begin_dump()

    assert mirror.end_dump() == []


def test_a_renamed_link_is_removed_under_its_new_name() -> None:
    mirror = full_mirror()
    mirror.note(LinkChanged(7, "br9", MAC, up=True, running=True, mtu=1500))

    mirror.begin_dump()

    assert LinkRemoved(7, "br9") in mirror.end_dump()


def test_an_unresolved_neighbour_entry_is_known_too() -> None:
    mirror = Mirror()

    mirror.note(NeighbourChanged(7, V4, None, confirmed=False), 1)

    assert mirror.neighbour_state(7, V4) == 1
