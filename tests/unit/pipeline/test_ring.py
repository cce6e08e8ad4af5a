"""A ring of switches without a spanning tree: control traffic gets through and comes to rest."""

from __future__ import annotations

from collections import deque

import pytest

from inband.flow.actions import Output
from inband.flow.match import Match
from inband.flow.ports import LOCAL, PortNo
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV4
from tests.unit.pipeline.scene import P1, P2, P3, A, B, Scene

HOP_S = 0.001


class Ring:
    """Switches in a ring by their ports 1 (to the next) and 2 (to the one before); hosts are on their ports 3."""

    def __init__(self, size: int) -> None:
        self.switches = [Scene() for _ in range(size)]
        for number, scene in enumerate(self.switches):
            scene.pipeline.local_mac = Mac(0x020000000100 + number)
            for ethertype, letter in ((ETH_ARP, "g"), (ETH_IPV4, "h")):
                scene.in_band(Match.of(eth_type=ethertype), letter=letter)
        self.now = 0.0

    def send(self, frame: bytes, at: int) -> list[int]:
        """Let the host at a switch send a frame; returns at which switches hosts received it.

        Fails when it still travels after a number of hops that no frame needs.
        """
        received: list[int] = []
        travelling = deque([(frame, at, P3, self.now)])
        for _ in range(20 * len(self.switches)):
            if not travelling:
                self.now += 1.0
                return sorted(received)
            data, switch, port, now = travelling.popleft()
            for action in self.switches[switch].actions(data, port, now):
                assert isinstance(action, Output)
                if action.port == P3:
                    received.append(switch)
                elif action.port != LOCAL:
                    travelling.append((data, *self._across(switch, action.port), now + HOP_S))
        raise AssertionError("the frame goes round and round")

    def _across(self, switch: int, port: PortNo) -> tuple[int, PortNo]:
        size = len(self.switches)
        return ((switch + 1) % size, P2) if port == P1 else ((switch - 1) % size, P1)


@pytest.mark.parametrize("size", [2, 3, 4, 10])
def test_a_question_reaches_every_host_once_and_its_answer_the_asker_alone(size: int) -> None:
    ring = Ring(size)

    asked = ring.send(packets.arp_request(src=A), at=0)
    answered = ring.send(packets.arp_reply(src=B, dst=A), at=size // 2)
    conversation = [ring.send(packets.tcp(src=A, dst=B, sequence=n), at=0) for n in range(3)]

    assert asked == list(range(1, size))
    assert answered == [0]
    assert conversation == [[size // 2]] * 3


@pytest.mark.parametrize("size", [2, 3, 4, 10])
def test_a_packet_to_an_unknown_host_comes_to_rest(size: int) -> None:
    ring = Ring(size)

    reached = ring.send(packets.tcp(src=A, dst=B), at=0)

    assert reached == list(range(1, size))


@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_switch_that_forgot_a_host_does_not_turn_the_others_heads(size: int) -> None:
    ring = Ring(size)
    ring.send(packets.arp_request(src=A), at=0)
    ring.send(packets.arp_reply(src=B, dst=A), at=1)
    ring.switches[1].fdb.flush()

    reached = ring.send(packets.tcp(src=A, dst=B), at=0)
    answered = ring.send(packets.tcp(src=B, dst=A), at=1)

    assert 1 in reached
    assert 0 in answered
