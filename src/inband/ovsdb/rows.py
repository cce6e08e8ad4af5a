"""The rows of Open vSwitch's database as plain values: what was read last, to be translated and kept.

A snapshot is what the library's replica held at one moment, without the library: it goes from thread to thread, into
the state directory and, in tests, into literals. Sets are tuples, references are UUIDs as text, keys of maps are text.

Invariant: nothing that a row holds makes an accessor raise. A database of another schema, or a file that was
edited, gives values of other types; they read as not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Document = Mapping[str, object]

READ: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Open_vSwitch": ("bridges", "manager_options", "ssl", "other_config", "external_ids", "next_cfg"),
        "Bridge": (
            *("name", "ports", "controller", "fail_mode", "protocols", "datapath_type", "other_config"),
            *("flow_tables", "stp_enable", "rstp_enable", "mcast_snooping_enable"),
            *("mirrors", "netflow", "sflow", "ipfix"),
        ),
        "Port": ("name", "interfaces", "tag", "trunks", "vlan_mode", "qos", "other_config"),
        "Interface": (
            *("name", "type", "options", "mac", "ofport_request", "mtu_request"),
            *("ingress_policing_rate", "ingress_policing_kpkts_rate"),
        ),
        "Controller": (
            *("target", "connection_mode", "max_backoff", "inactivity_probe"),
            *("local_ip", "local_netmask", "local_gateway"),
        ),
        "Manager": ("target", "connection_mode"),
        "SSL": ("private_key", "certificate", "ca_cert", "bootstrap_ca_cert"),
        "Flow_Table": ("flow_limit", "overflow_policy"),
        "QoS": ("type", "queues", "other_config"),
        "Queue": ("other_config", "dscp"),
        "Mirror": (
            *("name", "select_all", "select_src_port", "select_dst_port", "select_vlan"),
            *("output_port", "output_vlan", "snaplen"),
        ),
        # Refused, and named here because the library wants to know what columns refer to.
        "NetFlow": ("targets",),
        "sFlow": ("targets",),
        "IPFIX": ("targets",),
    }
)
"""Columns that are followed, by table: those of ovs-vswitchd.conf.db(5) that mean something here or are refused."""

WRITTEN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Open_vSwitch": ("cur_cfg", "ovs_version", "db_version", "datapath_types", "iface_types"),
        "Bridge": ("datapath_id", "datapath_version", "status", "rstp_status"),
        "Port": ("status", "rstp_status", "rstp_statistics"),
        "Interface": (
            *("ofport", "mac_in_use", "mtu", "error", "link_state", "admin_state", "ifindex", "link_speed", "duplex"),
            *("status", "link_resets"),
        ),
        "Controller": ("is_connected", "role", "status"),
    }
)
"""Columns that the switch writes, by table. The rows of Manager are the database server's own."""

COUNTED: Mapping[str, str] = MappingProxyType({"Interface": "statistics", "Mirror": "statistics"})
"""Columns of counters, by table: written every few seconds, and not read back."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``columns`` hold text, numbers, truth values, tuples of these, and mappings from text to these."""

    uuid: str
    columns: Mapping[str, object] = field(default_factory=dict)

    def text(self, column: str) -> str:
        """A string, or the only one in a set; empty when it is not set."""
        value = self._one(column)
        return value if isinstance(value, str) else ""

    def number(self, column: str) -> int | None:
        """An integer, or the only one in a set; None when it is not set."""
        value = self._one(column)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def flag(self, column: str) -> bool:
        """A truth value; False when it is not set."""
        return self._one(column) is True

    def texts(self, column: str) -> tuple[str, ...]:
        """The strings, or the references, of a set."""
        return tuple(value for value in self._all(column) if isinstance(value, str))

    def numbers(self, column: str) -> tuple[int, ...]:
        """The integers of a set."""
        return tuple(value for value in self._all(column) if isinstance(value, int) and not isinstance(value, bool))

    def map(self, column: str) -> Mapping[str, str]:
        """A map whose values are strings or references."""
        value = self.columns.get(column)
        pairs = value.items() if isinstance(value, Mapping) else ()
        return {key: text for key, text in pairs if isinstance(key, str) and isinstance(text, str)}

    def _one(self, column: str) -> object:
        values = self._all(column)
        return values[0] if len(values) == 1 else None

    def _all(self, column: str) -> tuple[object, ...]:
        value = self.columns.get(column)
        if isinstance(value, tuple | list):
            return tuple(value)
        return () if value is None else (value,)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows by table and UUID. ``version`` is that of the server's schema."""

    tables: Mapping[str, Mapping[str, Row]] = field(default_factory=dict)
    version: str = ""

    @property
    def root(self) -> Row | None:
        """The one row of Open_vSwitch; None in a database that nothing was written to yet (``ovs-vsctl init``)."""
        return next(iter(self.tables.get("Open_vSwitch", {}).values()), None)

    def row(self, table: str, uuid: str) -> Row | None:
        """A row by its UUID."""
        return self.tables.get(table, {}).get(uuid)

    def rows(self, table: str, uuids: tuple[str, ...]) -> list[Row]:
        """Those of these rows that are there."""
        found = self.tables.get(table, {})
        return [found[uuid] for uuid in uuids if uuid in found]


def document_of(snapshot: Snapshot) -> Document:
    """A snapshot for the state directory."""
    tables = {table: {uuid: dict(row.columns) for uuid, row in rows.items()} for table, rows in snapshot.tables.items()}
    return {"schema": snapshot.version, "tables": tables}


def snapshot_of(document: object) -> Snapshot:
    """The same from a document; what is no row in it is left out."""
    found = document if isinstance(document, Mapping) else {}
    tables = found.get("tables")
    return Snapshot(
        {
            str(table): {str(uuid): Row(str(uuid), columns) for uuid, columns in rows.items() if _is_map(columns)}
            for table, rows in (tables.items() if isinstance(tables, Mapping) else ())
            if _is_map(rows)
        },
        str(found.get("schema", "")),
    )


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping)
