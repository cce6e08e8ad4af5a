"""Two bridges that are told the same in the same order, one of which asks the pipeline about every packet.

That is the one on the simulated datapath; the other, on the eBPF datapath, has the kernel decide. What leaves which
port must be the same after every step, and what flows, tables, groups and meters have counted at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass

from pyroute2 import netns

from inband.agent.connection import Kind
from inband.bridge.bridge import Bridge
from inband.flow.fields import FIELDS
from inband.flow.flow import Flow
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import Envelope, FlowMod, Message, PortMod
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP13, FlowModCommand, PortConfig
from tests.packets.columns import PORTS, Column, ebpf, simulated
from tests.packets.test_random_tables import FAR_FUTURE, counted, put_a_bridge_on
from tests.property.test_pipeline_cache import MAC_LOCAL, POOL, Chained

_HOSTS = [f"02:00:00:00:01:{number:02x}" for number in range(4)]
_ADDRESSES = (*_HOSTS, packets.MAC_A, packets.MAC_B, MAC_LOCAL, "ff:ff:ff:ff:ff:ff", "01:80:c2:00:00:05")


def _data_frames() -> list[bytes]:
    """Data among few hosts, tagged and not."""
    plain = [
        packets.udp(packets.IP_A, packets.IP_B, 5000 + at % 3, 6000, src=source, dst=to)
        for at, (source, to) in enumerate((source, to) for source in _ADDRESSES for to in _ADDRESSES)
    ]
    six = [packets.tcp(packets.IP6_A, packets.IP6_B, src=source, dst=_HOSTS[0]) for source in _HOSTS]
    tagged = [packets.vlan(frame, vid) for frame in plain[::3] for vid in (0, 1, 7)]
    return [*plain, *six, *tagged, packets.ethernet(0x88B6, b"data"), packets.ethernet(0x88B5, b"data")]


def _few_hosts() -> list[bytes]:
    """Data among two hosts, or to anybody, in two VLANs and in none."""
    pairs = [(source, to) for source in _HOSTS[:2] for to in (*_HOSTS[:2], "ff:ff:ff:ff:ff:ff") if source != to]
    plain = [packets.udp(packets.IP_A, packets.IP_B, 5000, 6000, src=source, dst=to) for source, to in pairs]
    return [*plain, *(packets.vlan(frame, vid) for frame in plain for vid in (1, 7))]


def _many_flows() -> list[bytes]:
    """Each another flow, of all kinds."""
    four = [made(src_port=5000 + at, dst_port=6000) for made in (packets.tcp, packets.udp) for at in range(12)]
    more = [packets.sctp(src_port=5000 + at) for at in range(4)]
    hosts = [packets.icmp_echo(packets.IP_A, f"10.0.0.{at}") for at in range(9, 13)]
    six = [packets.tcp(f"2001:db8::{at}", packets.IP6_B) for at in range(1, 9)]
    far = [packets.udp(packets.IP6_A, f"2001:db8:{at}::1", 5000 + at, 6000) for at in range(1, 9)]
    plain = [packets.ethernet(0x88B6, b"data", src=f"02:00:00:00:02:{at:02x}") for at in range(8)]
    return [*four, *more, *hosts, *six, *far, *plain, *(packets.vlan(frame, 7, 3) for frame in (*four[::4], *six[::4]))]


FRAMES = [*POOL, *((parse(data, port), Frame(data)) for data in _data_frames() for port in PORTS)]
FIRST_OF_FEW = len(FRAMES)
FRAMES += [(parse(data, port), Frame(data)) for data in _few_hosts() for port in PORTS]
FIRST_OF_MANY = len(FRAMES)
FRAMES += [(parse(data, 1), Frame(data)) for data in _many_flows()]


@dataclass(frozen=True)
class Arrives:
    """A frame arrives; decisions that were cached before may be forgotten first."""

    frame: int
    forget: bool


@dataclass(frozen=True)
class Said:
    """A controller says something; the kernel's tables are brought up to date at once, or are not valid afterwards."""

    message: Message
    compiles: bool


def flow_mod(flow: Flow, *, is_added: bool = True) -> FlowMod:
    """Have a flow, or not."""
    command = FlowModCommand.ADD if is_added else FlowModCommand.DELETE_STRICT
    assert isinstance(flow.priority, OpenFlowPriority)
    return FlowMod(command, flow.match, flow.priority, flow.instructions if is_added else (), flow.table_id)


def port_mod(port: PortNo, config: PortConfig) -> PortMod:
    """Have a port configured so."""
    return PortMod(port, Mac(port & 0xFF), config, PortConfig.PORT_DOWN | PortConfig.NO_FWD | PortConfig.NO_FLOOD)


KINDS: dict[str, Callable[[], AbstractContextManager[Column]]] = {
    "simulated": simulated,
    "ebpf": lambda: ebpf(lambda: FAR_FUTURE),
}
Standing = tuple[Column, int]
"""A column, and the network namespace that it stands in."""


NO_GROUPS: tuple[list[Chained], ...] = ([], [], [])
MANY: list[Arrives | Said] = [Arrives(number, forget=True) for number in range(FIRST_OF_MANY, len(FRAMES))]
"""Each frame of many hosts, decided anew."""


def kernel_counters(columns: dict[str, Standing]) -> dict[str, int]:
    """What the eBPF datapath has counted."""
    return dict(columns["ebpf"][0].datapath.counters())


@contextmanager
def both() -> Iterator[dict[str, Standing]]:
    """One of each kind."""
    with ExitStack() as stack:
        made: dict[str, Standing] = {}
        for name, make in KINDS.items():
            column = stack.enter_context(make())
            namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            stack.callback(os.close, namespace)
            made[name] = (column, namespace)
        yield made


def counts_of(bridge: Bridge) -> list[tuple[int, int]]:
    """What flows, groups, meters and tables have counted."""
    return [*counted(bridge), *((table.lookups, table.matched) for table in map(bridge.tables.__getitem__, range(3)))]


def _forget_cached(bridge: Bridge) -> None:
    tables = bridge.megaflows.tables
    decides = tables is not None and tables.is_valid
    bridge.megaflows.everything_changed()
    bridge.megaflows.settle()
    if tables is not None and decides:
        tables.finish(lambda: 1.0)


def _play(bridge: Bridge, column: Column, script: list[Arrives | Said]) -> Iterator[dict[PortNo, list[bytes]]]:
    tables = bridge.megaflows.tables
    if tables is not None:
        tables.finish(lambda: 1.0)
    for step in script:
        if isinstance(step, Arrives):
            if step.forget:
                _forget_cached(bridge)
            key, frame = FRAMES[step.frame]
            column.arrive(PortNo(FIELDS["in_port"].get(key)), frame)
            yield column.left()
            continue
        bridge.receive(1, [Envelope(OFP13, 1, deepcopy(step.message))])
        bridge.take(1)
        if tables is not None and step.compiles:
            tables.finish(lambda: 1.0)


def compare(
    columns: dict[str, Standing],
    visible: list[Flow],
    groups: tuple[list[Chained], ...],
    script: list[Arrives | Said],
) -> None:
    """Play a script on both."""
    left: dict[str, list[dict[PortNo, list[bytes]]]] = {}
    counts: dict[str, list[tuple[int, int]]] = {}
    for name, (column, namespace) in columns.items():
        netns.setns(namespace)
        bridge = put_a_bridge_on(column, deepcopy(visible), groups)
        bridge.connect(1, Kind.CONTROLLER, OFP13)
        column.left()
        left[name] = list(_play(bridge, column, script))
        counts[name] = counts_of(bridge)

    assert left["ebpf"] == left["simulated"]
    assert counts["ebpf"] == counts["simulated"]
