"""What the kernel takes to decide about first packets, with few flows and with many: by the kernel's test-run facility.

    python -m bench.kernel_lookups TABLES IF IF IF IF

Two bridges on the eBPF datapath, each with two of the interfaces, hold 1,000 and 100,000 flows of 20 kinds of masks in
so many tables. Each packet is another flow's, runs once and is never cached, so it comes to caches of the processor
that others have used meanwhile. Prints, as JSON, the medians in nanoseconds, how many packets were decided, and what
a packet takes that the program drops at once, because it comes from no port.

In one table flows have all 20 masks. In 64 a packet passes the tables one after the other by table-miss flows until it
comes to its own; three masks and the table-miss flow for each are what fits (MAX_RULE_MASKS).
"""

from __future__ import annotations

import json
import socket
import statistics
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from bench.openflow_load import flows_in_tables, frame_of
from inband.agent.connection import Kind
from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.flow.fields import FIELDS
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP13
from lab.silent_host import SilentHost

SMALL, LARGE = 1_000, 100_000
PACKETS, AT_ONCE = 4_000, 100
DECIDED = ("decided_by_rule", "decided_normal")
# Where struct __sk_buff, of so many bytes, has the interface.
_CONTEXT_BYTES, _IFINDEX_AT = 192, 40


@dataclass(frozen=True)
class _Subject:
    """A program with its flows, and for each packet the context of its port."""

    datapath: EbpfDatapath
    packets: list[tuple[bytes, bytes]]
    times_ns: list[int]


@contextmanager
def _subject(count: int, tables: int, interfaces: list[str]) -> Iterator[_Subject]:
    datapath = EbpfDatapath()
    try:
        bridge = Bridge(BridgeSettings("br0", Identity(1)), datapath, SilentHost(), time.monotonic, lambda: None)
        datapath.client = bridge
        for number, name in enumerate(interfaces, start=1):
            datapath.add_port(PortNo(number), name)
            bridge.add_port(PortNo(number), name, Mac(0x020000000000 | number))
        bridge.connect(1, Kind.MANAGEMENT, OFP13)
        flows, keys = flows_in_tables(count, tables)
        for flow in flows:
            bridge.tables.add(flow, 0.0)
        assert bridge.megaflows.tables is not None
        bridge.megaflows.tables.finish(time.monotonic)
        datapath.rules.told = lambda *_: None  # nothing is cached
        context = bytearray(_CONTEXT_BYTES)
        struct.pack_into("=I", context, _IFINDEX_AT, socket.if_nametoindex(interfaces[0]))
        assert all(FIELDS["in_port"].get(key) == 1 for key in keys)
        yield _Subject(datapath, [(frame_of(key), bytes(context)) for key in keys], [])
    finally:
        datapath.close()


def _run(subject: _Subject, start: int, count: int) -> None:
    for at in range(start, start + count):
        frame, context = subject.packets[at * 7919 % len(subject.packets)]
        subject.times_ns.append(libbpf.try_program(subject.datapath.program, frame, context)[2])
    subject.datapath.poll()


def main(tables: int, interfaces: list[str]) -> None:
    """Take the figures and print them."""
    with ExitStack() as stack:
        few = stack.enter_context(_subject(SMALL, tables, interfaces[:2]))
        many = stack.enter_context(_subject(LARGE, tables, interfaces[2:]))
        # Both in turn, so that both meet the same machine.
        for start in range(0, PACKETS, AT_ONCE):
            _run(few, start, AT_ONCE)
            _run(many, start, AT_ONCE)
        nowhere = [libbpf.try_program(few.datapath.program, few.packets[0][0])[2] for _ in range(PACKETS)]
        decided = {
            name: sum(subject.datapath.counters().get(each, 0) for each in DECIDED) / PACKETS
            for name, subject in (("small", few), ("large", many))
        }
        medians = {"small_ns": statistics.median(few.times_ns), "large_ns": statistics.median(many.times_ns)}
        print(json.dumps(medians | {"empty_ns": statistics.median(nowhere), "decided": decided}))


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main(int(sys.argv[1]), sys.argv[2:])
