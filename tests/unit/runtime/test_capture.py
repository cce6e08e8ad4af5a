"""``inband capture``: remarks on packets, bounded questions, and what the switch answers."""

from __future__ import annotations

import asyncio
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import pytest

from inband.control import events as ev
from inband.errors import UsageError
from inband.flow.actions import ApplyActions, Output
from inband.flow.ports import NORMAL
from inband.packet.pcapng import Direction, PcapngWriter
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.capture import decisions, session
from inband.runtime.capture.session import Capture, FileSink, Limits, TextSink
from inband.runtime.capture.source import Seen
from inband.testing import packets
from tests.unit.bridge.test_groups import Stage
from tests.unit.packet.test_pcapng import packets as packets_of

WEB = packets.tcp()
PORTS = [
    {"wanted": True, "number": 1, "name": "p1", "interface": "p1"},
    {"wanted": False, "number": 2, "name": "p2", "interface": "p2"},
    {"wanted": True, "number": 0xFFFFFFFE, "name": "br0", "interface": "br0-in"},
]


FOREVER = Limits()


class Packets:
    """A source that gives what it is told, once."""

    def __init__(self, *seen: Seen) -> None:
        self.received, self.dropped = 10, 4
        self.followed: list[set[str]] = []
        self._seen = list(seen)

    def follow(self, interfaces: Iterable[str]) -> None:
        self.followed.append(set(interfaces))

    def read(self, limit: int, _patience_s: float) -> Iterator[Seen]:
        given, self._seen = self._seen[:limit], self._seen[limit:]
        yield from given
        if not given:
            raise KeyboardInterrupt

    def count(self) -> None:
        pass


class Switch:
    """Answers questions, and notes them."""

    def __init__(self, **answer: str | None) -> None:
        self.asked: list[str] = []
        self._answer = {"comment": "verdict: output:2", "value": None, "mask": None} | answer

    def __call__(self, verb: str, arguments: Sequence[str]) -> str:
        if verb == "inband/capture":
            return json.dumps({"pid": 1, "ports": PORTS})
        self.asked += arguments[1:]
        return json.dumps([self._answer for _ in arguments[1:]])


def seen(interface: str, direction: Direction, data: bytes = WEB, time_ns: int = 0) -> Seen:
    return Seen(interface, direction, time_ns, data)


def lines(
    source: Packets, switch: Switch, limits: Limits = FOREVER, clock: Callable[[], float] = time.monotonic
) -> list[str]:
    """What a capture says as text."""
    said: list[str] = []
    run = Capture("br0", [], switch, source, TextSink(said.append), clock)
    with suppress(KeyboardInterrupt):
        run.run(limits)
    run.end()
    return said


def test_a_packet_that_came_in_has_the_decision_and_one_that_left_has_where_it_came_in() -> None:
    source = Packets(seen("p1", Direction.RECEIVED), seen("br0-in", Direction.SENT))

    said = lines(source, Switch())

    assert said[0].split()[1:4] == ["p1", "<", str(len(WEB))]
    assert [line.strip() for line in said[1::2]] == [
        "in by port 1 (p1); verdict: output:2",
        "out by port LOCAL (br0); came in by port 1 (p1); verdict: output:2",
    ]
    assert source.followed == [{"p1", "p2", "br0-in"}]


def test_a_port_that_is_not_wanted_is_followed_but_not_written() -> None:
    said = lines(Packets(seen("p2", Direction.RECEIVED), seen("p1", Direction.SENT)), Switch())

    assert len(said) == 2
    assert "came in by port 2 (p2); verdict: output:2" in said[1]


def test_an_answer_for_many_packets_is_asked_for_once() -> None:
    switch = Switch(value="1", mask="ffffffff")

    lines(Packets(*[seen("p1", Direction.RECEIVED, packets.tcp(src_port=port)) for port in range(1, 200)]), switch)

    # Of the first batch nothing is known when it is read.
    assert len(switch.asked) == session.BATCH


def test_an_answer_that_grows_old_while_packets_are_written_still_holds_for_them() -> None:
    clock = count(1000.0, 0.75)
    source = Packets(*[seen("p1", Direction.RECEIVED) for _ in range(500)])

    said = lines(source, Switch(value="1", mask="ffffffff"), clock=lambda: next(clock))

    assert len(said) == 1000
    assert "not asked" not in "".join(said)


def test_questions_are_bounded_and_what_is_not_asked_about_is_said() -> None:
    switch = Switch()
    source = Packets(*[seen("p1", Direction.RECEIVED, packets.tcp(src_port=port)) for port in range(1, 1200)])

    said = lines(source, switch)

    assert len(switch.asked) <= 2 * session.QUESTIONS_PER_S
    assert sum("not asked about: too many at a time" in line for line in said) == 1199 - len(switch.asked)


def test_a_capture_ends_after_so_many_packets() -> None:
    assert len(lines(Packets(*[seen("p1", Direction.SENT)] * 100), Switch(), Limits(count=7))) == 14


def test_a_capture_ends_after_so_long() -> None:
    assert lines(Packets(), Switch(), Limits(seconds=0.0)) == []


def test_a_file_has_the_remarks_as_comments() -> None:
    file = io.BytesIO()
    run = Capture("br0", [], Switch(), Packets(seen("p1", Direction.RECEIVED, time_ns=5)), FileSink(PcapngWriter(file)))
    with pytest.raises(KeyboardInterrupt):
        run.run(Limits())
    run.end()

    (packet,) = packets_of(file.getvalue())
    assert packet == {
        "interface": "p1",
        "time": 5,
        "data": WEB,
        "comment": "in by port 1 (p1); verdict: output:2",
        "direction": 1,
    }


# The switch's part --------------------------------------------------------------------------------------------------


class Runner:
    """A bridge that runs, as far as a capture looks at it."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.bridge = self.stage.bridge
        self.local = SimpleNamespace(pair=SimpleNamespace(inner="br0-in"))
        self.watched: list[float] = []

    def watch(self, seconds: float) -> None:
        self.watched.append(seconds)

    def decide(self, *packets: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(asyncio.run(decisions.decide(cast(BridgeRunner, self), packets, {})))
        return found

    def begin(self, *wanted: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(decisions.begin(cast(BridgeRunner, self), wanted))["ports"]
        return found


def test_a_decision_says_verdict_and_rule_and_for_which_packets_it_holds() -> None:
    runner = Runner()
    runner.stage.flow(ApplyActions((Output(NORMAL),)))

    (decided,) = runner.decide(f"1:{WEB.hex()}")

    assert decided["comment"].startswith("verdict: output:2,output:3,LOCAL; rule: table=0, priority=")
    assert int(decided["value"], 16) & ~int(decided["mask"], 16) == 0
    assert runner.watched == [decisions.WATCHED_S]
    assert len(runner.bridge.fdb) == 0, "a question teaches nothing"


def test_a_hidden_rule_is_named_with_its_letter() -> None:
    runner = Runner()
    runner.bridge.control(
        ev.RemotesChanged(added=[ev.Remote(ip_address(packets.IP_A), 6653, ev.RemoteKind.CONTROLLER)])
    )

    (decided,) = runner.decide(f"1:{packets.tcp(src_port=6653).hex()}")

    assert f"decided by: in-band rule (i) for {packets.IP_A}:6653" in decided["comment"]


@pytest.mark.parametrize("packet", ["77:00", "1:zz", "nonsense", ""])
def test_what_cannot_be_decided_about_is_said_of_that_packet_alone(packet: str) -> None:
    wrong, right = Runner().decide(packet, f"1:{WEB.hex()}")

    assert re.search("there is no port|hexadecimal|is not a port", wrong["comment"])
    assert right["comment"].startswith("verdict: drop")


def test_too_many_packets_at_a_time_are_refused() -> None:
    with pytest.raises(UsageError, match="64 at most"):
        Runner().decide(*["1:00"] * 65)


def test_ports_are_wanted_by_name_or_number() -> None:
    runner = Runner()

    ports = runner.begin("p1", "2")

    assert {port["name"] for port in ports if port["wanted"]} == {"p1", "p2"}
    assert {port["name"]: port["interface"] for port in ports}["pLOCAL"] == "br0-in"
    assert all(port["wanted"] for port in runner.begin())
    with pytest.raises(UsageError, match="there is no port 'p9'"):
        runner.begin("p9")
