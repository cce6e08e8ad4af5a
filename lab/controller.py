"""A controller that is as unhelpful as the scenario wants: mute, or hostile on command.

It answers HELLO, asks for FEATURES, echoes every so often, and installs nothing; that is *mute*. Told so on its
standard input, it does harm to every switch that is connected or connects later, again every half second:

    drop            delete all flows, then drop everything at priority 65535 in every table
    to-controller   delete all flows, then send everything to the controller
    twist           delete all flows, groups and meters, then have meters, groups that lose packets, spent TTLs and
                    queues that are not there handle everything in every table (1.3 only)
    detour          delete all flows, then lead everything through all tables and forget it in the last (1.3 only)
    throne          be a slave, be refused, be master again, want to hear nothing; then as drop (1.3 only)
    port-mod BITS   set these configuration bits on every port and on LOCAL
    fill N          add N flows
    echo N          ask for N bytes back
    deaf            want to hear nothing that was not asked for (1.3 only)
    calm            stop doing that (what was done stays)

One JSON object a line goes to the log: ``t`` (CLOCK_MONOTONIC in seconds, the same clock in every namespace),
``event`` and what belongs to it. :mod:`lab.journal` computes "up at" and "longest silence" from it.

It runs as a process of its own (`python -m lab.controller`) because an interpreter lives in one namespace.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import struct
import sys
import time
from typing import TextIO

from lab import messages as of

REPEAT_S = 0.5
"""How often a hostile controller repeats its harm, so that a switch gets no quiet moment to recover in."""


class Controller:
    """What all connections share: the log, the current orders, and the connections themselves."""

    def __init__(self, log: TextIO, version: int, echo_s: float, orders: list[str]) -> None:
        self.version = version
        self.echo_s = echo_s
        self.orders = orders
        self._log = log
        self._connections: set[Connection] = set()
        self._numbers = itertools.count(1)

    def note(self, event: str, **details: object) -> None:
        """Append one line to the log."""
        self._log.write(json.dumps({"t": time.monotonic(), "event": event, **details}) + "\n")
        self._log.flush()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Look after one switch until it goes away."""
        connection = Connection(self, next(self._numbers), reader, writer)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    def obey(self, line: str) -> None:
        """Take one line of orders; the next round of harm follows at once."""
        self.orders = [] if line in ("calm", "mute") else [*self.orders, line]
        self.note("order", line=line)
        for connection in self._connections:
            connection.harm()


class Connection:
    """One switch's session."""

    def __init__(
        self, controller: Controller, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._controller = controller
        self._version = controller.version
        self._number = number
        self._reader = reader
        self._writer = writer
        self._dpid = ""
        self._tables = self._all_tables = 1
        self._ports: list[tuple[int, bytes]] = []
        self._xids = itertools.count(100)

    async def run(self) -> None:
        """Shake hands, then read until the connection ends; rubbish from the switch ends it too, and is logged."""
        self._note("accept", peer=self._writer.get_extra_info("peername")[0])
        self._send(of.hello(self._version), of.message(self._version, of.FEATURES_REQUEST, 2))
        timers = [asyncio.create_task(self._echo()), asyncio.create_task(self._repeat())]
        reason = "closed"
        try:
            while True:
                version, kind, length, xid = struct.unpack("!BBHI", await self._reader.readexactly(8))
                self._take(version, kind, xid, await self._reader.readexactly(length - 8))
        except asyncio.IncompleteReadError:
            pass
        except (OSError, struct.error, ValueError) as error:
            reason = str(error)
        finally:
            for timer in timers:
                timer.cancel()
            self._note("disconnect", reason=reason)
            self._writer.close()

    def harm(self) -> None:
        """Carry out the current orders, once."""
        if not self._dpid:
            return
        for order in self._controller.orders:
            name, _, argument = order.partition(" ")
            self._send(*self._harm(name, int(argument or "0", 0)))
        if self._controller.orders:
            self._note("harm")

    def _harm(self, name: str, argument: int) -> list[bytes]:
        version, xids = self._version, self._xids
        tables = range(self._tables if version >= of.V13 else 1)
        match name:
            case "drop":
                return [
                    of.delete_all(version, next(xids)),
                    *(of.drop_all(version, next(xids), each) for each in tables),
                ]
            case "to-controller":
                return [of.delete_all(version, next(xids)), of.to_controller(version, next(xids))]
            case "twist" if version >= of.V13:
                return [
                    of.delete_all(version, next(xids)),
                    *of.take_powers_back(next(xids)),
                    *of.powers(next(xids)),
                    *(flow for each in tables for flow in of.twisted(next(xids), each)),
                ]
            case "detour" if version >= of.V13:
                last = self._all_tables - 1
                chain = (of.detours(next(xids), each, last) for each in range(self._all_tables))
                return [of.delete_all(version, next(xids)), *chain]
            case "throne" if version >= of.V13:
                return [*of.throne(next(xids)), of.delete_all(version, next(xids)), of.drop_all(version, next(xids))]
            case "port-mod":
                return [of.port_mod(version, next(xids), port, mac, argument) for port, mac in self._ports]
            case "echo":
                return [of.message(version, of.ECHO_REQUEST, next(xids), bytes(argument))]
            case "deaf":
                return [of.deaf(next(xids))]
            case "fill":
                return [of.filler(version, next(xids), number) for number in range(argument)]
            case _:
                raise ValueError(f"{name}: no such order")

    def _take(self, version: int, kind: int, xid: int, body: bytes) -> None:
        match kind:
            case of.ECHO_REQUEST:
                self._send(of.message(version, of.ECHO_REPLY, xid, body))
            case of.ECHO_REPLY if len(body) == 8:
                self._note("echo", rtt=time.monotonic() - float(struct.unpack("!d", body)[0]))
            case of.FEATURES_REPLY:
                self._take_features(body)
            case of.MULTIPART_REPLY:
                self._ports = [*self._ports, *of.ports_of(version, body[8:])]
                self.harm()
            case of.ERROR:
                self._note("error", type=int.from_bytes(body[:2]), code=int.from_bytes(body[2:4]))
            case of.PACKET_IN:
                self._note("packet_in", length=len(body))

    def _take_features(self, body: bytes) -> None:
        self._dpid = body[:8].hex()
        self._all_tables = body[12]
        self._tables = min(body[12], 4)  # more tables than four would only repeat the same harm
        self._note("features_reply", tables=body[12])
        if self._version == of.V10:
            self._ports = of.ports_of(of.V10, body[24:])
            self.harm()
        else:
            self._send(of.port_desc_request(next(self._xids)))

    async def _echo(self) -> None:
        while True:
            await asyncio.sleep(self._controller.echo_s)
            if self._dpid:
                self._send(
                    of.message(self._version, of.ECHO_REQUEST, next(self._xids), struct.pack("!d", time.monotonic()))
                )

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(REPEAT_S)
            self.harm()

    def _send(self, *parts: bytes) -> None:
        self._writer.write(b"".join(parts))

    def _note(self, event: str, **details: object) -> None:
        self._controller.note(event, conn=self._number, dpid=self._dpid, **details)


async def main() -> None:
    """Listen until the process is ended."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--listen", action="append", required=True, help="ADDRESS:PORT, several times if wanted")
    options.add_argument("--log", required=True)
    options.add_argument("--version", type=int, default=of.V13, help="OpenFlow wire version: 1 or 4")
    options.add_argument("--echo-interval", type=float, default=0.1)
    options.add_argument("--order", action="append", default=[], help="an order to start with")
    given = options.parse_args()
    with open(given.log, "a", encoding="ascii") as log:
        controller = Controller(log, given.version, given.echo_interval, given.order)
        servers = []
        for target in given.listen:
            host, _, port = target.rpartition(":")
            servers.append(await asyncio.start_server(controller.serve, host, int(port)))
        controller.note("listening")
        lines = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(lines)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while line := await lines.readline():
            controller.obey(line.decode().strip())
        await asyncio.Event().wait()  # no orders come: mute for ever


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
