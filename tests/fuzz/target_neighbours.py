"""What neighbours send: any bytes at any time, hellos that were changed a little, links that go and come.

Checked: nothing is raised; what is read is written the same again; commands and memory stay bounded; the deadline is
not in the past after it was served.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from enum import IntEnum
from ipaddress import ip_address
from random import Random
from typing import TypeVar

from inband.errors import WireError
from inband.fabric import events as ev
from inband.fabric import hello as hello_kinds
from inband.fabric import map_message, need
from inband.fabric.changes import MAX_ORIGINS
from inband.fabric.description import ControlWay, DescribedLink, Description
from inband.fabric.description import encode as encode_description
from inband.fabric.distances import MAX_IN_ALL, Distance, Station
from inband.fabric.fabric import Fabric
from inband.fabric.hello import MAX_CHANGES, Change, Heard, Hello, body_of, decode, encode, frame, update_kind
from inband.fabric.keys import Hashed, NetworkKeys
from inband.fabric.link import MAX_WAITING
from inband.fabric.map_message import NodeRecord
from inband.fabric.need import Need, NeedKind
from inband.fabric.network_map import MAX_NODES
from inband.fabric.update import Update
from inband.fabric.update import decode as decode_update
from inband.fabric.update import encode as encode_update
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac
from tests.fuzz.fuzzing import Script, Target, sized

PORTS = (PortNo(1), PortNo(2))
MAC = Mac(0x02000000000A)
KEY = NetworkKeys.of(b"k" * 32)
STATIONS = (Station((4, 7), MAC), Station((6, 8), MAC))
WAYS = (ControlWay(ip_address("10.0.0.1"), True, 1, (2,)), ControlWay(ip_address("fd00::1"), False))
_KEYS = (None, KEY, NetworkKeys.of(b"o" * 32), NetworkKeys.of(b"o" * 32, b"k" * 32))
_PAUSES_S = (0.0, 0.001, 0.02, 0.07, 1.0, 5.0, 3600.0, -10.0)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Step(IntEnum):
    """What happens next."""

    FRAME = 0
    BODY = 1
    LINK = 2
    TIME = 3
    CONTROL = 4
    KEYS = 5
    SIGNED = 6
    STATIONS = 7
    DESCRIBED = 8


def check(data: bytes) -> None:
    """Play the steps."""
    script, fabric, now = Script(data), Fabric(1, Random(1)), 100.0
    for port in PORTS:
        fabric.handle(ev.PortChanged(port, True, MAC), now)
    while script:
        step, port = Step(script.number() % len(Step)), PORTS[script.number() % 2]
        if step is Step.TIME:
            now += _PAUSES_S[script.number() % len(_PAUSES_S)]
        commands = fabric.handle(_event(step, port, script), now)
        assert len(commands) <= 8 * (len(PORTS) + MAX_CHANGES)
        assert fabric.ways is None or fabric.ways.distances.records <= MAX_IN_ALL
        assert fabric.map is None or len(fabric.map.records) <= MAX_NODES
        due = fabric.next_deadline()
        assert step is not Step.TIME or due is None or due > now - 1e-9
        assert fabric.changes.origins <= MAX_ORIGINS
        assert all(len(link.waiting) <= MAX_WAITING for link in fabric.links.values())


def _event(step: Step, port: PortNo, script: Script) -> ev.Event:
    match step:
        case Step.FRAME:
            return ev.FrameReceived(port, _read(script.sized()))
        case Step.BODY:
            return ev.FrameReceived(port, _read(frame(script.sized(), MAC)))
        case Step.LINK:
            return ev.PortChanged(port, bool(script.number() & 1), MAC)
        case Step.CONTROL:
            return ev.ControlPortsChanged(frozenset(PORTS[: script.number() % 3]))
        case Step.KEYS:
            return ev.KeysChanged(_KEYS[script.number() % len(_KEYS)])
        case Step.SIGNED:
            return ev.FrameReceived(port, _read(frame(KEY.sign(script.sized(), MAC), MAC)))
        case Step.STATIONS:
            return ev.StationsProven(frozenset(STATIONS[: script.number() % 3]))
        case Step.DESCRIBED:
            return ev.ControlDescribed(f"s{script.number()}", WAYS[: script.number() % 3])
        case Step.TIME:
            return ev.TimePassed()


def _read(data: bytes) -> bytes:
    """The frame; what can be read of it is written the same again."""
    try:
        body = body_of(data)
        hello = None if body is None else decode(body)
        assert body is None or KEY.look(body, MAC.packed) in Hashed
    except WireError:
        return data
    kind = update_kind(data)
    if body is not None and kind is not None:
        match kind:
            case hello_kinds.UPDATE:
                _read_told(body, decode_update, encode_update)
            case hello_kinds.NEEDS:
                _read_told(body, need.decode, need.encode)
            case _:
                _read_told(body, map_message.decode, map_message.encode)
    elif hello is not None:
        assert decode(encode(hello)) == hello
    return data


def _read_told(body: bytes, read: Callable[[bytes], Update[K, V]], write: Callable[[Update[K, V]], bytes]) -> None:
    try:
        told = read(body)
    except WireError:
        return
    assert read(write(told)) == told


def seeds() -> Iterable[bytes]:
    """A neighbour that is found, tells of changes, falls silent and comes back."""
    boot = Fabric(1, Random(1)).boot
    found = [Hello(2, 9, 1, number, 20, 20, Heard(boot, 1, number)) for number in (1, 2)]
    changed = Hello(2, 9, 1, 3, 20, 20, Heard(boot, 1, 2), MAC, (), (Change(5, 5, 1, 9), Change(6, 6, 2, 0)))
    row = [bytes((Step.BODY, 0)) + sized(encode(each)) for each in (*found, changed)]
    yield b"".join((bytes((Step.CONTROL, 0, 2)), *row, bytes((Step.TIME, 0, 3)), row[2], bytes((Step.TIME, 0, 6))))
    signed = [bytes((Step.SIGNED, 0)) + sized(encode(each)) for each in (*found, changed)]
    yield b"".join((bytes((Step.KEYS, 0, 1)), *signed, bytes((Step.TIME, 0, 2)), row[0], bytes((Step.KEYS, 0, 2))))
    asked = Update(2, 9, 1, 1, boot, 1, 1, records=tuple((each, Distance(3, 1)) for each in STATIONS))
    again = Update(2, 9, 1, 2, boot, 2, 1, 1, 1, ((STATIONS[0], Distance(3, 0xFFFF)),))
    told = [bytes((Step.SIGNED, 0)) + sized(encode_update(each)) for each in (asked, again)]
    needs = [(Need(NeedKind.NEXT_HOP, (4, 9)), Distance(3, 1)), (Need(NeedKind.CLIENT, (0, 9)), Distance(3, 70))]
    needed = Update(2, 9, 1, 1, boot, 1, 1, records=tuple(needs))
    yield b"".join((bytes((Step.KEYS, 0, 1)), *signed[:2], bytes((Step.SIGNED, 0)), sized(need.encode(needed))))
    wait = bytes((Step.TIME, 0, 5))
    yield b"".join((bytes((Step.KEYS, 0, 1)), *signed[:2], told[0], wait, signed[2], *told, bytes((Step.TIME, 0, 3))))
    body = encode_description(Description("s", (), (DescribedLink(1, 2, 3),), WAYS))
    nodes = ((2, NodeRecord(3, body)), (1, NodeRecord(9, b"")), (4, NodeRecord(1, b"\xc8\1x")))
    maps = [
        bytes((Step.SIGNED, 0)) + sized(map_message.encode(Update(2, 9, 1, number, boot, 1, 1, records=nodes[:number])))
        for number in (1, 3)
    ]
    described = bytes((Step.DESCRIBED, 0, 1, 2))
    yield b"".join((bytes((Step.KEYS, 0, 1)), *signed[:2], maps[0], wait, described, maps[1], wait, maps[0]))
    yield bytes((Step.FRAME, 1)) + sized(frame(encode(changed), MAC)) + bytes((Step.LINK, 1, 0, Step.LINK, 1, 1))
    yield bytes((Step.FRAME, 0)) + sized(frame(b"inbN\2" + bytes(60), MAC)) + bytes((Step.TIME, 0, 7, Step.TIME, 0, 4))


WORDS = (
    b"inbN\1\1",
    b"inbN\1\3",
    b"inbN\1\4",
    b"\6\x11",
    b"\1\x0e",
    b"\2\6",
    b"\3\4",
    b"\4\x10",
    b"\5\x11",
    b"\xff\x0c",
    b"\x88\xb5",
    b"\x08\x10",
)
TARGET = Target(check, seeds, WORDS, max_bytes=1500)
