"""One connection to a database server, by the IDL of Open vSwitch's library: rows out, column values in.

Rows that changed are converted, and no others, so a change costs what it is large, not what the database is. Counters
go past the IDL: it would have each one that is written sent back, and read it again, for a thousand ports each time.
"""

from __future__ import annotations

import os
import time
import uuid
import warnings
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from inband.errors import HostError, UsageError
from inband.ovsdb.rows import COUNTED, READ, WRITTEN, Row, Snapshot

DATABASE = "Open_vSwitch"
NEEDED = {"Open_vSwitch", "Bridge", "Port", "Interface"}
"""Tables without which there is nothing to follow."""
# Silence after which the server is asked for a sign of life.
PROBE_MS = 5000
# How long a connection, and the answer with the schema, may take.
CONNECT_MS = 3000
# How long the answer to a transaction may take. A relay whose server dies meanwhile gives none at all.
ANSWER_S = 5.0
# Between looks at a connection that says nothing: as long as a lost one may go unnoticed.
LOOK_MS = 500


def load_library() -> None:
    """Import the library now, in the calling thread. Raises UsageError when it is not installed.

    It tries eventlet, which warns of itself where it happens to be installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for module in ("ovs.db.idl", "ovs.jsonrpc", "ovs.poller", "ovs.stream"):
                import_module(module)
    except ImportError:
        raise UsageError(
            "ovsdb: the library `ovs` is not installed: `pip install 'inband[ovsdb]'`, or on Debian "
            "`apt install python3-openvswitch`"
        ) from None


def connect(remote: str) -> Replica:
    """Connect to one of the servers (commas between); rows come later. Raises HostError."""
    reasons = []
    for one in remote.split(","):
        schema = _schema_of(one)
        if not isinstance(schema, str):
            return Replica(remote, schema)
        reasons.append(f"{one}: {schema}")
    raise HostError("reach the database", ", ".join(reasons), temporary=True)


def _schema_of(remote: str) -> Mapping[str, Any] | str:
    """The schema of a server's database, or why there is none."""
    from ovs.jsonrpc import Connection, Message
    from ovs.stream import Stream

    error, stream = Stream.open_block(Stream.open(remote), CONNECT_MS)
    if error:
        return os.strerror(error)
    connection = Connection(stream)
    try:
        request = Message.create_request("get_schema", [DATABASE])
        error, reply = _ask(connection, request)
    finally:
        connection.close()
    if error:
        return os.strerror(error) if error > 0 else "it ended the connection"
    if reply.error or not isinstance(reply.result, dict):
        return f"it has no database {DATABASE} ({reply.error})"
    return dict(reply.result)


def _ask(connection: Any, request: Any) -> tuple[int, Any]:
    """Send a request and wait for its answer, which is the first message of a connection but for probes."""
    import errno

    from ovs.poller import Poller
    from ovs.timeval import msec

    error = connection.send(request)
    deadline = msec() + CONNECT_MS
    while not error:
        connection.run()
        error, message = connection.recv()
        if error not in (0, errno.EAGAIN):
            break
        if message is not None and message.id == request.id:
            return 0, message
        if msec() > deadline:
            return errno.ETIMEDOUT, None
        error = 0
        poller = Poller()
        connection.wait(poller)
        connection.recv_wait(poller)
        poller.timer_wait(100)
        poller.block()
    return error, None


class Replica:
    """The rows as one server tells them."""

    def __init__(self, remote: str, schema: Mapping[str, Any]) -> None:
        """``schema`` is the server's (RFC 7047, 3.2); tables and columns that it does not have are left out."""
        from ovs.db import idl

        there = schema.get("tables", {})
        if not there.keys() >= NEEDED:
            raise HostError("follow the database", f"its schema lacks {', '.join(sorted(NEEDED - there.keys()))}")
        helper = idl.SchemaHelper(schema_json=dict(schema))
        self._version = str(schema.get("version", ""))
        self._columns: dict[str, tuple[str, ...]] = {}
        for table, read in READ.items():
            if table in there:
                columns = there[table]["columns"]
                self._columns[table] = tuple(column for column in read if column in columns)
                written = [column for column in WRITTEN.get(table, ()) if column in columns]
                helper.register_columns(table, [*self._columns[table], *written])
        self._counted = {
            table for table, column in COUNTED.items() if column in there.get(table, {}).get("columns", {})
        }
        self._counts: dict[tuple[str, str], Mapping[str, int]] = {}
        self._idl = _make_idl(remote, helper, self._changed)
        for table, columns in WRITTEN.items():
            for column in columns:
                if table in self._idl.tables and column in self._idl.tables[table].columns:
                    self._idl.tables[table].columns[column].alert = False  # what is written need not be read
        self._seqno = self._idl.change_seqno
        self._rows: dict[str, dict[str, Row]] = {table: {} for table in self._columns}
        self._dirty: dict[tuple[str, Any], Any] = {}
        self._transaction: Any = None
        self._done = (idl.Transaction.SUCCESS, idl.Transaction.UNCHANGED)
        self._deadline = 0.0
        self._was_connected = False
        self.has_rows = False

    @property
    def is_idle(self) -> bool:
        """Whether something can be written now."""
        return self.has_rows and self._transaction is None

    def run(self) -> Snapshot | None:
        """Take what the server has sent; the rows when some that are read changed. Raises HostError when it is lost."""
        self._idl.run()
        self._check_connection()
        self._settle()
        self._send_counts()
        if self._idl.change_seqno == self._seqno:
            return None
        self._seqno = self._idl.change_seqno
        self.has_rows = True
        for (table, key), row in self._dirty.items():
            if row is None:
                self._rows[table].pop(str(key), None)
            else:
                self._rows[table][str(key)] = Row(str(key), self._values(table, row))
        self._dirty.clear()
        return Snapshot({table: dict(rows) for table, rows in self._rows.items()}, self._version)

    def _settle(self) -> None:
        """See what became of the transaction under way. Raises HostError when it was refused."""
        if self._transaction is None:
            return
        status = self._transaction.commit()
        if status == self._transaction.INCOMPLETE:
            if time.monotonic() > self._deadline:
                raise HostError("write to the database", f"no answer in {ANSWER_S:g} s", temporary=True)
        else:
            error, self._transaction = self._transaction.get_error(), None
            if status not in self._done:
                raise HostError("write to the database", f"{status}: {error}", temporary=True)

    def _check_connection(self) -> None:
        # No public method tells; without this, a database that is away would look like one in which nothing happens.
        is_connected = self._idl._session.is_connected()
        if self._was_connected and not is_connected:
            raise HostError("follow the database", "the connection was lost", temporary=True)
        self._was_connected = is_connected

    def wait(self, descriptor: int) -> None:
        """Sleep until the server sends something, or ``descriptor`` can be read, or it is time to look again."""
        from ovs.poller import POLLIN, Poller

        poller = Poller()
        self._idl.wait(poller)
        if self._transaction is not None:
            self._transaction.wait(poller)
        poller.fd_wait(descriptor, POLLIN)
        poller.timer_wait(LOOK_MS)
        poller.block()

    def write(self, values: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """Begin a transaction; rows and columns that are not there (any more) are left out."""
        from ovs.db import idl

        transaction = idl.Transaction(self._idl)
        for (table, key), columns in values.items():
            counts = columns.get(COUNTED.get(table, ""))
            if counts is not None and table in self._counted:
                self._counts[table, key] = counts
            rows = self._idl.tables[table].rows if table in self._idl.tables else {}
            row = rows.get(uuid.UUID(key)) if uuid.UUID(key) in rows else None
            for column, value in columns.items():
                if row is not None and column in self._idl.tables[table].columns:
                    setattr(row, column, value)
        self._transaction, self._deadline = transaction, time.monotonic() + ANSWER_S
        self._settle()
        self._send_counts()

    def _send_counts(self) -> None:
        """Send counters that wait, unless the server is behind: later ones take their place then.

        Nothing waits for the answer. A row that is gone is none that is updated (RFC 7047, 5.2.3).
        """
        from ovs.jsonrpc import Message

        session = self._idl._session
        if not self._counts or session.rpc is None or session.rpc.get_backlog():
            return
        operations = [
            {
                "op": "update",
                "table": table,
                "where": [["_uuid", "==", ["uuid", key]]],
                "row": {COUNTED[table]: ["map", [[name, count] for name, count in counts.items()]]},
            }
            for (table, key), counts in self._counts.items()
        ]
        self._counts.clear()
        session.send(Message.create_request("transact", [DATABASE, *operations]))

    def close(self) -> None:
        """Hang up."""
        self._idl.close()

    def _changed(self, table: str, key: Any, row: Any) -> None:
        if table in self._columns:
            self._dirty[table, key] = row

    def _values(self, table: str, row: Any) -> dict[str, object]:
        return {column: plain(getattr(row, column)) for column in self._columns[table]}


def plain(value: Any) -> object:
    """A value of the library without the library: sets are tuples, rows are their UUIDs as text."""
    if isinstance(value, list):
        return tuple(plain(one) for one in value)
    if isinstance(value, dict):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str | int | bool | float) or value is None:
        return value
    return str(value.uuid)


def _make_idl(remote: str, helper: Any, changed: Any) -> Any:
    """An IDL that says which rows changed; made here, for the library is imported late."""
    from ovs.db import idl

    class Following(idl.Idl):  # type: ignore[misc]
        def notify(self, event: str, row: Any, updates: Any = None) -> None:
            changed(row._table.name, row.uuid, None if event == idl.ROW_DELETE else row)

    return Following(remote, helper, probe_interval=PROBE_MS, leader_only=False)
