"""Watching a switch that runs: captures of both directions with their reasons, on both datapaths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.inband import COMMAND
from lab.journal import until
from lab.net import Lab
from tests.system.switch_rig import Rig, one_line
from tests.unit.packet.test_pcapng import packets

pytestmark = pytest.mark.root


@pytest.fixture(scope="module", params=["ebpf", "userspace"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with Lab("iwt") as lab:
        made = Rig(lab)
        options = ("--bridge", "br0", "--port", "p1", "--port", "p2", "--address", "10.0.0.1/24")
        made.start(*options, "--datapath", request.param, "--peer-redirect", "on")
        made.h1.run("ping", "-c", "1", "-W", "2", "10.0.0.12")
        yield made


def captured(rig: Rig, file: Path, *options: str) -> list[dict[str, object]]:
    """The packets of a capture during which h1 pings h2 until it has ended."""
    ping = rig.h1.start("ping", "-i", "0.05", "10.0.0.12", label="ping")
    try:
        done = rig.inband("capture", "br0", "--write", str(file), "--seconds", "8", *options)
    finally:
        ping.stop()
    assert done.returncode == 0, done.stderr
    assert "0 lost" in done.stderr
    return packets(file.read_bytes())


def echoes(found: list[dict[str, object]]) -> list[dict[str, object]]:
    return [each for each in found if "10.0.0" not in str(each) and each["data"][23:24] == b"\x01"]  # type: ignore[index]


def test_both_directions_of_every_port_are_seen_with_verdict_and_rule(rig: Rig, tmp_path: Path) -> None:
    found = echoes(captured(rig, tmp_path / "x.pcapng", "--count", "60"))

    seen = {(each["interface"], each["direction"]) for each in found}
    assert seen == {("p1", 1), ("p1", 2), ("p2", 1), ("p2", 2)}
    for each in found:
        assert "verdict: output:" in str(each["comment"]), each
        assert "rule: table=0, priority=0" in str(each["comment"]), each


def test_one_port_alone_is_captured_and_says_where_its_packets_came_in(rig: Rig, tmp_path: Path) -> None:
    found = echoes(captured(rig, tmp_path / "x.pcapng", "--port", "p2", "--count", "20"))

    assert {each["interface"] for each in found} == {"p2"}
    sent = [str(each["comment"]) for each in found if each["direction"] == 2]
    assert len(sent) > len(found) / 3, "known unicast skips the port"
    assert all("out by port 2 (p2); came in by port 1 (p1); verdict: output:2" in comment for comment in sent)


def test_a_tag_is_where_it_was_on_the_wire(rig: Rig, tmp_path: Path) -> None:
    tagged = "ffffffffffff02000000aa01" + "81000005" + "88b5" + "55" * 46
    send = f"import socket, time; s = socket.socket(17, 3); s.bind(('eth0', 0)); f = bytes.fromhex('{tagged}')\n"
    sender = rig.h1.start("python3", "-c", f"{send}while True: s.send(f); time.sleep(0.1)", label="tagged")
    try:
        done = rig.inband("capture", "br0", "--write", str(tmp_path / "x.pcapng"), "--seconds", "2")
    finally:
        sender.stop()

    assert done.returncode == 0, done.stderr
    found = [each for each in packets((tmp_path / "x.pcapng").read_bytes()) if each["data"] == bytes.fromhex(tagged)]
    assert {(each["interface"], each["direction"]) for each in found} >= {("p1", 1), ("p2", 2)}


def test_in_band_rules_are_named_with_their_letter(rig: Rig) -> None:
    capture = rig.box.start(*capture_command(rig), label="capture")
    ping = rig.box.start("ping", "-i", "0.2", "10.0.0.11", label="ping")
    try:
        assert until(lambda: " br0 < " in capture.log.read_text(), 5.0)

        rig.box.run("ip", "neigh", "flush", "dev", "br0")

        assert until(lambda: "decided by: in-band rule (c) for" in capture.log.read_text(), 5.0)
    finally:
        ping.stop()
        capture.stop()


def test_top_shows_what_goes_through_each_port(rig: Rig) -> None:
    ping = rig.h1.start("ping", "-i", "0.05", "10.0.0.12", label="ping")
    try:
        done = rig.inband("top", "--once", "--json")
    finally:
        ping.stop()

    (bridge,) = json.loads(done.stdout)["bridges"]
    rates = {port["name"]: port["rates"] for port in bridge["ports"]}
    assert rates["p1"]["rx_packets"] > 10
    assert rates["p2"]["tx_packets"] > 10
    assert bridge["rates"]["hits"] > 20


def test_events_are_told_as_they_happen(rig: Rig) -> None:
    follow = rig.box.start(COMMAND, "events", "--run-dir", str(rig.run_dir), "--follow", "--json", label="events")

    rig.h2.run("ip", "link", "set", "eth0", "down")
    assert until(lambda: '"kind": "link-lost"' in follow.log.read_text(), 5.0)
    rig.h2.run("ip", "link", "set", "eth0", "up")

    assert until(lambda: '"kind": "link-back"' in follow.log.read_text(), 5.0)
    follow.stop()


@pytest.mark.parametrize("words", [("br9",), ("br0", "--port", "p9"), ("br0", "--write", "/nowhere/x")])
def test_what_cannot_be_captured_is_refused_in_a_line(rig: Rig, words: tuple[str, ...]) -> None:
    assert one_line(rig.inband("capture", *words))


def test_a_switch_that_ends_ends_the_capture(rig: Rig) -> None:
    assert rig.process is not None
    capture = rig.box.start(*capture_command(rig), label="capture")
    assert until(lambda: rig.counter("requests") > 0, 5.0)

    rig.process.stop()

    assert until(lambda: not capture.is_running, 10.0)


def _command(rig: Rig) -> tuple[str, ...]:
    from lab.inband import COMMAND

    return (COMMAND, "capture", "--run-dir", str(rig.run_dir), "br0")


def capture_command(rig: Rig) -> tuple[str, ...]:
    """A capture that does not end by itself."""
    return (COMMAND, "capture", "--run-dir", str(rig.run_dir), "br0")
