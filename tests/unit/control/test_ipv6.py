"""The in-band engine over IPv6, where an address cannot be used before duplicate address detection is done."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest

from inband.control import events as ev
from inband.flow.fields import key_fields
from inband.host.events import NeighbourChanged, NextHop, NextHopFound
from inband.vocabulary.addresses import Mac
from tests.unit.control.played import Played

REMOTE, GATEWAY = IPv6Address("2001:db8::9"), IPv6Address("fe80::fe")
GATEWAY_MAC = Mac.parse("02:00:00:00:00:fe")


@pytest.fixture
def engine() -> Played:
    """Enabled, with one controller behind a link-local gateway that was asked for once, in vain."""
    engine = Played()
    engine.handle(ev.InBandEnabled(True), 0.0)
    engine.handle(ev.RemotesChanged(added=[ev.Remote(REMOTE, 6653, ev.RemoteKind.CONTROLLER)]), 0.0)
    engine.handle(NextHopFound(REMOTE, NextHop(7, "br0", GATEWAY)), 0.0)
    return engine


def test_an_address_that_can_be_used_has_the_next_hop_asked_for_at_once(engine: Played) -> None:
    commands = engine.handle(ev.LocalAddressReady(6), 0.01)

    assert commands == [ev.SolicitNeighbour(7, GATEWAY), ev.ProbeNeighbour(7, GATEWAY)]


def test_an_address_of_the_other_family_asks_for_nothing(engine: Played) -> None:
    assert engine.handle(ev.LocalAddressReady(4), 0.01) == []


def test_a_next_hop_that_is_known_is_not_asked_for_again(engine: Played) -> None:
    engine.handle(NeighbourChanged(7, GATEWAY, GATEWAY_MAC), 0.01)

    assert engine.handle(ev.LocalAddressReady(6), 0.02) == []


def test_addresses_that_keep_coming_do_not_end_the_questions(engine: Played) -> None:
    for step in range(100):
        engine.handle(ev.LocalAddressReady(6), step / 100)

    assert engine.next_deadline() == pytest.approx(1.09)


def test_whoever_asks_for_an_address_of_ours_or_says_to_have_it_is_heard(engine: Played) -> None:
    own = IPv6Address("2001:db8::1")

    (command,) = engine.handle(ev.LocalAddressesChanged(frozenset({own})), 0.1)

    assert isinstance(command, ev.InstallRules)
    assert {
        (rule.letter, rule.subject, key_fields(rule.value, rule.mask)["icmpv6_type"]) for rule in command.rules
    } == {
        ("l", "2001:db8::1", 135),
        ("l", "2001:db8::1", 136),
    }
