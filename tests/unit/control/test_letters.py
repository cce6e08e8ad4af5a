"""The table of letters: its order, its priorities, and that each row gives rise to rules."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from string import ascii_lowercase

import pytest

from inband.control.endpoints import Endpoint, Protocol
from inband.control.letters import LETTERS, Per, RuleKind
from inband.control.rules import State, wanted
from inband.flow.origin import PayloadCheck
from inband.flow.priority import HiddenPriority
from inband.vocabulary.addresses import Mac

FOUR_NET, SIX_NET = IPv4Network("192.0.2.0/24"), IPv6Network("2001:db8::/64")
FOUR, SIX = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
EVERYTHING = State(
    enabled=True,
    local_mac=Mac(0x020000000001),
    endpoints=frozenset(
        endpoint
        for address, near in ((FOUR, FOUR_NET), (SIX, SIX_NET))
        for endpoint in (
            Endpoint(address, 6653),
            Endpoint(address, 6640, managed=True),
            Endpoint(address, 514, Protocol.UDP),
            Endpoint(near.network_address, 22, Protocol.TCP, calls=True, length=near.prefixlen),
            Endpoint(near.network_address, 161, Protocol.UDP, calls=True, length=near.prefixlen),
        )
    ),
    hops=frozenset(),
    hop_macs=frozenset({(4, Mac(0x020000000002)), (6, Mac(0x020000000002))}),
    local_addresses=frozenset({IPv4Address("192.0.2.2"), IPv6Address("2001:db8::2")}),
    servers=frozenset({FOUR, SIX}),
    networks=frozenset({IPv4Network("192.0.0.0/16"), IPv6Network("2001:db8::/48")}),
    clients=frozenset({Mac(0x020000000003)}),
)
KINDS = pytest.mark.parametrize("kind", LETTERS.values(), ids=LETTERS)


def test_letters_and_priorities_count_on_from_a_and_180000() -> None:
    assert "".join(LETTERS) == ascii_lowercase[: len(LETTERS)]
    assert [kind.priority for kind in LETTERS.values()] == [180_000 + place for place in range(len(LETTERS))]
    assert all(isinstance(kind.priority, HiddenPriority) for kind in LETTERS.values())


@KINDS
def test_each_letter_has_rules_for_just_the_ip_versions_that_it_has_words_for(kind: RuleKind) -> None:
    rules = [rule for rule in wanted(EVERYTHING) if rule.kind is kind]

    assert len(rules) == len(kind.ipv4_patterns) + len(kind.ipv6_patterns) > 0
    assert bool(kind.ipv4) == bool(kind.ipv4_patterns)
    assert bool(kind.ipv6) == bool(kind.ipv6_patterns)
    assert kind.reason


def test_a_state_with_everything_has_rules_of_every_letter_and_every_subject() -> None:
    rules = wanted(EVERYTHING)

    assert {rule.kind for rule in rules} == set(LETTERS.values())
    assert {rule.kind.per for rule in rules} == set(Per)


def test_a_rules_flow_passes_closed_ports_and_says_whether_a_payload_has_to_be_read() -> None:
    origins = {rule.letter: rule.origin for rule in wanted(EVERYTHING)}

    assert all(origin.overrides_ports for origin in origins.values())
    assert {letter for letter, origin in origins.items() if origin.check is PayloadCheck.DNS} == {"m", "n"}
    assert {letter for letter, origin in origins.items() if origin.check is PayloadCheck.ICMP_ERROR} == {"u"}
