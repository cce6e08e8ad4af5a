"""An attempt at several addresses: in which order, when the next, and what becomes of the others."""

from __future__ import annotations

from ipaddress import ip_address

from inband.switch.attempt import STAGGER_S, Attempt, in_dialling_order
from inband.switch.targets import parse_target
from inband.switch.transport import Connecting
from inband.vocabulary.addresses import IpAddress
from tests.unit.switch.fakes import Clock, FakeNetwork

V4 = [ip_address(f"192.0.2.{number}") for number in (1, 2, 3)]
V6 = [ip_address("2001:db8::1"), ip_address("2001:db8::2")]


class Bench:
    """An attempt, and what it came to."""

    def __init__(self, *places: IpAddress) -> None:
        self.clock, self.network = Clock(), FakeNetwork()
        self.answers: list[IpAddress | None] = []
        self.in_vain = 0
        target = parse_target("tcp:ctl.example")
        self.attempt = Attempt(self.network, self.clock, target, places, self._answered, self._in_vain)
        self.attempt.start()

    def _answered(self, address: IpAddress | None, _: Connecting) -> None:
        self.answers.append(address)

    def _in_vain(self) -> None:
        self.in_vain += 1

    def dialled(self) -> list[IpAddress | None]:
        return [each.address for each in self.network.dialled]

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.attempt.run()


def test_families_take_turns_and_the_last_good_address_comes_first() -> None:
    assert in_dialling_order([*V6, *V4], None) == (V6[0], V4[0], V6[1], V4[1], V4[2])
    assert in_dialling_order([*V6, *V4], V4[2]) == (V4[2], V6[0], V4[0], V6[1], V4[1])
    assert in_dialling_order([*V4, *V4], ip_address("192.0.2.9")) == tuple(V4)
    assert in_dialling_order([], None) == ()


def test_the_next_address_is_tried_when_the_first_is_silent_for_a_tenth_of_a_second() -> None:
    bench = Bench(*V4[:2])

    bench.pass_time(STAGGER_S * 0.9)
    assert bench.dialled() == V4[:1]
    bench.pass_time(STAGGER_S * 0.2)

    assert bench.dialled() == V4[:2]
    assert bench.attempt.next_deadline() is None


def test_the_next_address_is_tried_at_once_when_the_first_refuses() -> None:
    bench = Bench(*V4[:2])

    bench.network.dialled[0].refuse()

    assert bench.dialled() == V4[:2]


def test_the_first_address_that_answers_is_taken_and_the_others_are_given_up() -> None:
    bench = Bench(*V4[:2])
    bench.pass_time(STAGGER_S)

    bench.network.dialled[1].answer()
    bench.network.dialled[0].answer()

    assert bench.answers == [V4[1]]
    assert [each.is_cancelled for each in bench.network.dialled] == [True, False]


def test_when_none_answers_that_is_said_once_with_why_of_each() -> None:
    bench = Bench(*V4[:2])

    bench.network.dialled[0].refuse("Connection refused")
    bench.network.dialled[1].refuse("No route to host")

    assert bench.in_vain == 1
    assert bench.attempt.failures == {V4[0]: "Connection refused", V4[1]: "No route to host"}


def test_one_that_is_given_up_says_nothing_more() -> None:
    bench = Bench(*V4)

    bench.attempt.cancel()
    bench.network.dialled[0].answer()
    bench.pass_time(1.0)

    assert bench.answers == []
    assert bench.dialled() == V4[:1]
    assert bench.network.dialled[0].is_cancelled
