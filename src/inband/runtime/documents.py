"""What commands print of a running switch: the ``show`` document, and counters."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inband import __version__
from inband.bridge.in_band import InBandStatus
from inband.control.destinations import RemoteStatus
from inband.control.names import NameStatus
from inband.flow.ports import LOCAL
from inband.pipeline.ports import SwitchPort
from inband.runtime.advice import Hops, PortsKnown, controller_advice, remote_advice
from inband.runtime.auto_notes import auto_notes
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.name_documents import family, name_documents, names_of_addresses, server_documents, wall
from inband.runtime.show import (
    BridgeDocument,
    ControllerDocument,
    InBandDocument,
    PortDocument,
    RemoteDocument,
    ShowDocument,
)
from inband.runtime.tree_documents import port_tree_document, tree_document
from inband.switch.core import SwitchCore
from inband.switch.names import NameService
from inband.switch.reports import LOOP_ADVICE, joined
from inband.switch.status import BridgeStatus, ListenerStatus, OutgoingStatus
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import OFP10, PortConfig, PortState

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


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known beside a bridge's own status, for words about it."""

    now: Instant
    names: Mapping[str, NameStatus]
    servers: Sequence[IpAddress]
    hops: Hops
    ports: PortsKnown


def _bridge(runner: BridgeRunner, service: NameService) -> BridgeDocument:
    config, status = runner.config, runner.managed.status()
    known = _known(status, config.taken_ports, service, runner.now)
    listeners = [each for each in status.listeners if each.target in config.controllers]
    return {
        "name": status.name,
        "datapath": status.datapath,
        "datapath_id": f"{status.datapath_id:016x}",
        "fail_mode": config.fail_mode.value,
        "forwarding": status.forwarding.value,
        "ports": [_port(port, status) for port in status.ports],
        "controllers": [
            *(_controller(each, known, in_band=config.in_band) for each in status.outgoing),
            *(_listener(each) for each in listeners),
        ],
        "in_band": _in_band(runner, status.in_band, known),
        "rstp": None if status.tree is None else tree_document(status.tree, status.ports),
        "loops": [list(ports) for ports in status.loops],
        "missing_ports": runner.ports.missing(),
        "notes": [*runner.notes, *_notes(runner, status)],
        "counters": dict(status.counters),
    }


def _known(status: BridgeStatus, ports: Iterable[str], service: NameService, now: Instant) -> _Known:
    ways = (*status.in_band.remotes, *status.in_band.servers)
    down = [port for port in status.ports if port.state & PortState.LINK_DOWN and port.number != LOCAL]
    return _Known(
        now,
        {name.name: name for name in service.names()},
        service.server_list.servers,
        {way.address: way for way in ways if way.endpoint.length is None},
        PortsKnown([f"port {port.number} ({port.name})" for port in down], dict.fromkeys(ports, status.name)),
    )


def _port(port: SwitchPort, status: BridgeStatus) -> PortDocument:
    vlans = status.vlans.get(port.number)
    return {
        "name": port.name,
        "number": int(port.number),
        "mac": str(port.mac) if port.mac else None,
        "link_up": not port.state & PortState.LINK_DOWN,
        "config": [word for bit, word in _CONFIG_WORDS.items() if port.config & bit],
        "vlans": None if vlans is None else str(vlans),
        "vlan_mode": None if vlans is None else vlans.mode.value,
        "tag": None if vlans is None else vlans.tag,
        "trunks": [] if vlans is None else sorted(vlans.trunks),
        "rstp": port_tree_document(port, status.tree),
    }


def _notes(runner: BridgeRunner, status: BridgeStatus) -> list[str]:
    there = "another host has it, so it cannot be used: give one of them another address"
    waiting = "it is opened when there is such an interface, and a free one"
    notes = [runner.tls_note] if runner.tls_note else []
    notes += [f"address {address}: {there}" for address in sorted(runner.local.duplicates, key=str)]
    notes += [f"{joined(ports)}: {LOOP_ADVICE}" for ports in status.loops]
    notes += [f"port {name}: {waiting}" for name in runner.ports.missing()]
    tables = runner.bridge.megaflows.tables
    if tables is not None and tables.trouble:
        notes.append(f"new flows are not decided in the kernel: {tables.trouble}")
    notes += auto_notes(runner.managed.bridge, runner.config)
    configured = [port.name for port in status.ports if port.config]
    if configured and status.in_band.is_enabled:
        names = ", ".join(configured)
        notes.append(f"port configuration of {names} holds for data traffic only: control traffic passes all the same")
    return notes


def _controller(status: OutgoingStatus, known: _Known, *, in_band: bool) -> ControllerDocument:
    now, target = known.now, status.target
    return {
        "target": str(target),
        "connected": status.is_connected,
        "role": None if status.role is None else status.role.name.lower(),
        "version": None if status.version is None else _VERSIONS.get(status.version, "1.3"),
        "since": wall(status.since, now),
        "last_error": status.last_error,
        "last_error_at": None if status.last_error is None else wall(status.last_error_at, now),
        "in_band": target.in_band and in_band,
        "next_try": wall(status.next_try, now),
        "address": None if status.address is None else str(status.address),
        "family": None if status.address is None else family(status.address),
        "advice": None if status.is_connected else _advice(status, known),
    }


def _advice(status: OutgoingStatus, known: _Known) -> str | None:
    return controller_advice(
        status.target,
        status.addresses,
        status.failures,
        status.last_error,
        known.names.get(status.target.name) if status.target.name else None,
        known.servers,
        known.hops,
        known.ports,
    )


def _listener(status: ListenerStatus) -> ControllerDocument:
    return {
        "target": str(status.target),
        "connected": status.has_sessions,
        "role": None,
        "version": None,
        "since": None,
        "last_error": None,
        "in_band": False,
    }


def _in_band(runner: BridgeRunner, status: InBandStatus, known: _Known) -> InBandDocument:
    called = names_of_addresses(known.names.values())
    return {
        "enabled": status.is_enabled,
        "local_mac": str(status.local_mac) if status.local_mac else None,
        "queue": status.queue,
        "vlan": status.vlan,
        "hidden_flows": status.hidden_flows,
        "remotes": [_remote(runner, each, called.get(each.address, []), known) for each in status.remotes],
    }


def _remote(runner: BridgeRunner, status: RemoteStatus, names: list[str], known: _Known) -> RemoteDocument:
    return {
        "address": str(status.address) if status.endpoint.length is None else status.endpoint.place,
        "port": status.port,
        "protocol": status.endpoint.protocol.value,
        "kinds": list(status.kinds),
        "next_hop": str(status.next_hop) if status.next_hop else None,
        "next_hop_mac": str(status.next_hop_mac) if status.next_hop_mac else None,
        "interface": status.interface,
        "resolved_at": wall(status.resolved_at, known.now),
        "by_port": runner.port_with(status.next_hop_mac),
        "names": names,
        "advice": remote_advice(status, known.ports),
        "calls": status.endpoint.calls,
        "on_link": status.is_on_link,
    }


def counters_text(runners: Iterable[BridgeRunner], process: Mapping[str, Mapping[str, int]]) -> str:
    """Every named counter, a line each, with the name of the bridge, or of the part of the process, in front."""
    lines = []
    for runner in runners:
        lines += [f"{runner.bridge.name}  {name:<32} {value}" for name, value in runner.managed.counters().items()]
    for part, counters in process.items():
        lines += [f"{part}  {name:<32} {value}" for name, value in sorted(counters.items())]
    return "".join(f"{line}\n" for line in lines)
