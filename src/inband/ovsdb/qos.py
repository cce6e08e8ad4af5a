"""From the rows of QoS and Queue that a port refers to, to what shapes it (ovs-vswitchd.conf.db(5)).

Invariants: nothing that the rows hold raises. What is wrong with one value is said, and the default is in its place, as
Open vSwitch has it, which does not say it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from inband.ovsdb.rows import Row, Snapshot
from inband.vocabulary.queueing import HIGHEST_QUEUE, PortQos, QosKind, QueueConfig

Blame = Callable[[str], None]
"""Hears what is wrong, in words."""

_MOST = (1 << 63) - 1
"""Of rates in bit/s: the kernel's field has 64 bits for bytes."""


def qos_of(snapshot: Snapshot, port: Row, blame: Blame) -> PortQos | None:
    """What shapes a port; None: nothing does, or nothing that this switch has."""
    row = next(iter(snapshot.rows("QoS", port.texts("qos"))), None)
    if row is None:
        return None
    kind = row.text("type")
    if kind not in list(QosKind):
        blame(f"qos: type {kind} is not supported, and without effect: there are {', '.join(QosKind)}")
        return None
    meant, config = QosKind(kind), row.map("other_config")
    if meant is not QosKind.HTB:
        if config and meant is not QosKind.NOOP:
            blame(f"qos: other_config of {kind} is without effect: it has the kernel's own defaults")
        return PortQos(meant)
    max_rate = _number(config, "max-rate", blame, "qos")
    queues = ((number, _queue(snapshot, number, uuid, blame)) for number, uuid in _numbered(row, blame))
    return PortQos(meant, max_rate, tuple(queues))


def _numbered(row: Row, blame: Blame) -> list[tuple[int, str]]:
    """Numbers of queues with the UUIDs of their rows."""
    found = [(int(key), uuid) for key, uuid in row.map("queues").items() if key.isascii() and key.isdecimal()]
    for number, _ in found:
        if number > HIGHEST_QUEUE:
            blame(f"queue {number}: without effect: numbers are 0 to {HIGHEST_QUEUE}")
    return sorted(each for each in found if each[0] <= HIGHEST_QUEUE)


def _queue(snapshot: Snapshot, number: int, uuid: str, blame: Blame) -> QueueConfig:
    row = snapshot.row("Queue", uuid) or Row(uuid)
    config, what = row.map("other_config"), f"queue {number}"
    if row.number("dscp") is not None:
        blame(f"{what}: dscp is without effect: have flows set it (mod_nw_tos)")
    return QueueConfig(
        _number(config, "min-rate", blame, what),
        _number(config, "max-rate", blame, what),
        _number(config, "burst", blame, what),
        _number(config, "priority", blame, what) or 0,
    )


def _number(config: Mapping[str, str], key: str, blame: Blame, what: str) -> int | None:
    """A number; None, the default, where there is none."""
    text = config.get(key)
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and int(text) <= _MOST:
        return int(text)
    blame(f"{what}: {key} {text!r} is not a number: the default is taken")
    return None
