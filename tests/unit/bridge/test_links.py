"""What links can do is asked when a port comes and when its link changes, and controllers hear of it."""

from __future__ import annotations

from inband.openflow.messages import PortStatus
from inband.openflow.multipart import PortDescReply, PortDescRequest
from inband.vocabulary.addresses import Mac
from inband.vocabulary.link_settings import LinkSettings
from inband.vocabulary.openflow import PortFeatures
from tests.unit.bridge.test_groups import P1, US, Stage

GIGABIT = LinkSettings(PortFeatures.SPEED_1GB_FD, current_speed_kbps=1_000_000)
SLOWER = LinkSettings(PortFeatures.SPEED_100MB_FD, current_speed_kbps=100_000)


def heard(stage: Stage) -> list[PortStatus | PortDescReply]:
    """What the controller was told of ports."""
    messages = [envelope.message for envelope in stage.bridge.take(1)]
    return [message for message in messages if isinstance(message, PortStatus | PortDescReply)]


def test_a_port_says_what_its_link_is_when_it_comes() -> None:
    stage = Stage()
    stage.bridge.read_link = {"p1": GIGABIT}.__getitem__

    stage.bridge.add_port(P1, "p1", Mac.parse(US))
    stage.say(PortDescRequest())

    status, reply = heard(stage)
    assert isinstance(status, PortStatus)
    assert isinstance(reply, PortDescReply)
    described = {port.port: port for port in reply.entries}
    assert status.port == described[P1]
    assert (described[P1].current, described[P1].current_speed_kbps) == (PortFeatures.SPEED_1GB_FD, 1_000_000)


def test_a_link_that_comes_up_slower_is_told_of() -> None:
    stage = Stage()
    links = {"p1": GIGABIT}
    stage.bridge.read_link = links.__getitem__
    stage.bridge.add_port(P1, "p1", Mac.parse(US))
    heard(stage)

    links["p1"] = SLOWER
    stage.bridge.link_changed(P1, link_up=True, mac=Mac.parse(US))
    stage.bridge.link_changed(P1, link_up=True, mac=Mac.parse(US))

    (status,) = heard(stage)
    assert isinstance(status, PortStatus)
    assert status.port.current_speed_kbps == 100_000
