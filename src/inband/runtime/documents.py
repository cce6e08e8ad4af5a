"""What commands print of a running switch: the ``show`` document, flows, the FDB and counters."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypedDict, TypeVar

from inband import __version__
from inband.control.destinations import RemoteStatus
from inband.control.names import NameStatus
from inband.datapath.base import Megaflow
from inband.flow.flow import Flow
from inband.flow.ports import LOCAL
from inband.flow.text import flow_document, format_actions, format_bridge_flow, format_flow, format_match
from inband.openflow.reconnect import State
from inband.pipeline.ports import SwitchPort
from inband.runtime.advice import Hops, PortsKnown, controller_advice, remote_advice
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.name_documents import family, name_documents, server_documents, wall
from inband.runtime.show import (
    BridgeDocument,
    ControllerDocument,
    InBandDocument,
    PortDocument,
    RemoteDocument,
    ShowDocument,
)
from inband.switch.core import SwitchCore
from inband.switch.listener import Listener
from inband.switch.names import NameService
from inband.switch.outgoing import OutgoingConnection
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import OFP10, PortConfig, PortState

# About 10 ms of work.
FLOWS_AT_ONCE = 200

_Item = TypeVar("_Item")

_VERSIONS = {OFP10: "1.0"}
_CONFIG_WORDS = {bit: str(bit.name).lower().replace("_", "-") for bit in PortConfig if bit}


def show(runners: Iterable[BridgeRunner], core: SwitchCore, unconfirmed: str | None, now: Instant) -> ShowDocument:
    """The whole document; ``unconfirmed`` is the change that waits for confirmation."""
    service = core.names
    return {
        "version": __version__,
        "unconfirmed": unconfirmed,
        "pid": os.getpid(),
        "bridges": [_bridge(runner, service) for runner in runners],
        "managers": [str(target) for target in core.config.managers],
        "names": name_documents(service.names(), core.connected(), now),
        "dns_servers": server_documents(service.servers(), service.server_list, now),
    }


def _bridge(runner: BridgeRunner, service: NameService) -> BridgeDocument:
    bridge, engine = runner.bridge, runner.bridge.in_band.engine
    known = (*engine.remotes(), *engine.servers())
    hops = {status.address: status for status in known if status.endpoint.length is None}
    names = {status.name: status for status in service.names()}
    ports = _ports_known(runner)
    return {
        "name": bridge.name,
        "datapath": bridge.datapath.kind,
        "datapath_id": f"{bridge.agent.switch.identity.datapath_id:016x}",
        "fail_mode": runner.config.fail_mode.value,
        "forwarding": runner.connections.fail_mode.forwarding.value,
        "ports": [_port(port) for port in bridge.ports],
        "controllers": [
            *(_controller(runner, outgoing, names, service, hops, ports) for outgoing in runner.connections.outgoing),
            *(_listener(listener) for listener in runner.connections.listeners if not _is_management(runner, listener)),
        ],
        "in_band": _in_band(runner, names.values(), ports),
        "missing_ports": runner.ports.missing(),
        "notes": runner.notes
        + ([runner.tls_note] if runner.tls_note else [])
        + _address_notes(runner)
        + _port_notes(runner),
        "counters": _counters(runner),
    }


def _port(port: SwitchPort) -> PortDocument:
    return {
        "name": port.name,
        "number": int(port.number),
        "mac": str(port.mac) if port.mac else None,
        "link_up": not port.state & PortState.LINK_DOWN,
        "config": [word for bit, word in _CONFIG_WORDS.items() if port.config & bit],
    }


def _address_notes(runner: BridgeRunner) -> list[str]:
    there = "another host has it, so it cannot be used: give one of them another address"
    return [f"address {address}: {there}" for address in sorted(runner.local.duplicates, key=str)]


def _port_notes(runner: BridgeRunner) -> list[str]:
    waiting = "it is opened when there is such an interface, and a free one"
    notes = [f"port {name}: {waiting}" for name in runner.ports.missing()]
    configured = [port.name for port in runner.bridge.ports if port.config]
    if configured and runner.bridge.in_band.engine.is_enabled:
        names = ", ".join(configured)
        notes.append(f"port configuration of {names} holds for data traffic only: control traffic passes all the same")
    return notes


def _controller(
    runner: BridgeRunner,
    outgoing: OutgoingConnection,
    names: Mapping[str, NameStatus],
    service: NameService,
    hops: Hops,
    ports: PortsKnown,
) -> ControllerDocument:
    reconnect, channel, now = outgoing.reconnect, outgoing.channel, runner.now
    address = outgoing.address if reconnect.is_connected else None
    connection = runner.bridge.agent.switch.connections.get(channel.number) if channel else None
    due = reconnect.next_deadline() if reconnect.state is State.BACKOFF else None
    return {
        "target": str(outgoing.target),
        "connected": reconnect.is_connected,
        "role": connection.role.name.lower() if connection else None,
        "version": _VERSIONS.get(connection.version, "1.3") if connection else None,
        "since": None if reconnect.state is State.VOID else wall(reconnect.since, now),
        "last_error": reconnect.last_error,
        "last_error_at": None if reconnect.last_error is None else wall(reconnect.last_error_at, now),
        "in_band": outgoing.target.in_band and runner.config.in_band,
        "next_try": wall(due, now),
        "address": None if address is None else str(address),
        "family": None if address is None else family(address),
        "advice": None if reconnect.is_connected else _advice(outgoing, names, service, hops, ports),
    }


def _advice(
    outgoing: OutgoingConnection,
    names: Mapping[str, NameStatus],
    service: NameService,
    hops: Hops,
    ports: PortsKnown,
) -> str | None:
    return controller_advice(
        outgoing.target,
        outgoing.addresses,
        outgoing.failures,
        outgoing.reconnect.last_error,
        names.get(outgoing.target.name) if outgoing.target.name else None,
        service.server_list.servers,
        hops,
        ports,
    )


def _is_management(runner: BridgeRunner, listener: Listener) -> bool:
    return listener.target not in runner.config.controllers


def _listener(listener: Listener) -> ControllerDocument:
    return {
        "target": str(listener.target),
        "connected": listener.has_sessions,
        "role": None,
        "version": None,
        "since": None,
        "last_error": None,
        "in_band": False,
    }


def _ports_known(runner: BridgeRunner) -> PortsKnown:
    down = [port for port in runner.bridge.ports if port.state & PortState.LINK_DOWN and port.number != LOCAL]
    return PortsKnown([_port_words(port) for port in down], dict.fromkeys(runner.config.ports, runner.config.name))


def _port_words(port: SwitchPort) -> str:
    return f"port {port.number} ({port.name})"


def _in_band(runner: BridgeRunner, names: Iterable[NameStatus], ports: PortsKnown) -> InBandDocument:
    engine = runner.bridge.in_band.engine
    called: dict[IpAddress, list[str]] = {}
    for status in names:
        for known in status.addresses:
            called.setdefault(known.address, []).append(status.name)
    return {
        "enabled": engine.is_enabled,
        "local_mac": str(engine.local_mac) if engine.local_mac else None,
        "queue": engine.queue,
        "vlan": engine.vlan,
        "hidden_flows": len(runner.bridge.in_band.flows),
        "remotes": [_remote(runner, each, called.get(each.address, []), ports) for each in engine.remotes()],
    }


def _remote(runner: BridgeRunner, status: RemoteStatus, names: list[str], ports: PortsKnown) -> RemoteDocument:
    return {
        "address": str(status.address) if status.endpoint.length is None else status.endpoint.place,
        "port": status.port,
        "protocol": status.endpoint.protocol.value,
        "kinds": list(status.kinds),
        "next_hop": str(status.next_hop) if status.next_hop else None,
        "next_hop_mac": str(status.next_hop_mac) if status.next_hop_mac else None,
        "interface": status.interface,
        "resolved_at": wall(status.resolved_at, runner.now),
        "by_port": runner.port_with(status.next_hop_mac),
        "names": names,
        "advice": remote_advice(status, ports),
        "calls": status.endpoint.calls,
        "on_link": status.is_on_link,
    }


async def flows(runner: BridgeRunner, *, hidden: bool) -> list[Flow]:
    """Visible flows and, if asked for, hidden ones, with counters up to date."""
    await _count(runner)
    tables = runner.bridge.tables
    found = sorted(tables.hidden(), key=lambda flow: flow.priority) if hidden else []
    for some in tables.walk():
        found += some
        await asyncio.sleep(0)
    return found


async def _count(runner: BridgeRunner) -> None:
    for _ in runner.bridge.counting():
        await asyncio.sleep(0)


async def flows_text(runner: BridgeRunner, flows: Sequence[Flow]) -> str:
    """Flows in the syntax of ``ovs-ofctl dump-flows``, hidden ones with letter and remote."""
    lines = await _in_portions(flows, lambda flow: format_flow(flow, runner.now))
    return "".join(f"{line}\n" for line in lines)


async def bridge_flows_text(runner: BridgeRunner) -> str:
    """All flows as ``ovs-appctl bridge/dump-flows`` prints them."""
    lines = await _in_portions(await flows(runner, hidden=True), lambda flow: format_bridge_flow(flow, runner.now))
    return "".join(f"{line}\n" for line in lines)


async def flows_json(runner: BridgeRunner, flows: Sequence[Flow]) -> str:
    """Flows as one document."""
    texts = await _in_portions(flows, lambda flow: json.dumps(flow_document(flow, runner.now)))
    return f'{{"flows": [{", ".join(texts)}]}}\n'


async def _in_portions(items: Sequence[_Item], render: Callable[[_Item], str]) -> list[str]:
    """Render thousands of flows without keeping packets and channels waiting."""
    rendered: list[str] = []
    for start in range(0, len(items), FLOWS_AT_ONCE):
        rendered += map(render, items[start : start + FLOWS_AT_ONCE])
        await asyncio.sleep(0)
    return rendered


class MegaflowDocument(TypedDict):
    """A cached decision in ``inband dump-datapath --json``; ``flows`` are those that it came from, by table."""

    match: str
    actions: str
    packets: int
    bytes: int
    used_s: float
    flows: list[str]


async def megaflows_text(runner: BridgeRunner) -> str:
    """Cached decisions, a line each, with the flows that they came from below, indented."""
    await _count(runner)
    megaflows = runner.bridge.datapath.megaflows()
    lines = await _in_portions(megaflows, lambda each: _megaflow_text(_megaflow(runner, each)))
    return "".join(lines) or "no megaflows: every packet comes up\n"


async def megaflows_json(runner: BridgeRunner) -> str:
    """Cached decisions as one document."""
    await _count(runner)
    megaflows = runner.bridge.datapath.megaflows()
    texts = await _in_portions(megaflows, lambda each: json.dumps(_megaflow(runner, each)))
    return f'{{"datapath": "{runner.bridge.datapath.kind}", "megaflows": [{", ".join(texts)}]}}\n'


def _megaflow(runner: BridgeRunner, megaflow: Megaflow) -> MegaflowDocument:
    return {
        "match": format_match(megaflow.match),
        "actions": format_actions(megaflow.actions) or "drop",
        "packets": megaflow.packets,
        "bytes": megaflow.bytes,
        "used_s": round(max(0.0, runner.now - megaflow.used), 3),
        "flows": [_source(table_id, flow) for table_id, flow in megaflow.translation.credits],
    }


def _source(table_id: int, flow: Flow | None) -> str:
    if flow is None:
        return f"table={table_id}, no flow matches"
    letter = f", {flow.origin.label}" if flow.origin else ""
    match = format_match(flow.match)
    return f"table={table_id}{letter}, priority={int(flow.priority)}{',' if match else ''}{match}"


def _megaflow_text(document: MegaflowDocument) -> str:
    counts = f"packets:{document['packets']}, bytes:{document['bytes']}, used:{document['used_s']:.3f}s"
    lines = [f"{document['match']}, {counts}, actions:{document['actions']}"]
    return "".join(f"{line}\n" for line in (*lines, *(f"    from {source}" for source in document["flows"])))


def fdb_text(runner: BridgeRunner) -> str:
    """The addresses NORMAL has learned, as ``ovs-appctl fdb/show`` prints them."""
    lines = [" port  VLAN  MAC                Age"]
    for key, port, confirmed in runner.bridge.fdb.entries():
        lines.append(f"{port!s:>5}  {key.vlan:>4}  {key.mac}  {int(runner.now - confirmed):>3}")
    return "\n".join(lines) + "\n"


def _counters(runner: BridgeRunner) -> dict[str, int]:
    """Every named counter of a bridge, by name."""
    bridge = runner.bridge
    values = {**bridge.datapath.counters(), **bridge.pipeline.counters, **bridge.counters.values}
    return dict(sorted((values | runner.connections.counters() | {"megaflows": len(bridge.megaflows)}).items()))


def counters_text(runners: Iterable[BridgeRunner], process: Mapping[str, Mapping[str, int]]) -> str:
    """Every named counter, a line each, with the name of the bridge, or of the part of the process, in front."""
    lines = []
    for runner in runners:
        lines += [f"{runner.bridge.name}  {name:<32} {value}" for name, value in _counters(runner).items()]
    for part, counters in process.items():
        lines += [f"{part}  {name:<32} {value}" for name, value in sorted(counters.items())]
    return "".join(f"{line}\n" for line in lines)
