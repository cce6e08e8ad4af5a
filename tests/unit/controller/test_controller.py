"""The simulated controller by itself: what it sends, what it counts, and that rubbish does not stop it."""

from __future__ import annotations

from random import Random

import pytest

from inband.controller.behaviour import FRIENDLY, HOSTILE, MUTE, Behaviour, KnownSwitch
from inband.controller.controller import Controller
from inband.flow.ports import LOCAL, PortNo
from inband.openflow.codec import decode, encode_segments, split
from inband.openflow.messages import (
    EchoReply,
    EchoRequest,
    Envelope,
    Error,
    FeaturesReply,
    FeaturesRequest,
    FlowMod,
    Hello,
    Message,
    PortMod,
)
from inband.openflow.multipart import PortDescReply, PortDescRequest
from inband.openflow.parts import PortDescription
from inband.sim.clock import VirtualClock
from inband.vocabulary.openflow import OFP10, OFP13, PortConfig
from inband.vocabulary.openflow_errors import BadRequest, ErrorType

PORTS = (PortDescription(PortNo(1), name="one"), PortDescription(LOCAL, name="br0"))


class Call:
    """A switch's end of a connection to a controller, by hand."""

    peer = "s"

    def __init__(self, controller: Controller) -> None:
        self.session = controller.accept()
        self.is_over = False
        self._written = bytearray()
        self.session.opened(self)

    def sent(self) -> list[Message]:
        """What the controller said since the last call."""
        return [decode(raw).message for raw in split(self._written)]

    def say(self, *messages: Message, version: int = OFP13) -> None:
        """Say something to the controller."""
        for message in messages:
            for data in encode_segments(Envelope(version, 1, message)):
                self.session.received(data)

    def write(self, data: bytes) -> None:
        self._written += data

    def set_reading(self, wanted: bool) -> None:
        raise AssertionError("the controller reads everything")

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self.is_over = True

    def progress(self) -> None:
        return None


def introduced(controller: Controller) -> Call:
    """A call after FEATURES and PORT_DESC, its output taken."""
    call = Call(controller)
    call.say(Hello(), FeaturesReply(7, n_tables=3), PortDescReply(PORTS))
    call.sent()
    return call


def at(clock: VirtualClock, now: float) -> None:
    """Let time pass up to an instant."""
    clock.run_until(now)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def test_it_asks_who_the_switch_is_and_which_ports_it_has(clock: VirtualClock) -> None:
    call = Call(Controller(clock))
    greeting = call.sent()

    call.say(Hello(), FeaturesReply(7))

    assert greeting == [Hello(frozenset({OFP13})), FeaturesRequest()]
    assert call.sent() == [PortDescRequest()]


def test_with_openflow_1_0_the_ports_are_in_the_features(clock: VirtualClock) -> None:
    call = Call(Controller(clock, OFP10, behaviour=HOSTILE))
    call.sent()

    call.say(Hello(), FeaturesReply(7, ports=PORTS), version=OFP10)

    assert [m.port for m in call.sent() if isinstance(m, PortMod)] == [PortNo(1), LOCAL]


def test_a_mute_controller_sends_echoes_only(clock: VirtualClock) -> None:
    call = introduced(Controller(clock))

    at(clock, 3.05)

    messages = call.sent()
    assert len(messages) == 30
    assert all(isinstance(message, EchoRequest) for message in messages)


def test_a_hostile_controller_does_all_of_it_every_half_second(clock: VirtualClock) -> None:
    controller = Controller(clock)
    call = introduced(controller)
    controller.behave(HOSTILE)
    first = call.sent()

    at(clock, 0.49)
    early = [m for m in call.sent() if not isinstance(m, EchoRequest)]
    at(clock, 0.5)
    again = [m for m in call.sent() if not isinstance(m, EchoRequest)]

    assert len([m for m in first if isinstance(m, FlowMod)]) == 1 + 3
    closed = PortConfig.PORT_DOWN | PortConfig.NO_RECV | PortConfig.NO_FWD
    assert [(m.port, m.config) for m in first if isinstance(m, PortMod)] == [(PortNo(1), closed), (LOCAL, closed)]
    assert early == []
    assert again == first


def test_another_behaviour_ends_the_one_before(clock: VirtualClock) -> None:
    controller = Controller(clock, behaviour=HOSTILE)
    call = introduced(controller)

    controller.behave(MUTE)
    at(clock, 5.0)

    assert all(isinstance(message, EchoRequest) for message in call.sent())


def test_a_switch_that_comes_later_gets_the_present_behaviour(clock: VirtualClock) -> None:
    controller = Controller(clock)
    controller.behave(FRIENDLY)
    call = Call(controller)
    call.sent()

    call.say(Hello(), FeaturesReply(7), PortDescReply(PORTS))

    assert any(isinstance(message, FlowMod) for message in call.sent())


def test_a_behaviour_is_a_function_of_what_is_known_of_the_switch(clock: VirtualClock) -> None:
    seen = list[KnownSwitch]()

    def messages(switch: KnownSwitch) -> list[Message]:
        seen.append(switch)
        return []

    controller = Controller(clock)
    introduced(controller)
    controller.behave(Behaviour("curious", messages))

    assert [(switch.datapath_id, switch.n_tables, len(switch.ports)) for switch in seen] == [(7, 3, 2)]


def test_silence_is_the_longest_time_without_an_echo_through_losses_too(clock: VirtualClock) -> None:
    controller = Controller(clock)
    call = introduced(controller)
    channel = controller.channels[7]
    at(clock, 0.1)
    call.say(EchoReply())
    at(clock, 0.2)
    call.session.closed("cut")
    between = channel.is_up

    at(clock, 1.0)
    call = introduced(controller)
    at(clock, 1.1)
    call.say(EchoReply())

    assert not between
    assert channel.is_up
    assert channel.ups == [0.0, 1.0]
    assert channel.losses == [(0.2, "cut")]
    assert channel.silence_s(1.2) == pytest.approx(0.9)


def test_only_echoes_are_signs_of_life(clock: VirtualClock) -> None:
    controller = Controller(clock)
    call = introduced(controller)

    at(clock, 3.0)
    call.say(Error(ErrorType.BAD_REQUEST, BadRequest.EPERM))

    channel = controller.channels[7]
    assert channel.silence_s(3.0) == 3.0
    assert channel.errors == 1


def test_forgotten_silence_does_not_come_back(clock: VirtualClock) -> None:
    controller = Controller(clock)
    introduced(controller)
    channel = controller.channels[7]

    channel.forget_silence(5.0)

    assert channel.silence_s(5.5) == 0.5


def test_who_is_hung_up_on_is_told_nothing_more_and_why_is_kept(clock: VirtualClock) -> None:
    controller = Controller(clock, behaviour=HOSTILE)
    call = introduced(controller)

    controller.hang_up()
    call.session.closed("closed here")
    at(clock, 5.0)

    assert call.is_over
    assert controller.channels[7].losses == [(0.0, "the controller hung up")]
    assert controller.sessions == []
    assert call.sent() == []


def test_rubbish_from_a_switch_is_counted_or_ends_the_session_and_never_raises(clock: VirtualClock) -> None:
    random, whole = Random(1), b"".join(encode_segments(Envelope(OFP13, 1, FeaturesReply(7))))

    for _ in range(500):
        call = introduced(Controller(clock, behaviour=MUTE))
        spoilt = bytearray(whole * 3)
        for _ in range(3):
            spoilt[random.randrange(len(spoilt))] = random.randrange(256)
        call.session.received(bytes(spoilt[: random.randrange(len(spoilt))]))

    last = introduced(Controller(clock))
    last.session.received(bytes(8))
    assert last.is_over
