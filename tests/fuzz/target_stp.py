"""BPDUs: frames to bridges, and what a spanning tree does when it hears them in any order.

Checked: a frame decodes or raises WireError; whatever is heard, each event has an end, a port sends no more than its
share, and the next deadline is in the future.
"""

from __future__ import annotations

from collections.abc import Iterable

from inband.errors import WireError
from inband.flow.ports import PortNo
from inband.stp import events as ev
from inband.stp.bpdu import Bpdu, Flag, Kind, TcnBpdu, decode, encode
from inband.stp.settings import TreeSettings
from inband.stp.spanning_tree import SpanningTree
from inband.stp.state import TX_HOLD_COUNT
from inband.stp.values import BridgeId, PriorityVector, Times
from inband.vocabulary.addresses import Mac
from inband.vocabulary.spanning_tree import StpRole
from tests.fuzz.fuzzing import Script, Target, sized

PORTS = 3
_COST = 20_000
_STEP_S = 0.1


def check(data: bytes) -> None:
    """Frames that come in on some port, each after a while."""
    script = Script(data)
    tree, now = SpanningTree(Mac(1), TreeSettings()), 0.0
    for number in range(1, PORTS + 1):
        tree.handle(ev.PortChanged(PortNo(number), True, _COST), now)
    while script:
        port, pause = PortNo(script.number() % PORTS + 1), script.number()
        now = _wait(tree, now, now + pause * _STEP_S)
        try:
            event: ev.Event = ev.BpduReceived(port, decode(script.sized()))
        except WireError:
            event = ev.RubbishReceived(port)
        _check_commands(tree.handle(event, now))
        due = tree.next_deadline()
        assert due is not None
        assert due > now


def _wait(tree: SpanningTree, now: float, end: float) -> float:
    while (due := tree.next_deadline()) is not None and due <= end:
        assert due >= now
        now = due
        _check_commands(tree.handle(ev.TimePassed(), now))
    return end


def _check_commands(commands: Iterable[ev.Command]) -> None:
    sent = [command.number for command in commands if isinstance(command, ev.SendBpdu)]
    assert all(sent.count(number) <= TX_HOLD_COUNT for number in sent)


def seeds() -> Iterable[bytes]:
    """A better root, an agreement, a notice, by RSTP and STP."""
    root = BridgeId(4096, Mac(9))
    vector = PriorityVector(root, 5, root, 0x8001)
    frames = [
        encode(Bpdu(Kind.RST, vector, Times(), Flag.PROPOSAL), Mac(9)).data,
        encode(Bpdu(Kind.RST, vector, Times(), Flag.AGREEMENT, StpRole.ROOT), Mac(9)).data,
        encode(Bpdu(Kind.CONFIG, vector, Times(1), Flag.TOPOLOGY_CHANGE), Mac(9)).data,
        encode(TcnBpdu(), Mac(9)).data,
    ]
    yield b"".join(bytes([index, 5]) + sized(frame) for index, frame in enumerate(frames))


TARGET = Target(check, seeds, words=(bytes.fromhex("0180c2000000"), bytes.fromhex("4242030000")))
