"""Which bits a decision depends on: as few as can be."""

from __future__ import annotations

import tracemalloc

import pytest

from inband.flow.fields import FIELDS, key_fields, make_key
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.priority import OpenFlowPriority
from inband.table.classifier import Classifier, LinearClassifier, TupleSpaceClassifier

REMOTES = [0x0A0A0000 + n for n in range(1, 101)]
both = pytest.mark.parametrize("make", [LinearClassifier, TupleSpaceClassifier])


def flow(priority: int = 1, **fields: int | tuple[int, int]) -> Flow:
    """A flow that matches these fields."""
    return Flow(Match.of(**fields), OpenFlowPriority(priority), ())


def protect(classifier: Classifier) -> None:
    """Flows as in-band control has them for a hundred remotes: TCP to and from each, at its port."""
    for address in REMOTES:
        classifier.insert(flow(eth_type=0x0800, ip_proto=6, ipv4_dst=address, tcp_dst=6653))
        classifier.insert(flow(eth_type=0x0800, ip_proto=6, ipv4_src=address, tcp_src=6653))


def tcp_key(src: int, dst: int, src_port: int = 40000, dst_port: int = 80) -> int:
    """A TCP packet's key."""
    return make_key(eth_type=0x0800, ip_proto=6, ipv4_src=src, ipv4_dst=dst, tcp_src=src_port, tcp_dst=dst_port)


def mask_of(mask: int) -> dict[str, int]:
    """The fields of a mask."""
    return key_fields(mask)


@both
def test_the_highest_priority_decides(make: type[LinearClassifier | TupleSpaceClassifier]) -> None:
    classifier = make()
    low, high = flow(1, in_port=1), flow(2, eth_type=0x0806)
    for each in (low, high):
        classifier.insert(each)

    found, _ = classifier.lookup(make_key(in_port=1, eth_type=0x0806))

    assert found is high


@both
def test_of_equal_priorities_the_first_inserted_decides(make: type[LinearClassifier | TupleSpaceClassifier]) -> None:
    classifier = make()
    first, second = flow(5, eth_type=0x0806), flow(5, in_port=1)
    for each in (first, second):
        classifier.insert(each)

    assert classifier.lookup(make_key(in_port=1, eth_type=0x0806))[0] is first


@both
def test_of_equal_priorities_a_flow_that_1_0_calls_exact_decides_first(
    make: type[LinearClassifier | TupleSpaceClassifier],
) -> None:
    classifier = make()
    wide = flow(0xFFFF)
    narrow = flow(0xFFFF, in_port=1, eth_src=2, eth_dst=3, eth_type=0x0800, vlan_vid=0)
    exact = flow(0xFFFF, in_port=1, eth_src=2, eth_dst=3, eth_type=0x0800, vlan_vid=0, ip_proto=6)
    for each in (wide, narrow, exact):
        classifier.insert(each)

    for ip_proto, expected in ((6, exact), (17, narrow)):
        key = make_key(in_port=1, eth_src=2, eth_dst=3, eth_type=0x0800, ip_proto=ip_proto)
        assert classifier.lookup(key)[0] is expected


@both
def test_removing_a_flow_uncovers_the_one_below(make: type[LinearClassifier | TupleSpaceClassifier]) -> None:
    classifier = make()
    low, high = flow(1, in_port=1), flow(9, in_port=1)
    for each in (low, high):
        classifier.insert(each)

    classifier.remove(high)

    assert classifier.lookup(make_key(in_port=1))[0] is low


@both
def test_removing_a_flow_that_is_not_there_is_a_defect(make: type[LinearClassifier | TupleSpaceClassifier]) -> None:
    classifier = make()
    classifier.insert(flow(1, in_port=1))

    with pytest.raises(KeyError):
        classifier.remove(flow(1, in_port=1))


def test_an_empty_classifier_depends_on_nothing() -> None:
    assert TupleSpaceClassifier().lookup(make_key(in_port=1)) == (None, 0)


def test_masks_of_lower_priority_than_the_deciding_flow_are_not_asked() -> None:
    classifier = TupleSpaceClassifier()
    classifier.insert(flow(9, in_port=1))
    classifier.insert(flow(1, eth_src=5, tcp_dst=80))

    _, mask = classifier.lookup(make_key(in_port=1, eth_src=5))

    assert mask == FIELDS["in_port"].mask


def test_traffic_of_other_addresses_does_not_depend_on_ports() -> None:
    classifier = TupleSpaceClassifier()
    protect(classifier)

    _, mask = classifier.lookup(tcp_key(0xC0A80001, 0xC0A80002))

    assert mask_of(mask) == {"eth_type": 0xFFFF, "ip_proto": 0xFF, "ipv4_dst": 0xFF000000, "ipv4_src": 0xFF000000}


def test_other_protocols_do_not_depend_on_addresses() -> None:
    classifier = TupleSpaceClassifier()
    protect(classifier)

    _, mask = classifier.lookup(make_key(eth_type=0x0800, ip_proto=17, ipv4_dst=REMOTES[0]))

    assert mask_of(mask) == {"eth_type": 0xFFFF, "ip_proto": 0xFF}


def test_other_ethertypes_depend_on_the_ethertype_alone() -> None:
    classifier = TupleSpaceClassifier()
    protect(classifier)

    assert mask_of(classifier.lookup(make_key(eth_type=0x86DD))[1]) == {"eth_type": 0xFFFF}


def test_other_ports_of_a_remote_depend_on_leading_bits_of_the_port() -> None:
    classifier = TupleSpaceClassifier()
    protect(classifier)

    _, mask = classifier.lookup(tcp_key(0xC0A80001, REMOTES[3], 40000, 0x8001))

    assert mask_of(mask)["tcp_dst"] == 0xF000
    assert "tcp_src" not in mask_of(mask)


def test_a_packet_that_a_flow_decides_depends_on_all_that_the_flow_matches() -> None:
    classifier = TupleSpaceClassifier()
    protect(classifier)

    found, mask = classifier.lookup(tcp_key(0xC0A80001, REMOTES[3], 40000, 6653))

    assert found is not None
    assert mask & found.match.mask == found.match.mask


def test_many_changes_between_lookups_are_seen() -> None:
    classifier = TupleSpaceClassifier()
    flows = [flow(1, ipv4_dst=number) for number in range(1000)]
    for each in flows:
        classifier.insert(each)
    classifier.lookup(0)

    for each in flows[1:999]:
        classifier.remove(each)

    assert classifier.lookup(make_key(ipv4_dst=500))[0] is None
    assert classifier.lookup(make_key(ipv4_dst=999))[0] is flows[999]
    assert mask_of(classifier.lookup(make_key(ipv4_dst=0xFF000000))[1]) == {"ipv4_dst": 0xFF000000}


def test_flows_that_come_and_go_while_no_packet_asks_leave_nothing() -> None:
    classifier = TupleSpaceClassifier()
    classifier.insert(flow(9, eth_type=0x0800, ipv4_dst=1))  # so that the mask stays

    def churn(rounds: int) -> None:
        for number in range(rounds):
            passing = flow(1 + number % 3, eth_type=0x0800, ipv4_dst=2 + number)
            classifier.insert(passing)
            classifier.remove(passing)

    churn(1000)
    tracemalloc.start()
    try:
        churn(5000)
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert left < 20_000
