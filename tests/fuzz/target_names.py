"""The resolver of remotes' names: servers that answer anything at any time, channels that come and go.

Checked: nothing is raised; questions under way and addresses of a name are bounded; the resolver comes to rest; a
question that nobody waits for any more is forgotten once; an address that a channel stands to is not taken away.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from inband.control import name_events as ev
from inband.control.name_events import KnownAddress
from inband.control.names import MAX_HELD, MAX_QUESTIONS
from inband.packet.dns import MAX_ADDRESSES
from inband.vocabulary.addresses import IpAddress, parse_ip
from tests.fuzz.fuzzing import Script, Target, sized
from tests.unit.control.names_scene import S1, S2, Scene, reply

NAMES = ("ctl.example", "a.example", "b.example")
SERVERS: tuple[tuple[IpAddress, ...], ...] = ((S1,), (S1, S2), (S2, S1), ())
_HEADER_BYTES = 12


class Step(IntEnum):
    """What happens next."""

    ANSWER = 0
    RUBBISH = 1
    TIME = 2
    FAILURE = 3
    CHANNELS = 4
    WANT = 5
    NETWORK = 6
    SERVERS = 7
    MEMORY = 8


_KEEPS_WHAT_IS_IN_USE = (Step.ANSWER, Step.RUBBISH, Step.TIME, Step.FAILURE, Step.NETWORK)
# Longer than a pause between questions, a short time to live, what is held (HOLD_S).
_PAUSES_S = (0.1, 0.3, 1.0, 4.0, 11.0, 61.0, 400.0, 4000.0)
_LATE_S = 2000.0  # no two pauses of an hour, in which thousands of questions are asked


def check(data: bytes) -> None:
    """Play the steps."""
    scene, script = Scene(name=NAMES[0]), Script(data)
    connected: frozenset[IpAddress] = frozenset()
    while script:
        before = _known(scene)
        kind = Step(script.number() % len(Step))
        if kind is Step.CHANNELS:
            connected = _change_channels(scene, script)
        else:
            _step(scene, script, kind)
        _check_bounds(scene)
        if kind in _KEEPS_WHAT_IS_IN_USE:
            lost = connected & before - _known(scene)
            assert not lost, f"{lost} is in use, and was taken away"


def _step(scene: Scene, script: Script, kind: Step) -> None:
    match kind:
        case Step.ANSWER | Step.RUBBISH:
            tickets = list(scene.asked)
            if tickets:
                ticket = tickets[script.number() % len(tickets)]
                message = scene.asked[ticket].message
                data = _answer_to(message, script) if kind is Step.ANSWER else script.sized()
                scene.tell(ev.AnswerReceived(ticket, data))
        case Step.TIME:
            pause_s = _PAUSES_S[script.number() % len(_PAUSES_S)]
            scene.wait(pause_s if scene.now < _LATE_S else 0.0)
        case Step.FAILURE:
            scene.tell(ev.AskFailed(next(iter(scene.asked), 0), "Connection refused"))
        case Step.WANT:
            chosen = script.number()
            scene.tell(ev.NamesWanted(frozenset(name for bit, name in enumerate(NAMES) if chosen >> bit & 1)))
        case Step.NETWORK:
            scene.tell(ev.NetworkChanged())
        case Step.SERVERS:
            scene.tell(ev.ServersFound(SERVERS[script.number() % len(SERVERS)]))
        case Step.MEMORY | Step.CHANNELS:
            address = parse_ip("192.0.2.77")
            scene.tell(ev.Remembered(NAMES[0], (KnownAddress(address, scene.now + script.number(), S1),)))


def _answer_to(message: bytes, script: Script) -> bytes:
    """The question again, with flags, counts and records from the script."""
    flags_and_counts = b"\x81\x80\0\1" + script.take(1).rjust(2, b"\0") + script.take(1).rjust(2, b"\0") + b"\0\0"
    return message[:2] + flags_and_counts + message[_HEADER_BYTES:] + script.sized()


def _change_channels(scene: Scene, script: Script) -> frozenset[IpAddress]:
    known = sorted(_known(scene), key=str)
    chosen = script.number(2)
    connected = frozenset(address for bit, address in enumerate(known) if chosen >> bit & 1)
    failing = frozenset(name for bit, name in enumerate(NAMES) if chosen >> 8 + bit & 1)
    scene.tell(ev.ChannelsChanged(connected, failing))
    return connected & _known(scene)


def _known(scene: Scene) -> frozenset[IpAddress]:
    return frozenset(known.address for status in scene.resolver.names() for known in status.addresses)


def _check_bounds(scene: Scene) -> None:
    assert len(scene.asked) <= MAX_QUESTIONS
    for status in scene.resolver.names():
        assert len(status.addresses) <= 2 * MAX_ADDRESSES + MAX_HELD + MAX_ADDRESSES
    due = scene.resolver.next_deadline()
    assert due is None or due > scene.now - 1, "it was to ask long ago"


def seeds() -> Iterable[bytes]:
    """Answers with an address, an alias, none; silence; a server that fails; a name that is in use and moves."""
    yield (
        _good_answer("192.0.2.1")
        + bytes((Step.TIME, 6, Step.CHANNELS, 0, 1))
        + _good_answer("192.0.2.2")
        + bytes((Step.TIME, 7))
    )
    yield bytes((
        Step.WANT, 7, Step.TIME, 3, Step.NETWORK, Step.SERVERS, 1, Step.FAILURE, Step.TIME, 5, Step.SERVERS, 3,
        Step.SERVERS, 2, Step.TIME, 6, Step.WANT, 0,
    ))  # fmt: skip
    yield (
        bytes((Step.MEMORY, 9, Step.CHANNELS, 1, 1, Step.TIME, 5, Step.RUBBISH, 0))
        + sized(bytes(12))
        + bytes((Step.TIME, 7))
    )
    alias = b"\xc0\x0c\0\5\0\1\0\0\0\x09\0\4\1a\xc0\x10" + b"\1a\xc0\x10\0\1\0\1\0\0\0\5\0\4\xc0\0\2\1"
    yield bytes((Step.ANSWER, 1, 2, 0)) + sized(alias) + bytes((Step.TIME, 4))
    yield bytes((Step.ANSWER, 0, 0, 1)) + sized(b"\xc0\x10\0\6\0\1\0\0\0\x09\0\x16\0\0" + bytes(20))


def _good_answer(address: str) -> bytes:
    scene = Scene(name=NAMES[0])
    number = next(at for at, ask in enumerate(scene.asked.values()) if ask.rdtype == 1)
    ask = list(scene.asked.values())[number]
    return bytes((Step.ANSWER, number, 1, 0)) + sized(reply(ask, address)[len(ask.message) :])


WORDS = (b"\xc0\x0c\0\1\0\1\0\0\0\x09\0\4", b"\xc0\x0c\0\x1c\0\1\0\0\0\x09\0\x10", b"\xc0\x0c\0\5\0\1")
TARGET = Target(check, seeds, WORDS, max_bytes=1200)
