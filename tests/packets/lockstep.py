"""Very many packets on two bridges, one after the other: what the pipeline says of each comes first, then the kernel's.

As ``compared``, but a packet takes 0.3 ms and not 3. The kernel is done with a frame when the program has counted it;
only where less came out than was expected there is a pause for what may be late. So a frame too much shows with one of
the next packets. Frames are drawn by a number, many for each draw of tables and changes. Either nothing is cached when
one comes, or what was cached of those before, so that it repeats what was decided then.

The oracle caches nothing: what a cached decision does is what a new one would do, learning included. The clock of both
bridges stands still, and the kernel's, by which cached decisions confirm where hosts are, does not.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

from pyroute2 import netns

from inband.agent.connection import Kind
from inband.bridge.bridge import Bridge
from inband.flow.fields import FIELDS
from inband.flow.flow import Flow
from inband.flow.ports import PortNo
from inband.openflow.messages import Envelope
from inband.vocabulary.openflow import OFP13
from tests.packets.columns import Ebpf, Simulated
from tests.packets.compared import FIRST_OF_FEW, FIRST_OF_MANY, FRAMES, Said, Standing, counts_of
from tests.packets.test_random_tables import put_a_bridge_on
from tests.property.test_pipeline_cache import POOL, Chained

_IN_PORT, _ETH_DST = FIELDS["in_port"], FIELDS["eth_dst"]
_LATE_S, _PATIENCE_S = 0.002, 2.0
# Of control and what stays on a link a port sends up so many a second, and loses the rest: these are among the others.
_PACED_PERCENT = 3
_LINK_LOCAL = 0x0180C2000000


def _is_paced(number: int) -> bool:
    return number < len(POOL) or _ETH_DST.get(FRAMES[number][0]) & ~0xF == _LINK_LOCAL


_PACED = [number for number in range(len(FRAMES)) if _is_paced(number)]
_ALL = [number for number in range(len(FRAMES)) if not _is_paced(number)]
_FEW_HOSTS = [number for number in range(FIRST_OF_FEW, FIRST_OF_MANY) if not _is_paced(number)]


@dataclass(frozen=True)
class Many:
    """So many frames, drawn by a number: of all kinds, or of few hosts only; each decided anew, or also repeated."""

    seed: int
    count: int
    of_few: bool
    repeats: bool

    def numbers(self) -> Iterator[int]:
        """Which they are."""
        dice = random.Random(self.seed)
        usual = _FEW_HOSTS if self.of_few else _ALL
        for _ in range(self.count):
            yield dice.choice(_PACED if dice.randrange(100) < _PACED_PERCENT else usual)


def forget_decisions(bridge: Bridge) -> None:
    """Have nothing cached; what the kernel knows of flows stays valid."""
    megaflows = bridge.megaflows
    if not len(megaflows):
        return
    tables, megaflows.tables = megaflows.tables, None
    megaflows.everything_changed()
    megaflows.settle()
    megaflows.tables = tables


def compare_many(
    columns: dict[str, Standing],
    visible: list[Flow],
    groups: tuple[list[Chained], ...],
    script: Sequence[Many | Said],
) -> int:
    """Play a script on both; how many packets there were."""
    (simulated, _), (ebpf, namespace) = columns["simulated"], columns["ebpf"]
    assert isinstance(simulated, Simulated)
    assert isinstance(ebpf, Ebpf)
    netns.setns(namespace)
    oracle, bridge = (put_a_bridge_on(column, deepcopy(visible), groups) for column in (simulated, ebpf))
    for each in (oracle, bridge):
        each.connect(1, Kind.CONTROLLER, OFP13)
    assert bridge.megaflows.tables is not None
    bridge.megaflows.tables.finish(lambda: 1.0)
    for column in (simulated, ebpf):
        column.left()
    played = 0
    for step in script:
        if isinstance(step, Said):
            for each in (oracle, bridge):
                each.receive(1, [Envelope(OFP13, 1, deepcopy(step.message))])
                while each.is_busy:
                    each.work(0.0)
                each.take(1)
            if step.compiles:
                bridge.megaflows.tables.finish(lambda: 1.0)
            continue
        for number in step.numbers():
            forget_decisions(oracle)
            if not step.repeats:
                forget_decisions(bridge)
            _one(simulated, ebpf, number)
            played += 1
    assert ebpf.left() == simulated.left()  # nothing more
    assert counts_of(bridge) == counts_of(oracle)
    return played


def _one(simulated: Simulated, ebpf: Ebpf, number: int) -> None:
    key, frame = FRAMES[number]
    in_port = PortNo(_IN_PORT.get(key))
    simulated.arrive(in_port, frame)
    expected = simulated.left()
    ebpf.send(in_port, frame)
    end = time.monotonic() + _PATIENCE_S
    left = ebpf.left_so_far()
    while left != expected and _may_come(left, expected) and time.monotonic() < end:
        time.sleep(_LATE_S)
        for port, more in ebpf.left_so_far().items():
            left[port] += more
    assert left == expected, f"frame {number}"


def _may_come(left: dict[PortNo, list[bytes]], expected: dict[PortNo, list[bytes]]) -> bool:
    """Whether what is missing may be late: what has come is the beginning of what is to come."""
    return all(expected[port][: len(frames)] == frames for port, frames in left.items())
