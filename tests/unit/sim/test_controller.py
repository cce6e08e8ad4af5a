"""The simulated controller by itself: what it sends, what it counts, and that rubbish does not stop it."""

from __future__ import annotations

from random import Random

import pytest

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
from inband.sim.behaviour import FRIENDLY, HOSTILE, MUTE, Behaviour
from inband.sim.controller import Controller, ControllerSession
from inband.vocabulary.openflow import OFP10, OFP13, PortConfig
from inband.vocabulary.openflow_errors import BadRequest, ErrorType

PORTS = (PortDescription(PortNo(1), name="one"), PortDescription(LOCAL, name="br0"))


def sent(session: ControllerSession) -> list[Message]:
    return [decode(raw).message for raw in split(bytearray(session.take_output()))]


def say(session: ControllerSession, now: float, *messages: Message, version: int = OFP13) -> None:
    for message in messages:
        for data in encode_segments(Envelope(version, 1, message)):
            assert session.receive(data, now) is None


def introduced(controller: Controller, now: float = 0.0) -> ControllerSession:
    """A session after FEATURES and PORT_DESC, its output taken."""
    session = controller.open(now)
    say(session, now, Hello(), FeaturesReply(7, n_tables=3), PortDescReply(PORTS))
    session.take_output()
    return session


def test_it_asks_who_the_switch_is_and_which_ports_it_has() -> None:
    session = Controller().open(0.0)
    greeting = sent(session)

    say(session, 0.0, Hello(), FeaturesReply(7))

    assert greeting == [Hello(frozenset({OFP13})), FeaturesRequest()]
    assert sent(session) == [PortDescRequest()]


def test_with_openflow_1_0_the_ports_are_in_the_features() -> None:
    controller = Controller(OFP10, behaviour=HOSTILE)
    session = controller.open(0.0)
    session.take_output()

    say(session, 0.0, Hello(), FeaturesReply(7, ports=PORTS), version=OFP10)

    assert [m.port for m in sent(session) if isinstance(m, PortMod)] == [PortNo(1), LOCAL]


def test_a_mute_controller_sends_echoes_only() -> None:
    session = introduced(Controller())

    for tick in range(1, 31):
        session.run(tick / 10 + 0.001)

    messages = sent(session)
    assert len(messages) == 30
    assert all(isinstance(message, EchoRequest) for message in messages)


def test_a_hostile_controller_does_all_of_it_every_half_second() -> None:
    controller = Controller()
    session = introduced(controller)
    controller.behave(HOSTILE, 0.0)
    first = sent(session)

    session.run(0.49)
    early = [m for m in sent(session) if not isinstance(m, EchoRequest)]
    session.run(0.5)
    again = [m for m in sent(session) if not isinstance(m, EchoRequest)]

    assert len([m for m in first if isinstance(m, FlowMod)]) == 1 + 3
    closed = PortConfig.PORT_DOWN | PortConfig.NO_RECV | PortConfig.NO_FWD
    assert [(m.port, m.config) for m in first if isinstance(m, PortMod)] == [(PortNo(1), closed), (LOCAL, closed)]
    assert early == []
    assert again == first


def test_a_switch_that_comes_later_gets_the_present_behaviour() -> None:
    controller = Controller()
    controller.behave(FRIENDLY, 0.0)
    session = controller.open(1.0)
    session.take_output()

    say(session, 1.0, Hello(), FeaturesReply(7), PortDescReply(PORTS))

    assert any(isinstance(message, FlowMod) for message in sent(session))


def test_a_behaviour_is_a_function_of_what_is_known_of_the_switch() -> None:
    seen = list[tuple[int, int, int]]()

    def messages(switch: object) -> list[Message]:
        assert switch is session.switch
        return []

    controller = Controller()
    session = introduced(controller)
    controller.behave(Behaviour("curious", messages), 0.0)
    assert session.switch is not None
    seen.append((session.switch.datapath_id, session.switch.n_tables, len(session.switch.ports)))

    assert seen == [(7, 3, 2)]


def test_silence_is_the_longest_time_without_an_echo_through_losses_too() -> None:
    controller = Controller()
    session = introduced(controller)
    channel = controller.channels[7]
    say(session, 0.1, EchoReply())
    session.close(0.2, "cut")
    between = channel.is_up

    say(introduced(controller, now=1.0), 1.1, EchoReply())

    assert not between
    assert channel.is_up
    assert channel.ups == [0.0, 1.0]
    assert channel.losses == [(0.2, "cut")]
    assert channel.silence_s(1.2) == pytest.approx(0.9)


def test_only_echoes_are_signs_of_life() -> None:
    controller = Controller()
    session = introduced(controller)

    say(session, 3.0, Error(ErrorType.BAD_REQUEST, BadRequest.EPERM))

    channel = controller.channels[7]
    assert channel.silence_s(3.0) == 3.0
    assert channel.errors == 1


def test_forgotten_silence_does_not_come_back() -> None:
    controller = Controller()
    introduced(controller)
    channel = controller.channels[7]

    channel.forget_silence(5.0)

    assert channel.silence_s(5.5) == 0.5


def test_rubbish_from_a_switch_is_counted_or_ends_the_session_and_never_raises() -> None:
    random, whole = Random(1), b"".join(encode_segments(Envelope(OFP13, 1, FeaturesReply(7))))

    for _ in range(500):
        session = introduced(Controller(behaviour=MUTE))
        spoilt = bytearray(whole * 3)
        for _ in range(3):
            spoilt[random.randrange(len(spoilt))] = random.randrange(256)
        session.receive(bytes(spoilt[: random.randrange(len(spoilt))]), 1.0)

    assert introduced(Controller()).receive(bytes(8), 1.0) is not None
