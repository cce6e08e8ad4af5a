"""Messages changed at random never stop a session or its agent."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from inband.agent.connection import Kind
from inband.openflow.codec import encode
from inband.openflow.messages import BarrierReply, BarrierRequest, Envelope, Hello
from inband.openflow.session import Session
from inband.vocabulary.openflow import OFP10, OFP13
from tests.unit.agent.bench_switch import Bench

VECTORS = Path(__file__).parents[2] / "vectors"
ROUNDS = 200  # per vector: some thousand messages per version, in about a second


def vectors(version: int) -> list[bytes]:
    """Messages that ovs-ofctl sent in this version."""
    texts = [line for path in sorted(VECTORS.glob("*.hex")) for line in path.read_text().split()]
    return [raw for raw in map(bytes.fromhex, texts) if raw[0] == version]


def change(raw: bytes, dice: random.Random) -> bytes:
    """A few bytes altered, perhaps cut short or lengthened; the header's length stays true."""
    data = bytearray(raw)
    for _ in range(dice.randint(1, 4)):
        data[dice.randrange(8, len(data)) if len(data) > 8 else 1] = dice.choice((0, 1, 0xFF, dice.randrange(256)))
    if len(data) > 8 and dice.random() < 0.3:
        del data[dice.randrange(8, len(data)) :]
    data += dice.randbytes(dice.choice((0, 0, 0, 1, 8)))
    data[2:4] = len(data).to_bytes(2, "big")
    return bytes(data)


def receive(session: Session, data: bytes) -> list[Envelope]:
    session.feed(data, 0.0)
    return session.read(1000)


@pytest.mark.parametrize("version", [OFP10, OFP13])
def test_changed_messages_leave_the_connection_and_the_hidden_flows_alone(version: int) -> None:
    dice = random.Random(version)
    bench, session = Bench(version=version), Session(0.0)
    hidden = bench.add_hidden(eth_type=0x0806)
    receive(session, encode(Envelope(version, 1, Hello(frozenset({version})))))
    bench.agent.connect(1, Kind.CONTROLLER, version, 0.0)

    for raw in vectors(version) * ROUNDS:
        for envelope in receive(session, change(raw, dice)):
            bench.agent.handle(1, envelope, 0.0)
        bench.agent.take_effects()
        for envelope in bench.agent.take(1):
            assert session.send(envelope)
        while session.has_output:
            session.take_output()

    assert session.is_negotiated
    assert session.malformed > 100
    assert bench.tables.hidden() == [hidden]
    (envelope,) = receive(session, encode(Envelope(version, 7, BarrierRequest())))
    bench.agent.handle(1, envelope, 0.0)
    assert bench.agent.take(1) == [Envelope(version, 7, BarrierReply())]
