"""Access, trunk and native ports beside Open vSwitch: the same frames in, the same frames out, tag by tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from lab import ovs
from lab.inband import OnDatapath
from lab.journal import until
from lab.net import Lab
from lab.switch import Switch, SwitchMaker
from lab.topology import BridgePlan, Site
from lab.wire import Wire

pytestmark = pytest.mark.root

PORTS = ("p1", "p2", "p3", "p4")
MAKERS: dict[str, SwitchMaker] = {
    "userspace": OnDatapath("userspace"),
    "ebpf": OnDatapath("ebpf"),
    "Open vSwitch": ovs.OvsSwitch,
}
Vlans = tuple[Mapping[str, str], ...]
NATIVE = {"tag": "1", "trunks": "10+20"}
CASES: dict[str, Vlans] = {
    "access ports, a trunk, and a port that is neither": ({"tag": "10"}, {"tag": "10"}, {"trunks": "10+20"}, {}),
    "native VLANs": (
        {**NATIVE, "vlan_mode": "native-untagged"},
        {**NATIVE, "vlan_mode": "native-tagged"},
        {"tag": "1"},
        {"trunks": "1+10+20"},
    ),
    "VLAN 0 on trunks": (
        {"tag": "20"},
        {"vlan_mode": "trunk"},
        {"tag": "10", "vlan_mode": "native-untagged"},
        {"trunks": "0+10"},
    ),
    "an access port of VLAN 0": ({"tag": "0"}, {"tag": "0"}, {"trunks": "10"}, {"vlan_mode": "trunk"}),
}
# (VLAN id, priority); None: no tag.
TAGS = (None, (0, 5), (1, 0), (10, 3), (20, 0), (30, 0))
BROADCAST, KNOWN = bytes([255] * 6), bytes.fromhex("02000000aa04")


@dataclass
class Bench:
    """A switch with a learning policy whose ports' far ends are wires."""

    switch: Switch
    wires: tuple[Wire, ...]

    def exchange(self, frames: list[tuple[int, bytes]]) -> list[str]:
        """What leaves which port how when these frames arrive, in words."""
        self._take(0.0)
        for port, sent in frames:
            self.wires[port].send(sent)
        return sorted(f"{words(taken)} at {PORTS[port]}" for port, taken in self._take(0.5))

    def _take(self, wait_s: float) -> list[tuple[int, bytes]]:
        waits = (wait_s, 0.0, 0.0, 0.0)  # what the others got meanwhile waits
        taken = [(port, frame) for port, wire in enumerate(self.wires) for frame in wire.take(waits[port])]
        return [(port, frame) for port, frame in taken if b"\x88\xb6" in frame[12:18]]

    def configure(self, vlans: Vlans) -> None:
        for port, words in zip(PORTS, vlans, strict=True):
            self.switch.set_vlans(port, words)


@contextmanager
def laid(maker: SwitchMaker) -> Iterator[Bench]:
    """A switch with four ports, alone in its namespace."""
    with Lab() as lab, ExitStack() as stack:
        machine, far = lab.namespace("sw"), lab.namespace("far")
        for port in PORTS:
            lab.link(machine, port, far, port)
        switch = maker(lab, Site(machine, (BridgePlan("br0", PORTS),)))
        switch.start(connect=False)
        stack.callback(switch.stop)
        switch.ofctl("add-flow", "priority=1,actions=NORMAL")
        yield Bench(switch, tuple(lab.hold(Wire(far, port)) for port in PORTS))


def words(taken: bytes) -> str:
    """Where a frame came in with which tag, and with which it left."""
    tag = tuple(divmod(int.from_bytes(taken[14:16], "big"), 1 << 13))[::-1] if taken[12:14] == b"\x81\x00" else None
    assert taken.endswith(b"\x88\xb6" + bytes([taken[11], taken[10]]) + bytes(50))
    return f"from {PORTS[taken[11]]} with {TAGS[taken[10]]}: with {tag}"


def frame(destination: bytes, port: int, number: int, tag: tuple[int, int] | None) -> bytes:
    source = bytes.fromhex("02000000") + bytes([number, port])
    inside = b"\x88\xb6" + bytes([port, number]) + bytes(50)
    vlan = b"" if tag is None else b"\x81\x00" + (tag[1] << 13 | tag[0]).to_bytes(2, "big")
    return destination + source + vlan + inside


def frames(destination: bytes) -> list[tuple[int, bytes]]:
    """Every tag on every port, each from a host of its own."""
    return [(port, frame(destination, port, number, tag)) for port in range(4) for number, tag in enumerate(TAGS)]


@pytest.fixture(scope="module")
def theirs() -> dict[str, list[list[str]]]:
    """What Open vSwitch does in each case."""
    with laid(MAKERS["Open vSwitch"]) as bench:
        return {name: observed(bench, vlans) for name, vlans in CASES.items()}


def observed(bench: Bench, vlans: Vlans) -> list[list[str]]:
    """Floods twice (decided, then cached), then packets to a host that was heard on the last port untagged."""
    bench.configure(vlans)
    floods = [bench.exchange(frames(BROADCAST)) for _ in range(2)]
    bench.wires[3].send(BROADCAST + KNOWN + b"\x88\xb6" + bytes(50))
    bench.wires[0].take(0.2)
    return [*floods, bench.exchange(frames(KNOWN)[:18])]


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_the_same_frames_leave_the_same_ports_with_the_same_tags(
    datapath: str, theirs: dict[str, list[list[str]]]
) -> None:
    with laid(MAKERS[datapath]) as bench:
        for name, vlans in CASES.items():
            for ours, expected in zip(observed(bench, vlans), theirs[name], strict=True):
                assert (name, ours) == (name, expected)


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_a_port_that_changes_its_vlan_is_in_the_new_one_with_the_next_frame_and_flows_by_number_do_not_care(
    datapath: str,
) -> None:
    with laid(MAKERS[datapath]) as bench:
        bench.configure(({"tag": "10"}, {"tag": "10"}, {"tag": "20"}, {"tag": "20"}))
        question = [(0, frame(BROADCAST, 0, 1, TAGS[1]))]
        assert bench.exchange(question) == ["from p1 with (0, 5): with None at p2"]

        bench.switch.set_vlans("p3", {"tag": "10"})
        bench.switch.set_vlans("p2", {"tag": "20"})
        assert bench.exchange(question) == ["from p1 with (0, 5): with None at p3"]

        bench.switch.ofctl("add-flow", "priority=2,in_port=1,actions=output:4")
        assert until(lambda: bench.exchange(question) == ["from p1 with (0, 5): with (0, 5) at p4"], 3.0)
