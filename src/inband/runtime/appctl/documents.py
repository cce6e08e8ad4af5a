"""Answers about the datapath, the FDB and queues, in the format of ``ovs-appctl``.

Each bridge has a datapath of its own, ``KIND@BRIDGE``, where Open vSwitch has one of each kind. Figures that only its
threads have (handlers, revalidators, averages over them) are left out.

Source: ovs-vswitchd(8), ovs-dpctl(8); facts observed of Open vSwitch 3.1.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping

from inband.bridge.bridge import Bridge
from inband.datapath.base import Megaflow, QueueState
from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.ports import SwitchPort
from inband.runtime.appctl.odp import datapath_port, format_odp_actions, format_odp_match
from inband.switch.config import MadePort
from inband.vocabulary.instant import Instant

# Bits of an identity of a flow, as Open vSwitch has it (a UUID's).
_UFID_BYTES = 16


def datapath_name(bridge: Bridge) -> str:
    """What ``dpctl/dump-dps`` calls a bridge's datapath."""
    return f"{bridge.datapath.kind}@{bridge.name}"


def dpif_show(bridges: Iterable[tuple[Bridge, Mapping[str, MadePort]]]) -> str:
    """Each datapath with its bridge and ports: OpenFlow's number, the datapath's, and what kind of interface it is.

    Bridges come with the ports whose interface the switch makes, by name.
    """
    return "".join(f"{line}\n" for bridge, made in bridges for line in _dpif_lines(bridge, made))


def _dpif_lines(bridge: Bridge, made: Mapping[str, MadePort]) -> Iterator[str]:
    hits, misses, _ = lookups(bridge)
    yield f"{datapath_name(bridge)}: hit:{hits} missed:{misses}"
    yield f"  {bridge.name}:"
    for port in _by_name(bridge):
        yield f"    {port.name} {_of_number(port.number)}/{datapath_port(port.number)}: ({_type(port, made)})"


def _by_name(bridge: Bridge) -> list[SwitchPort]:
    """The bridge's own interface first, then the others by name."""
    return sorted(bridge.ports, key=lambda port: (port.number != LOCAL, port.name))


def _of_number(port: PortNo) -> int:
    """As OpenFlow 1.0 numbers ports: LOCAL is 65534."""
    return int(port) & 0xFFFF


def _type(port: SwitchPort, made: Mapping[str, MadePort]) -> str:
    return "internal" if port.number == LOCAL else str(made.get(port.name, "system"))


def lookups(bridge: Bridge) -> tuple[int, int, int]:
    """Packets that the datapath knew, that came up, and that were lost on their way up."""
    counters = bridge.datapath.counters()
    misses = counters.get("miss", 0)
    lost = sum(count for name, count in counters.items() if name.startswith("rx_queue_full"))
    hits = counters.get("megaflow_hit", 0)
    if bridge.datapath.kind == "userspace":  # which counts no packet that it recognises by its first bytes
        received = sum(bridge.datapath.port_counters(port.number).rx_packets for port in bridge.ports)
        hits = max(0, received - misses)
    return hits, misses, lost


def dpctl_show(bridges: Iterable[Bridge], *, statistics: bool) -> str:
    """Each datapath with its lookups, flows and ports."""
    return "".join(f"{line}\n" for bridge in bridges for line in _dpctl_lines(bridge, statistics=statistics))


def _dpctl_lines(bridge: Bridge, *, statistics: bool) -> Iterator[str]:
    hits, misses, lost = lookups(bridge)
    yield f"{datapath_name(bridge)}:"
    yield f"  lookups: hit:{hits} missed:{misses} lost:{lost}"
    yield f"  flows: {len(bridge.megaflows)}"
    for port in sorted(bridge.ports, key=lambda port: datapath_port(port.number)):
        kind = " (internal)" if port.number == LOCAL else ""
        yield f"  port {datapath_port(port.number)}: {port.name}{kind}"
        if statistics:
            yield from _port_lines(bridge, port.number)


def _port_lines(bridge: Bridge, port: PortNo) -> Iterator[str]:
    counted = bridge.datapath.port_counters(port)
    received = f"packets:{counted.rx_packets} errors:{counted.rx_errors} dropped:{counted.rx_dropped}"
    sent = f"packets:{counted.tx_packets} errors:{counted.tx_errors} dropped:{counted.tx_dropped}"
    yield f"    RX {received} overruns:0 frame:0"
    yield f"    TX {sent} aborted:0 carrier:0"
    yield "    collisions:0"
    yield f"    RX bytes:{counted.rx_bytes}  TX bytes:{counted.tx_bytes}"


def megaflow_line(bridge: Bridge, megaflow: Megaflow, now: Instant, *, names: bool, more: bool) -> str:
    """A line of ``dpctl/dump-flows``; with ``names`` ports by their names, with ``more`` the flow's identity."""

    def port_text(port: PortNo) -> str:
        found = bridge.ports.get(port) if names else None
        return str(datapath_port(port)) if found is None else found.name

    identity = f"ufid:{_ufid(megaflow)}, " if more else ""
    used = f"{max(0.0, now - megaflow.used):.3f}s" if megaflow.packets else "never"
    counts = f"packets:{megaflow.packets}, bytes:{megaflow.bytes}, used:{used}"
    actions = format_odp_actions(megaflow.actions, port_text)
    return f"{identity}{format_odp_match(megaflow.match, port_text)}, {counts}, actions:{actions}"


def _ufid(megaflow: Megaflow) -> uuid.UUID:
    text = f"{megaflow.match.value:x}/{megaflow.match.mask:x}"
    return uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=_UFID_BYTES).digest())


def upcall_show(bridges: Iterable[Bridge], limit: int) -> str:
    """How many cached decisions each datapath has, how many it may have, and what came up for which reason."""
    lines = []
    for bridge in bridges:
        lines += [f"{datapath_name(bridge)}:", f"  flows         : (current {len(bridge.megaflows)}) (limit {limit})"]
        _, misses, lost = lookups(bridge)
        lines += [f"  upcalls       : (handled {misses}) (lost {lost})", ""]
    return "\n".join(lines)


def memory_show(bridges: Iterable[Bridge]) -> str:
    """What there is most of, in one line."""
    ports = rules = keys = 0
    for bridge in bridges:
        ports += len(list(bridge.ports))
        rules += sum(1 for _ in bridge.tables.hidden()) + visible_flows(bridge)
        keys += len(bridge.megaflows)
    return f"ports:{ports} rules:{rules} udpif keys:{keys}\n"


def visible_flows(bridge: Bridge) -> int:
    """How many flows controllers see."""
    return sum(bridge.tables[table_id].active for table_id in range(len(bridge.tables)))


def fdb_stats(bridge: Bridge) -> str:
    """What became of learned addresses."""
    fdb = bridge.fdb
    rows = (
        ("Current/maximum MAC entries in the table", f"{len(fdb)}/{fdb.max_entries}"),
        ("Current static MAC entries in the table ", "0"),
        ("Total number of learned MAC entries     ", f"{fdb.counters.learned}"),
        ("Total number of expired MAC entries     ", f"{fdb.counters.expired}"),
        ("Total number of evicted MAC entries     ", f"{fdb.counters.evicted}"),
        ("Total number of port moved MAC entries  ", f"{fdb.counters.moved}"),
    )
    return f'Statistics for bridge "{bridge.name}":\n' + "".join(f"  {what}: {count}\n" for what, count in rows)


def qos_show(interface: str, queues: Iterable[QueueState]) -> str:
    """The queues of an interface: what they are promised and limited to, and what left by them."""
    listed = list(queues)
    if not listed:
        return f"QoS not configured on {interface}\n"
    lines = [f"QoS: {interface} linux-htb", f"max-rate: {max(queue.max_rate_bps for queue in listed)}"]
    for queue in listed:
        lines += ["", f"Queue {queue.queue_id}:" if queue.queue_id else "Default:"]
        lines += [f"  burst: {queue.burst_bits}"] if queue.burst_bits else []
        lines += [f"  priority: {queue.priority}"] if queue.priority else []
        lines += [f"  min-rate: {queue.min_rate_bps}", f"  max-rate: {queue.max_rate_bps}"]
        lines += [
            f"  tx_packets: {queue.tx_packets}",
            f"  tx_bytes: {queue.tx_bytes}",
            f"  tx_errors: {queue.tx_errors}",
        ]
    return "\n".join(lines) + "\n"
