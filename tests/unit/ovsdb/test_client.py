"""The thread that follows: what is to be written is written, whatever comes meanwhile, and a lost server is sought."""

from __future__ import annotations

import os
import queue
import select
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from inband.errors import HostError
from inband.ovsdb.client import Client, Connected, Event, Lost
from inband.ovsdb.replica import Replica
from inband.ovsdb.rows import Row, Snapshot

SNAPSHOT = Snapshot({"Open_vSwitch": {"root": Row("root")}})
VALUES: dict[tuple[str, str], dict[str, Any]] = {("Bridge", "u"): {"status": {}}}


class FakeReplica:
    """A server that says what ``turns`` say, one a turn; ``written`` is what it was told."""

    def __init__(self, *turns: Callable[[], Snapshot | None]) -> None:
        self.has_rows = self.is_idle = True
        self.written: queue.Queue[Mapping[Any, Any]] = queue.Queue()
        self._turns = list(turns)

    def run(self) -> Snapshot | None:
        return self._turns.pop(0)() if self._turns else None

    def wait(self, descriptor: int) -> None:
        if not self._turns:
            select.select([descriptor], [], [], 1.0)

    def write(self, values: Mapping[Any, Any]) -> None:
        self.written.put(values)

    def close(self) -> None:
        pass


def follow(*replicas: FakeReplica) -> tuple[Client, queue.Queue[Event]]:
    """A client that is connected to one after the other."""
    events: queue.Queue[Event] = queue.Queue()
    left = list(replicas)
    return Client("unix:/x", events.put, lambda _: cast(Replica, left.pop(0))), events


def test_what_is_to_be_written_survives_rows_that_come_meanwhile() -> None:
    clients: list[Client] = []

    def as_rows_come() -> Snapshot:
        clients[0].write(VALUES)
        return SNAPSHOT

    replica = FakeReplica(as_rows_come)
    client, events = follow(replica)
    clients.append(client)

    client.start()

    assert replica.written.get(timeout=5.0) == VALUES
    assert events.get(timeout=5.0) == Connected(SNAPSHOT)
    client.stop()


@pytest.mark.parametrize("error", [HostError("follow", "it went"), ValueError("rubbish"), RecursionError()])
def test_a_server_that_is_lost_is_told_and_the_next_one_followed(error: Exception) -> None:
    def lose() -> Snapshot:
        raise error

    client, events = follow(FakeReplica(lose), FakeReplica(lambda: SNAPSHOT))

    client.start()

    assert isinstance(events.get(timeout=5.0), Lost)
    assert events.get(timeout=5.0) == Connected(SNAPSHOT)
    client.stop()


def test_a_client_that_stops_leaves_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    client, _ = follow(FakeReplica())

    client.start()
    client.stop()

    assert len(os.listdir("/proc/self/fd")) == before
