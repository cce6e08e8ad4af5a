"""DNS for remotes' names passes, all other DNS is the controller's: (m) and (n) under a table that drops everything."""

from __future__ import annotations

import struct

import pytest

from inband.control.letters import LETTERS
from inband.control.rules import for_server
from inband.flow.actions import ApplyActions, Output
from inband.flow.flow import Flow
from inband.flow.ports import NORMAL
from inband.packet.dns import RecordType, build_question
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.dns_hook import MAX_CONNECTIONS
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import parse_ip
from inband.vocabulary.name_hash import name_hash
from inband.vocabulary.openflow import PortConfig
from tests.unit.pipeline.scene import P1, P2, A, B, Scene, out

NAME, OTHER = "controller.example.net", "www.example.org"
CLIENT, SERVER = "10.0.0.2", "10.0.0.53"
CLIENT6, SERVER6 = "2001:db8::2", "2001:db8::53"
FAMILIES = pytest.mark.parametrize(("client", "server"), [(CLIENT, SERVER), (CLIENT6, SERVER6)])


def dropping() -> Scene:
    """A switch with A on port 1 and B on port 2, the rules of two servers, and a controller that drops everything."""
    scene = Scene()
    scene.knows(A, P1)
    scene.knows(B, P2)
    scene.flow(priority=65535)
    for server in (SERVER, SERVER6):
        for rule in for_server(parse_ip(server)):
            steps = (ApplyActions((Output(NORMAL),)),)
            scene.tables.install_hidden(Flow(rule.match, rule.priority, steps, origin=rule.origin))
    scene.pipeline.dns_names = frozenset({NAME})
    return scene


def test_what_neighbours_ask_for_is_known_by_its_hash() -> None:
    scene = dropping()
    scene.pipeline.dns_names = frozenset()
    scene.pipeline.set_neighbours_names(frozenset({name_hash(NAME)}))
    asks, others = (packets.udp(CLIENT, SERVER, 5, 53, message(name), src=A, dst=B) for name in (NAME.upper(), OTHER))

    assert scene.actions(asks) == out(P2)
    assert scene.actions(others) == ()


def message(name: str = NAME, rdtype: RecordType = RecordType.A, *, is_answer: bool = False) -> bytes:
    """A question, or the least that is an answer to it."""
    question = build_question(7, name, rdtype)
    return question[:2] + b"\x81\x80" + question[4:] if is_answer else question


def framed(*messages: bytes) -> bytes:
    """Messages as TCP carries them."""
    return b"".join(struct.pack("!H", len(each)) + each for each in messages)


def udp_question(name: str = NAME, client: str = CLIENT, server: str = SERVER, rdtype: int = RecordType.A) -> bytes:
    question = message(name)[:-4] + struct.pack("!HH", rdtype, 1)
    return packets.udp(client, server, 40000, 53, question, src=A, dst=B)


def udp_answer(name: str = NAME, client: str = CLIENT, server: str = SERVER) -> bytes:
    return packets.udp(server, client, 53, 40000, message(name, is_answer=True), src=B, dst=A)


def tcp_to(payload: bytes, *, client: str = CLIENT, server: str = SERVER, port: int = 40000) -> bytes:
    return packets.tcp(client, server, port, 53, payload, src=A, dst=B, flags=0x18)


def tcp_from(payload: bytes, *, client: str = CLIENT, server: str = SERVER, port: int = 40000) -> bytes:
    return packets.tcp(server, client, 53, port, payload, src=B, dst=A, flags=0x18)


@FAMILIES
@pytest.mark.parametrize("name", [NAME, NAME.upper(), "cOnTroller.Example.NET"])
def test_a_question_for_a_remotes_name_passes_in_any_case_of_its_letters(client: str, server: str, name: str) -> None:
    answer = dropping().receive(udp_question(name, client, server))

    assert answer.actions == out(P2)
    assert answer.hidden is not None
    assert answer.hidden.origin == LETTERS["m"].origin(server)


@FAMILIES
def test_the_answer_passes_back(client: str, server: str) -> None:
    answer = dropping().receive(udp_answer(NAME, client, server), P2)

    assert answer.actions == out(P1)
    assert answer.hidden is not None
    assert answer.hidden.origin == LETTERS["n"].origin(server)


@FAMILIES
def test_another_name_is_the_controllers_business(client: str, server: str) -> None:
    scene = dropping()

    assert scene.actions(udp_question(OTHER, client, server)) == ()
    assert scene.actions(udp_answer(OTHER, client, server), P2) == ()


@pytest.mark.parametrize(
    "frame",
    [
        udp_question(f"www.{NAME}"),
        udp_question(NAME.partition(".")[2]),
        udp_question(rdtype=16),
        udp_question(server="10.0.0.99"),
        packets.udp(CLIENT, SERVER, 40000, 53, message(is_answer=True), src=A, dst=B),
        packets.udp(SERVER, CLIENT, 53, 40000, message(), src=A, dst=B),
        packets.udp(CLIENT, SERVER, 40000, 54, message(), src=A, dst=B),
        packets.udp(CLIENT, SERVER, 40000, 53, b"", src=A, dst=B),
        packets.udp(CLIENT, SERVER, 40000, 53, b"\xff" * 40, src=A, dst=B),
        packets.udp(CLIENT, SERVER, 40000, 53, message()[:4] + b"\0\2" + message()[6:], src=A, dst=B),
    ],
)
def test_what_only_resembles_a_wanted_question_is_dropped(frame: bytes) -> None:
    assert dropping().actions(frame) == ()


def test_no_cut_question_passes_and_none_raises() -> None:
    scene, question = dropping(), message()

    for size in range(len(question)):
        frame = packets.udp(CLIENT, SERVER, 40000, 53, question[:size], src=A, dst=B)
        assert scene.actions(frame) == ()


@FAMILIES
def test_by_tcp_the_handshake_the_question_and_the_answer_pass(client: str, server: str) -> None:
    scene = dropping()

    for payload in (b"", framed(message())):
        assert scene.actions(tcp_to(payload, client=client, server=server)) == out(P2)
    for payload in (b"", b"any part of the answer"):
        assert scene.actions(tcp_from(payload, client=client, server=server), P2) == out(P1)


def test_by_tcp_another_name_and_its_answer_are_dropped() -> None:
    scene = dropping()

    assert scene.actions(tcp_to(framed(message(OTHER)))) == ()
    assert scene.actions(tcp_from(b"any part of the answer"), P2) == ()


def test_a_connection_with_a_wanted_question_does_not_carry_another_one() -> None:
    scene = dropping()
    scene.actions(tcp_to(framed(message())))

    assert scene.actions(tcp_to(framed(message(), message(OTHER)))) == ()
    assert scene.actions(tcp_to(framed(message()) + b"\0")) == ()
    assert scene.actions(tcp_to(framed(message(), message(NAME, RecordType.AAAA)))) == out(P2)


def test_a_crowd_of_tcp_connections_is_forgotten_oldest_first() -> None:
    scene = dropping()
    for port in range(10_000, 10_000 + MAX_CONNECTIONS + 1):
        scene.actions(tcp_to(framed(message()), port=port))

    assert scene.actions(tcp_from(b"answer", port=10_000), P2) == ()
    assert scene.actions(tcp_from(b"answer", port=10_001), P2) == out(P1)


def test_a_trace_notes_no_connection_and_says_why_a_rule_does_not_apply() -> None:
    scene, trace = dropping(), Trace()
    frame = tcp_to(framed(message()))

    assert scene.receive(frame, trace=trace).actions == out(P2)
    assert scene.actions(tcp_from(b"answer"), P2) == ()
    scene.receive(udp_question(OTHER), trace=trace)
    assert any("(m) does not apply" in str(step) for step in trace.steps)


@pytest.mark.parametrize("name", [NAME, OTHER])
def test_no_decision_about_dns_with_a_server_is_cached(name: str) -> None:
    assert not dropping().receive(udp_question(name)).cacheable


def test_a_cached_decision_about_other_packets_never_serves_dns() -> None:
    scene = dropping()
    key = parse(udp_question(), P1)

    for frame in (packets.udp(CLIENT, SERVER, 40000, 99, src=A, dst=B), packets.tcp(CLIENT, SERVER, src=A, dst=B)):
        decision = scene.receive(frame)
        assert decision.cacheable
        assert (parse(frame, P1) ^ key) & decision.mask


def test_wanted_dns_passes_closed_ports_and_other_dns_does_not() -> None:
    scene = dropping()
    scene.flow(Output(NORMAL), priority=65535)
    for port in (P1, P2):
        scene.configure(port, PortConfig.NO_RECV | PortConfig.NO_FWD)

    assert scene.actions(udp_question()) == out(P2)
    assert scene.actions(udp_question(OTHER)) == ()


def test_without_in_band_control_its_rules_do_not_count() -> None:
    scene = dropping()
    frame = udp_question()

    explanation = scene.pipeline.explain(parse(frame, P1), Frame(frame), 1.0)

    assert explanation.verdict.actions == out(P2)
    assert explanation.verdict_without.actions == ()
