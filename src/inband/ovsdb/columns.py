"""From facts about the running switch to values of the database's columns: pure functions.

What each column means, and its units, is in ovs-vswitchd.conf.db(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inband import __version__
from inband.datapath.base import PortCounters
from inband.host.events import LinkChanged
from inband.ovsdb.rows import Snapshot
from inband.ovsdb.translate import DATAPATH_TYPES, INTERFACE_TYPES
from inband.ovsdb.trees import bridge_status, port_status
from inband.ovsdb.wanted import RowKey, Wanted
from inband.stp.status import TreeStatus
from inband.switch.status import ListenerStatus, OutgoingStatus
from inband.switch.targets import Target
from inband.vocabulary.instant import Instant
from inband.vocabulary.link_settings import UNKNOWN_LINK, LinkSettings
from inband.vocabulary.openflow import PortFeatures, Role

Values = dict[RowKey, dict[str, Any]]
"""Columns by row."""

NO_PORT = -1
"""ofport of an interface that cannot be a port."""

_HALF = PortFeatures.SPEED_10MB_HD | PortFeatures.SPEED_100MB_HD | PortFeatures.SPEED_1GB_HD
_ROLES = {Role.EQUAL: "other", Role.MASTER: "master", Role.SLAVE: "slave"}


_NONE_FOUND = "no neighbour with the network's key tells of a controller"


@dataclass(frozen=True, slots=True)
class PortFacts:
    """An interface that the database asks for. ``number`` is None while it is no port; ``error``: why it cannot be.

    ``qos_error``: why it is not shaped as its port's QoS says.
    """

    number: int | None = None
    error: str | None = None
    link: LinkChanged | None = None
    settings: LinkSettings = UNKNOWN_LINK
    qos_error: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The running switch. Ports are by bridge and interface name, channels, errors and spanning trees by bridge.

    ``no_places`` says, by bridge, why nobody can call at a target.
    """

    datapaths: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    ports: Mapping[tuple[str, str], PortFacts] = field(default_factory=dict)
    channels: Mapping[str, tuple[OutgoingStatus | ListenerStatus, ...]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    trees: Mapping[str, TreeStatus | None] = field(default_factory=dict)
    no_places: Mapping[str, Mapping[Target, str]] = field(default_factory=dict)


def values_of(snapshot: Snapshot, wanted: Wanted, facts: Facts, now: Instant) -> Values:
    """Every column that the switch writes, but statistics."""
    values: Values = {}
    root = snapshot.root
    if root is not None:
        values["Open_vSwitch", root.uuid] = _root(snapshot, root.number("next_cfg") or 0)
    for name, uuid in wanted.bridge_rows.items():
        error = _joined(facts.errors.get(name), wanted.problems.get(("Bridge", uuid)))
        values["Bridge", uuid] = _bridge(facts.datapaths.get(name), error) | bridge_status(facts.trees.get(name))
    for (table, uuid), words in wanted.problems.items():
        if table == "Bridge" and (table, uuid) not in values:  # it has no name that can be had
            values[table, uuid] = _bridge(None, words)
    for port in wanted.ports:
        found = facts.ports.get((port.bridge, port.name), PortFacts())
        error = _joined(wanted.problems.get(("Interface", port.interface)), found.error)
        if port.is_local:
            error = _joined(error, facts.errors.get(port.bridge))
        values["Interface", port.interface] = interface(found, error)
        trouble = error or _joined(wanted.problems.get(("Port", port.port)), found.qos_error)
        tree = port_status(facts.trees.get(port.bridge), found.number, now)
        values["Port", port.port] = {"status": _error(trouble)} | tree
    for controller in wanted.controllers:
        problem = wanted.problems.get(("Controller", controller.uuid))
        if problem is None and controller.target is not None:
            problem = facts.no_places.get(controller.bridge, {}).get(controller.target)
        channels = facts.channels.get(controller.bridge, ())
        if controller.target is not None and controller.target.is_auto:
            named = {each.target for each in wanted.controllers}
            values["Controller", controller.uuid] = _auto([each for each in channels if each.target not in named], now)
            continue
        status = next((each for each in channels if each.target == controller.target), None)
        values["Controller", controller.uuid] = _controller(status, problem, now)
    return values


def statistics(counters: PortCounters) -> dict[str, Any]:
    """The column of an interface: what OpenFlow says of the port."""
    words = ("packets", "bytes", "dropped", "errors")
    return {
        "statistics": {f"{way}_{word}": getattr(counters, f"{way}_{word}") for way in ("rx", "tx") for word in words}
    }


def mirror_statistics(packets: int, bytes_: int) -> dict[str, Any]:
    """The column of a mirror: its copies."""
    return {"statistics": {"tx_packets": packets, "tx_bytes": bytes_}}


def _root(snapshot: Snapshot, next_cfg: int) -> dict[str, Any]:
    return {
        "cur_cfg": next_cfg,
        "ovs_version": __version__,
        "db_version": snapshot.version,
        "datapath_types": list(DATAPATH_TYPES),
        "iface_types": list(INTERFACE_TYPES),
    }


def _bridge(datapath: tuple[int, str] | None, error: str | None) -> dict[str, Any]:
    number, kind = datapath or (None, "")
    return {
        "datapath_id": [] if number is None else [f"{number:016x}"],
        "datapath_version": kind,
        "status": _error(error),
    }


def interface(facts: PortFacts, error: str | None) -> dict[str, Any]:
    """The columns of an interface, without statistics."""
    link, settings = facts.link, facts.settings
    speed = settings.current_speed_kbps * 1000
    duplex = "half" if settings.current & _HALF else "full"
    return {
        "ofport": [NO_PORT if facts.number is None else facts.number & 0xFFFF],  # LOCAL by its number in OpenFlow 1.0
        "error": [] if error is None else [error],
        "mac_in_use": [] if link is None else [str(link.mac)],
        "mtu": [] if link is None else [link.mtu],
        "ifindex": [] if link is None else [link.index],
        "admin_state": [] if link is None else [_up(link.up)],
        "link_state": [] if link is None else [_up(link.up and link.running)],
        "link_speed": [speed] if speed else [],
        "duplex": [duplex] if speed else [],
    }


def _controller(status: OutgoingStatus | ListenerStatus | None, problem: str | None, now: Instant) -> dict[str, Any]:
    match status:
        case None:
            words = {} if problem is None else {"last_error": problem, "state": "VOID"}
            return {"is_connected": False, "role": [], "status": words}
        case ListenerStatus():
            state = "ACTIVE" if status.has_sessions else "IDLE"
            return {"is_connected": status.has_sessions, "role": [], "status": {"state": state}}
        case _:
            role = [] if status.role is None else [_ROLES[status.role]]
            return {"is_connected": status.is_connected, "role": role, "status": _status(status, now)}


def _auto(channels: Iterable[OutgoingStatus | ListenerStatus], now: Instant) -> dict[str, Any]:
    """What stands for the controllers that neighbours use: as the best of those, which ``found`` names."""
    found = [each for each in channels if isinstance(each, OutgoingStatus)]
    if not found:
        return _controller(None, None, now) | {"status": {"state": "IDLE", "last_error": _NONE_FOUND}}
    best = max(found, key=lambda each: each.is_connected)
    columns = _controller(best, None, now)
    columns["status"]["found"] = " ".join(str(each.target) for each in found)
    return columns


def _status(status: OutgoingStatus, now: Instant) -> dict[str, str]:
    words = {"state": status.state.name}
    if status.last_error is not None:
        words["last_error"] = status.last_error
    elif status.target.name is not None and not status.addresses:
        words["last_error"] = f"no address of {status.target.name} is known: `inband show` says why"
    if status.since is not None:
        which = "sec_since_connect" if status.is_connected else "sec_since_disconnect"
        words[which] = str(int(now - status.since))
    return words


def _up(is_up: bool) -> str:
    return "up" if is_up else "down"


def _error(error: str | None) -> dict[str, str]:
    return {} if error is None else {"error": error}


def _joined(*words: str | None) -> str | None:
    return "; ".join(dict.fromkeys(word for word in words if word)) or None
