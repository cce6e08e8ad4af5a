"""The spanning tree in the database: what rows of Port say of it, and what is written of it (ovs-vswitchd.conf.db(5)).

A word that is wrong costs itself alone, as in every row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from inband.errors import UsageError
from inband.flow.ports import PortNo
from inband.ovsdb.rows import Row
from inband.stp.settings import (
    PORT_PRIORITY_STEP,
    PRIORITY_STEP,
    PortTreeSettings,
    parse_port_settings,
    parse_times,
)
from inband.stp.status import PortTreeStatus, TreeStatus
from inband.vocabulary.instant import Instant

BRIDGE_KEYS = {"rstp-priority": "rstp-priority"}
"""``other_config`` of a bridge, and the setting that it is here."""

BRIDGE_KEYS_WITHOUT_EFFECT = (
    *("rstp-address", "rstp-ageing-time", "rstp-force-protocol-version", "rstp-transmit-hold-count"),
)

_PORT_KEYS = {
    "rstp-path-cost": "rstp-cost",
    "rstp-port-priority": "rstp-priority",
    "rstp-port-admin-edge": "rstp-edge",
}
_FLAGS = {"true": "on", "false": "off"}
_PORT_KEYS_WITHOUT_EFFECT = (
    *("rstp-port-num", "rstp-port-auto-edge", "rstp-port-mcheck"),
    *("rstp-admin-p2p-mac", "rstp-admin-port-state"),
)


def rounded_priority(text: str, step: int = PRIORITY_STEP) -> str:
    """A priority as the database's column means it: rounded down to a multiple; what is no number stays as it is."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 9
    return str(int(text) // step * step) if is_number else text


def times_of(bridge: Row, blame: Callable[[str], None]) -> tuple[int, int]:
    """Max age and forward delay that a row of Bridge asks for, in seconds; what does not fit costs both."""
    given = bridge.map("other_config")
    words = {word: given[f"rstp-{word}"] for word in ("max-age", "forward-delay") if f"rstp-{word}" in given}
    try:
        return parse_times(words)
    except UsageError as error:
        blame(f"other_config: rstp-{error}")
        return parse_times({})


def tree_settings_of(port: Row, blame: Callable[[str], None]) -> PortTreeSettings | None:
    """What a row of Port says to the spanning tree; None for what is usual. ``blame`` hears what is wrong."""
    given = port.map("other_config")
    said: dict[str, str] = {}
    for word, key in _PORT_KEYS.items():
        if word in given:
            value = _value(key, given[word])
            try:
                parse_port_settings({key: value})
            except UsageError as error:
                blame(f"other_config:{word}: {error}")
            else:
                said[key] = value
    for word in _PORT_KEYS_WITHOUT_EFFECT:
        if word in given:
            blame(f"other_config:{word}: not supported, and without effect")
    settings = parse_port_settings(said)
    if given.get("rstp-enable") != "false":
        return settings
    return replace(settings or PortTreeSettings(), is_in_tree=False)


def _value(key: str, given: str) -> str:
    """What ``other_config`` has, as the setting has it."""
    if key == "rstp-edge":
        return _FLAGS.get(given, given)
    return rounded_priority(given, PORT_PRIORITY_STEP) if key == "rstp-priority" else given


def bridge_status(tree: TreeStatus | None) -> dict[str, Any]:
    """The columns of a bridge."""
    if tree is None:
        return {"rstp_status": {}}
    return {
        "rstp_status": {
            "rstp_bridge_id": str(tree.id),
            "rstp_bridge_port_id": f"{tree.root_port_id:04x}",
            "rstp_designated_id": str(tree.designated.bridge),
            "rstp_designated_port_id": f"{tree.designated.port:04x}",
            "rstp_root_id": str(tree.root),
            "rstp_root_path_cost": str(tree.root_cost),
        }
    }


def port_status(tree: TreeStatus | None, number: int | None, now: Instant) -> dict[str, Any]:
    """The columns of a port; ``number`` is None while it is none."""
    found = None if tree is None or number is None else tree.port(PortNo(number))
    if found is None:
        return {"rstp_status": {}, "rstp_statistics": {}}
    return {"rstp_status": _status(found), "rstp_statistics": _statistics(found, now)}


def _status(port: PortTreeStatus) -> Mapping[str, str]:
    return {
        "rstp_designated_bridge_id": str(port.designated.bridge),
        "rstp_designated_path_cost": str(port.designated.cost),
        "rstp_designated_port_id": f"{port.designated.port:04x}",
        "rstp_port_id": f"{port.id:04x}",
        "rstp_port_role": str(port.role),
        "rstp_port_state": str(port.state),
    }


def _statistics(port: PortTreeStatus, now: Instant) -> Mapping[str, int]:
    return {
        "rstp_error_count": port.error_count,
        "rstp_rx_count": port.rx_count,
        "rstp_tx_count": port.tx_count,
        "rstp_uptime": int(now - port.since),
    }
