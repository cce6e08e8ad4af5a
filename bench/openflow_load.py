"""What the OpenFlow figures are taken with: flows, tables and frames by number, and a bridge without a kernel."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from ipaddress import IPv4Address

from inband.agent.connection import Kind
from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.datapath.simulated import SimulatedDatapath
from inband.flow.actions import ApplyActions, GotoTable, Output
from inband.flow.fields import FIELDS, FlowKey, make_key
from inband.flow.flow import Flow
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import Envelope, FlowMod
from inband.pipeline.fdb import Fdb
from inband.pipeline.ports import PortTable, SwitchPort
from inband.pipeline.translate import Pipeline
from inband.table.table_set import TableSet
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import ETH_IPV4
from inband.vocabulary.openflow import OFP13, FlowModCommand
from lab.silent_host import SilentHost

IN_PORT, OUT_PORT = PortNo(1), PortNo(2)
_OUTPUT = (ApplyActions((Output(OUT_PORT),)),)
_NETWORK = 10 << 24
# 65,536 hosts of 10.0.0.0/8, spread: the multiplier is odd, so that no two numbers give one host.
_SPREAD, _HOSTS = 40503, 1 << 16


def _mask(**parts: int) -> int:
    return sum(bits << FIELDS[name].shift for name, bits in parts.items())


_ALL, _MAC = 0xFFFFFFFF, 0xFFFFFFFFFFFF
# What such tables are made of: hosts, routes of several lengths, pairs of networks, services.
_BY_ADDRESS = [_mask(eth_type=0xFFFF, ipv4_dst=_ALL << 32 - length & _ALL) for length in (16, 20, 24, 26, 28, 30, 32)]
_MASKS = (
    _mask(eth_dst=_MAC),
    _mask(eth_src=_MAC),
    _mask(in_port=_ALL, eth_dst=_MAC),
    _mask(in_port=_ALL, eth_src=_MAC, eth_dst=_MAC),
    *_BY_ADDRESS,
    *(mask | _mask(ip_proto=0xFF, tcp_dst=0xFFFF) for mask in _BY_ADDRESS[2:]),
    *(mask | _mask(ipv4_src=_ALL) for mask in _BY_ADDRESS[3:]),
)
MASKS = len(_MASKS)


def host(number: int) -> int:
    """An address of 10.0.0.0/8 for a number; numbers below 65,536 have different ones."""
    return _NETWORK | number * _SPREAD % _HOSTS


def additions(count: int) -> list[FlowMod]:
    """As many different flows of one mask: packets to ``host(number)`` leave by OUT_PORT."""
    return [
        FlowMod(
            FlowModCommand.ADD,
            Match.of(in_port=IN_PORT, eth_type=ETH_IPV4, ipv4_dst=_NETWORK | number // _HOSTS << 16 | host(number)),
            OpenFlowPriority(100),
            _OUTPUT,
        )
        for number in range(count)
    ]


def frame(number: int) -> bytes:
    """A small UDP frame to ``host(number)``."""
    return packets.udp("10.255.0.1", str(IPv4Address(host(number))), 4000, 5000, bytes(18))


def flows(count: int, seed: int = 1, ports: int = 4) -> tuple[list[Flow], list[FlowKey]]:
    """Flows over MASKS masks of equal share, priorities in any order, and a packet for each."""
    dice = random.Random(seed)
    made, keys = [], []
    for number in range(count):
        key = make_key(
            in_port=dice.randrange(1, ports + 1),
            eth_src=0x020000000000 | dice.getrandbits(32),
            eth_dst=0x020000000000 | dice.getrandbits(32),
            eth_type=ETH_IPV4,
            ip_proto=6,
            ipv4_src=dice.getrandbits(32),
            ipv4_dst=dice.getrandbits(32),
            tcp_src=dice.getrandbits(16),
            tcp_dst=dice.getrandbits(16),
        )
        mask = _MASKS[number % MASKS]
        made.append(Flow(Match(key & mask, mask), OpenFlowPriority(dice.randrange(1, 1000)), _OUTPUT))
        keys.append(key)
    return made, keys


def flows_in_tables(count: int, tables: int) -> tuple[list[Flow], list[FlowKey]]:
    """So many flows over some tables, and for each but table-miss flows a packet of port 1.

    One table has flows of all MASKS masks. Of more tables each has flows of three of them, and one that leads on.
    """
    leads_on = [Flow(ANY, OpenFlowPriority(0), (GotoTable(table + 1),), table) for table in range(tables - 1)]
    made, keys = flows(count - len(leads_on), ports=1)
    if tables == 1:
        return made, keys
    placed = []
    for number, (flow, key) in enumerate(zip(made, keys, strict=True)):
        turn, table = divmod(number, tables)
        mask = _MASKS[(3 * table + turn % 3) % MASKS]
        placed.append(Flow(Match(key & mask, mask), flow.priority, flow.instructions, table))
    return leads_on + placed, keys


def frame_of(key: FlowKey) -> bytes:
    """The frame of one of these packets."""
    got = {name: FIELDS[name].get(key) for name in ("eth_src", "eth_dst", "ipv4_src", "ipv4_dst", "tcp_src", "tcp_dst")}
    src_ip, dst_ip = (str(IPv4Address(got[name])) for name in ("ipv4_src", "ipv4_dst"))
    src, dst = (str(Mac(got[name])) for name in ("eth_src", "eth_dst"))
    return packets.tcp(src_ip, dst_ip, got["tcp_src"], got["tcp_dst"], src=src, dst=dst)


def table_set(table: Iterable[Flow]) -> TableSet:
    """Tables, the first of which holds these flows."""
    tables = TableSet()
    for flow in table:
        tables.add(flow, 0.0)
    return tables


def pipeline(table: Iterable[Flow]) -> Pipeline:
    """The way through a table, for packets of four ports."""
    ports = PortTable()
    for number in range(1, 5):
        ports.put(SwitchPort(PortNo(number), f"eth{number}", Mac(0x020000000000 | number)))
    return Pipeline(table_set(table), ports, Fdb())


def bridge(table: Iterable[FlowMod]) -> SimulatedDatapath:
    """A bridge on the simulated datapath with these flows, which throws away what it sends."""
    datapath = SimulatedDatapath(clock=time.monotonic, transmit=lambda port, frame, queue: None)
    made = Bridge(BridgeSettings("br0", Identity(1)), datapath, SilentHost(), time.monotonic, lambda: None)
    datapath.client = made
    for number in (IN_PORT, OUT_PORT):
        datapath.add_port(number, f"eth{number}")
        made.add_port(number, f"eth{number}", Mac(0x020000000000 | number))
    made.connect(1, Kind.MANAGEMENT, OFP13)
    made.receive(1, (Envelope(OFP13, 1, flow_mod) for flow_mod in table))
    return datapath
