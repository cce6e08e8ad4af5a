"""A rig whose switch follows a real ovsdb-server, and `ovs-vsctl` for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.net import Lab
from lab.ovsdb import Database
from tests.system.switch_rig import Rig


class OvsdbRig(Rig):
    """As ``Rig``; ``vsctl`` waits for the switch, as people's does."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.database = Database(lab, self.box)
        self.vsctl = self.database.vsctl

    def follow(self, *options: str) -> None:
        """Start a switch that follows."""
        self.start("--ovsdb", self.database.remote, *options)

    def column(self, table: str, record: str, column: str) -> str:
        """A column as `ovs-vsctl get` prints it, without its quotes."""
        return self.vsctl("--no-wait", "get", table, record, column).strip('"')


@contextmanager
def with_database() -> Iterator[OvsdbRig]:
    """A rig whose database runs; the switch is started by the test."""
    with Lab("ovx") as lab:
        rig = OvsdbRig(lab)
        rig.database.start()
        yield rig
