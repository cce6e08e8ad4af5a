"""The rows of Manager: whom the database server speaks to, which in-band control protects."""

from __future__ import annotations

from collections.abc import Iterable

from inband.control.endpoints import Protocol
from inband.errors import UsageError
from inband.ovsdb.controllers import Blame
from inband.ovsdb.rows import Row
from inband.switch.manager_targets import ManagerTarget
from inband.switch.targets import Scheme, parse_target

OVSDB_PORT = 6640
"""RFC 7047 has 6640 assigned by IANA (section 7.1)."""


def managers_of(rows: Iterable[Row], blame: Blame) -> tuple[ManagerTarget, ...]:
    """The managers that the database server dials. Who dials it is unknown: those are for ``manager =`` of the file.

    Their columns are the database server's to write, so what is wrong with one is said by it, and in the log.
    """
    found = []
    for row in sorted(rows, key=lambda each: (each.text("target"), each.uuid)):
        try:
            manager = _manager(row.text("target"))
        except UsageError as error:
            blame("Manager", row, str(error))
            continue
        if manager is not None and row.text("connection_mode") != "out-of-band":
            found.append(manager)
    return tuple(dict.fromkeys(found))


def _manager(text: str) -> ManagerTarget | None:
    """A manager that is dialled over IP; None for one that calls, or is on this machine."""
    target = parse_target(text if _has_port(text) else f"{text}:{OVSDB_PORT}")
    if target.scheme not in (Scheme.TCP, Scheme.TLS) or target.host is None:
        return None
    return ManagerTarget(Protocol.TCP, target.host, target.port)


def _has_port(text: str) -> bool:
    """Whether a target has something behind its host, or has no host."""
    scheme, _, rest = text.partition(":")
    if scheme not in ("tcp", "ssl", "tls"):
        return True
    return ":" in rest.rpartition("]")[2]
