"""Snapshots of a database, written as tests want them: names for UUIDs, and defaults for what does not matter."""

from __future__ import annotations

from typing import Any

from inband.ovsdb.rows import Row, Snapshot


class Database:
    """Rows that refer to each other by names."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Row]] = {}
        self.root: dict[str, Any] = {"bridges": (), "manager_options": (), "ssl": (), "next_cfg": 1}

    def row(self, table: str, uuid: str, **columns: Any) -> str:
        """Add a row, or columns to one; its UUID."""
        before = self.tables.setdefault(table, {}).get(uuid, Row(uuid))
        self.tables[table][uuid] = Row(uuid, {**before.columns, **columns})
        return uuid

    def bridge(self, name: str, *ports: str, **columns: Any) -> str:
        """Add a bridge with its own interface and these ports, each with one interface of the same name."""
        uuids = [self.port(port) for port in ports]
        self.row("Interface", f"interface-{name}", name=name, type="internal")
        self.row("Port", f"port-{name}", name=name, interfaces=(f"interface-{name}",))
        uuid = self.row("Bridge", f"bridge-{name}", name=name, ports=(f"port-{name}", *uuids), **columns)
        self.root["bridges"] = (*self.root["bridges"], uuid)
        return uuid

    def port(self, name: str, **columns: Any) -> str:
        """Add a port with an interface of its name, or columns to it."""
        self.row("Interface", f"interface-{name}", name=name, type="")
        return self.row("Port", f"port-{name}", name=name, interfaces=(f"interface-{name}",), **columns)

    def controllers(self, bridge: str, *targets: str, **columns: Any) -> None:
        """Give a bridge controllers."""
        uuids = tuple(self.row("Controller", f"controller-{text}", target=text, **columns) for text in targets)
        self.row("Bridge", f"bridge-{bridge}", controller=uuids)

    def snapshot(self) -> Snapshot:
        """The rows as they are now."""
        tables = {table: dict(rows) for table, rows in self.tables.items()}
        return Snapshot({**tables, "Open_vSwitch": {"root": Row("root", dict(self.root))}}, "8.3.1")
