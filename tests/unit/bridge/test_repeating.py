"""LOCAL's questions for its configuration are asked again while they may have been dropped on the way."""

from __future__ import annotations

from inband.bridge.repeating import AGAIN_S, FRESH_S, ROUND_S, Repeating, asks_for_configuration
from inband.flow.ports import LOCAL
from inband.packet.parse import parse
from inband.testing import packets

DISCOVER = packets.dhcp_request()
SOLICITATION = packets.router_solicitation()


class Scene:
    """One bridge's, whose copies come back to it as what LOCAL sends does."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.repeating = Repeating(self._inject)

    def _inject(self, data: bytes) -> None:
        self.sent.append(data)
        assert not self.repeating.asks(data, parse(data, LOCAL), 1.0)

    def asks(self, data: bytes, now: float) -> None:
        assert self.repeating.asks(data, parse(data, LOCAL), now)

    def run_until(self, end: float) -> list[bytes]:
        self.sent.clear()
        while self.repeating.due is not None and self.repeating.due <= end:
            self.repeating.run(self.repeating.due)
        return list(self.sent)


def test_what_was_asked_is_asked_again_a_few_times_each_copy_another_one() -> None:
    scene = Scene()
    scene.asks(DISCOVER, 1.0)
    scene.asks(SOLICITATION, 1.0)

    scene.repeating.begin(1.0)
    copies = scene.run_until(1.0 + AGAIN_S[-1])

    assert len(copies) == len(set(copies)) == 2 * len(AGAIN_S)
    assert {DISCOVER[:40], SOLICITATION[:40]} == {copy[:40] for copy in copies}
    assert all(len(copy) >= 60 for copy in copies)
    assert scene.repeating.due is None


def test_a_lease_ends_it_and_so_does_age_and_one_round_in_a_second_is_enough() -> None:
    scene = Scene()
    scene.repeating.begin(0.0)
    assert scene.repeating.due is None

    scene.asks(DISCOVER, 1.0)
    scene.repeating.begin(1.0)
    scene.repeating.begin(1.0 + ROUND_S / 2)
    assert len(scene.run_until(9.0)) == len(AGAIN_S)

    scene.repeating.begin(1.0 + FRESH_S)
    assert scene.run_until(99.0) == []

    scene.asks(DISCOVER, 100.0)
    scene.repeating.has_lease()
    scene.repeating.begin(100.0)
    assert scene.run_until(199.0) == []


def test_only_questions_for_configuration_are_told_as_such() -> None:
    asks = [DISCOVER, SOLICITATION, packets.udp("fe80::1", "ff02::1:2", 546, 547)]
    others = [packets.dhcp_reply(), packets.arp_request(), packets.udp("10.0.0.1", "10.0.0.2", 68, 69)]

    assert all(asks_for_configuration(parse(each, LOCAL)) for each in asks)
    assert not any(asks_for_configuration(parse(each, LOCAL)) for each in others)
