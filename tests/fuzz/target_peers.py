"""OpenFlow peers against a whole bridge: sessions, agent, tables, pipeline and a simulated datapath, no socket.

The input is a row of steps. Four peers (two controllers that are dialled, two that call; OpenFlow 1.3 and 1.0) send
messages and rubbish in any order and in pieces, stop reading, hang up; frames arrive, ports come and go, time passes.

Checked at the end, and partly after each step:

- Nothing is raised; what the switch writes can be read, and is of the version that was agreed on.
- The hidden flows are what they were.
- Of each whole message: a request has its reply or an ERROR, other messages at most an ERROR, one that cannot be read
  has an ERROR; nothing is answered twice, and nothing that was not asked. A BARRIER says that all before is answered.
- What commands print of a flow means the flow.
- A peer that frames its messages, reads and answers probes is not hung up on.
- What waits for a peer that does not read is bounded.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from enum import IntEnum
from ipaddress import ip_address
from pathlib import Path

from inband.datapath.base import QueueState
from inband.datapath.simulated import SimulatedDatapath
from inband.flow.actions import ApplyActions, Output
from inband.flow.ports import CONTROLLER, FLOOD, PortNo
from inband.flow.text import flow_document, format_bridge_flow, format_match, parse_flow
from inband.openflow.codec import encode, encode_segments, split
from inband.openflow.messages import Envelope, FlowMod
from inband.openflow.wire_fields import WIRE_FIELDS
from inband.packet.frame import Frame
from inband.switch.targets import parse_target
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP10, OFP13, FlowModCommand
from tests.fuzz.fuzz_frames import SEEDS as FRAMES
from tests.fuzz.fuzzing import Script, Target, sized
from tests.fuzz.peer import Peer
from tests.unit.openflow.samples import SAMPLES
from tests.unit.switch.bench import Bench
from tests.unit.switch.fakes import Clock, FakeTransport

VECTORS = Path(__file__).parents[1] / "vectors"
CONTROLLERS = (parse_target("tcp:192.0.2.1:6653"), parse_target("tcp:192.0.2.2:6653"))
PORTS = (PortNo(1), PortNo(2), PortNo(3))
VERSIONS = (OFP13, OFP10, OFP13, OFP10)


class Step(IntEnum):
    """What happens next: the lower half of a byte. The upper says to which peer or port."""

    MESSAGE = 0  # and all below RAW: messages are the most frequent
    RAW = 8
    TIME = 9
    FRAME = 10
    PORT = 11
    HANG_UP = 12
    READING = 13
    TCP = 14
    NOTHING = 15


IN_PIECES = 0x40
"""Set in a MESSAGE's byte: half of it comes now, half before the peer's next one."""
# Less than a probe's interval in all: a peer that answers probes stays.
_TIME_UNIT_S, _TIME_UNITS = 0.25, 16


class TickingClock(Clock):
    """Each look takes a little, so that turns end and peers take turns."""

    def __call__(self) -> float:
        self.now += 0.0001
        return self.now


class Scene:
    """A bridge with two controllers and a place to call, four peers, three ports."""

    def __init__(self) -> None:
        self.bench = bench = Bench(*CONTROLLERS, clock=TickingClock())
        self.bridge = bridge = bench.managed.bridge
        assert isinstance(bridge.datapath, SimulatedDatapath)
        self.datapath = bridge.datapath
        bridge.set_dns(frozenset({ip_address("192.0.2.53")}), frozenset({"ctl.example"}))
        bridge.read_queues = lambda _: (QueueState(queue_id=1), QueueState(queue_id=7))
        for port in PORTS:
            self.put_port(port)
        self.listener = bench.managed.connections.add_listener(parse_target("ptcp:6653"))
        self.peers = [Peer(version) for version in VERSIONS]
        self.run()
        self.hidden = bridge.tables.hidden()
        for peer in self.peers:
            self.connect(peer)

    def connect(self, peer: Peer) -> None:
        """Have the peer's stream opened: as soon as it is dialled, or because it calls."""
        number = self.peers.index(peer)
        if number >= len(CONTROLLERS):
            address = ip_address(f"198.51.100.{number}")
            channel, crowded_out = self.bench.managed.connections.accept(self.listener, address)
            assert channel is not None
            assert crowded_out is None
            transport = FakeTransport(channel, f"{address}:4000")
            channel.opened(transport)
            peer.begin(transport)
            return
        network, target = self.bench.network, CONTROLLERS[number]
        for dialled in [each for each in network.dialled if each.target == target]:
            network.dialled.remove(dialled)
            if not dialled.is_cancelled:
                dialled.answer()
                peer.begin(network.open_stream())

    def put_port(self, port: PortNo, *, link_up: bool = True) -> None:
        """A port is there."""
        self.datapath.add_port(port, f"p{port}")
        self.bridge.add_port(port, f"p{port}", Mac(0x020000000100 + port), link_up=link_up)

    def run(self) -> None:
        """Do everything that waits: peers' messages, answers, and what peers do with them."""
        for _ in range(10_000):
            moved = [peer.move() for peer in self.peers]
            self.bench.turns.run()
            self.bench.managed.send()
            if not any(moved) and not self.bench.turns_wanted:
                return
            self.bench.turns_wanted = 0
        raise AssertionError("there is always more to do")

    def pass_time(self, seconds: float) -> None:
        """Do what is due, in order."""
        clock, managed = self.bench.clock, self.bench.managed
        end = clock.now + seconds
        while (due := managed.next_deadline()) is not None and due <= end:
            clock.now = max(clock.now, due)
            managed.run()
            self.run()
        clock.now = max(clock.now, end)


def check(data: bytes) -> None:
    """Play the steps, then ask every peer that is left for a BARRIER."""
    scene, script = Scene(), Script(data)
    while script:
        _step(scene, script, script.number())
        scene.run()
        assert scene.bridge.tables.hidden() == scene.hidden, "a hidden flow came or went"
    _finish(scene)


def _step(scene: Scene, script: Script, choice: int) -> None:
    number = choice >> 4 & 3
    peer, port = scene.peers[number], PORTS[number % len(PORTS)]
    match Step.MESSAGE if choice & 0x0F < Step.RAW else Step(choice & 0x0F):
        case Step.MESSAGE:
            peer.send(script.number(), script.sized(), in_pieces=bool(choice & IN_PIECES))
        case Step.RAW:
            peer.send_raw(script.sized(1))
        case Step.TIME:
            scene.pass_time(script.number() % _TIME_UNITS * _TIME_UNIT_S)
        case Step.FRAME:
            scene.datapath.deliver(port, Frame(script.sized()))
        case Step.PORT:
            _change_port(scene, port, script.number())
        case Step.HANG_UP:
            peer.hang_up() if peer.is_connected else scene.connect(peer)
        case Step.READING:
            peer.set_reading(not peer.is_reading)
        case Step.TCP:
            peer.set_stuck(bool(script.number() & 1))
        case Step.NOTHING:
            pass


def _change_port(scene: Scene, port: PortNo, choice: int) -> None:
    match choice % 3:
        case 0:
            scene.datapath.remove_port(port)
            scene.bridge.remove_port(port)
        case 1:
            scene.put_port(port)
        case _:
            scene.put_port(port, link_up=False)


def _finish(scene: Scene) -> None:
    _check_texts(scene)
    for peer in scene.peers:
        peer.check_unread()
    for peer in scene.peers:
        peer.ask_for_barrier()
    scene.run()
    for peer in scene.peers:
        peer.check()


def _check_texts(scene: Scene) -> None:
    """What commands print of every flow; its match can be given to commands again."""
    now = scene.bench.clock.now
    for flow in (*scene.bridge.tables.select(), *scene.bridge.tables.hidden()):
        format_bridge_flow(flow, now)
        json.dumps(flow_document(flow, now))
        text = format_match(flow.match)
        assert parse_flow(text, {}).match == flow.match, f"{text} means something else"


# --- good inputs ---------------------------------------------------------------------------------------------------


def seeds() -> Iterable[bytes]:
    """What ovs-ofctl sent, each connection at one peer of its version; every message of its kind; and frames."""
    for path in sorted(VECTORS.glob("*.hex")):
        yield _conversation(path.read_bytes())
    for number, version in ((0, OFP13), (1, OFP10)):
        raws = [raw for raw in _samples() if raw[0] == version]
        for start in range(0, len(raws), 8):
            yield b"".join(_as_step(number, raw) for raw in raws[start : start + 8])
    flood = _as_step(0, encode(Envelope(OFP13, 1, _FLOOD)))
    for start in range(0, len(FRAMES), 4):
        frames = b"".join(
            bytes((Step.FRAME | port << 4,)) + sized(data) for port, data in enumerate(FRAMES[start:][:4])
        )
        yield flood + frames + bytes((Step.TIME, 8)) + frames
    for rows in _LIVES:
        yield b"".join(bytes(row) for row in rows)


_FLOOD = FlowMod(FlowModCommand.ADD, instructions=(ApplyActions((Output(FLOOD), Output(CONTROLLER))),))
_LIVES = (
    ((Step.READING | 2 << 4,), (Step.HANG_UP,), (Step.TIME, 15), (Step.HANG_UP,), (Step.PORT, 0), (Step.PORT, 1),
     (Step.TCP, 1), (Step.TIME, 2), (Step.TCP, 0), (Step.TIME, 15)),
    ((Step.RAW, 4, 4, 10, 0, 4), (Step.RAW | 1 << 4, 8, 1, 20, 0, 8, 0, 0, 0, 1)),
)  # fmt: skip
"""Peers that come and go, and rubbish."""


def _conversation(text: bytes) -> bytes:
    raws = [bytes.fromhex(line) for line in text.decode().split()]
    number = 0 if any(raw[0] == OFP13 for raw in raws) else 1
    return b"".join(_as_step(number, raw) for raw in raws)


def _samples() -> Iterable[bytes]:
    for sample in SAMPLES:
        yield from split(bytearray(encode_segments(sample)[0]))


def _as_step(number: int, raw: bytes) -> bytes:
    return bytes((Step.MESSAGE | number << 4, raw[1])) + sized(raw[8:])


WORDS = (
    *(number.to_bytes(2, "big") for number in (1, 4, 7, 8, 9, 12, 16, 24, 40, 0x19, 0x800, 0x8000, 0xFFF8, 0xFFFF)),
    *(number.to_bytes(4, "big") for number in (0x2320, 0xFFFFFF00, 0xFFFFFFFA, 0xFFFFFFFD, 0xFFFFFFFF, 0x12080800)),
    *(struct.pack("!I", row.header) for row in WIRE_FIELDS),
)
TARGET = Target(check, seeds, WORDS)
