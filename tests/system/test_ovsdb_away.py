"""The database is lost, restarted, made anew, another one, or rubbish: the switch goes on with what it last knew."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.journal import until
from lab.ovs import SCHEMA
from lab.ovsdb import Database
from tests.system.ovsdb_rig import OvsdbRig, with_database

pytestmark = pytest.mark.root


@pytest.fixture
def rig() -> Iterator[OvsdbRig]:
    with with_database() as rig:
        yield rig


def front(rig: OvsdbRig) -> dict[str, Any]:
    """What `inband show` says of the database."""
    found: dict[str, Any] = json.loads(rig.call("inband/show", "json"))["ovsdb"]
    return found


def configured(rig: OvsdbRig) -> None:
    """A switch that follows, with a bridge of two ports."""
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "add-port", "br0", "p2")
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)


def test_a_database_that_stops_and_starts_again_disturbs_nothing_and_is_followed_again(rig: OvsdbRig) -> None:
    configured(rig)
    index = rig.box.run("cat", "/sys/class/net/br0/ifindex")

    rig.database.stop()

    assert until(lambda: not front(rig)["followed"], 3.0)
    assert "is not followed" in rig.inband("health").stdout
    assert rig.h1.pings("10.0.0.12") == 3
    rig.database.start()
    rig.vsctl("del-port", "p2")
    assert rig.ports() == {"p1": 1}
    assert rig.column("interface", "p1", "ofport") == "1"
    assert rig.column("interface", "p1", "link_state") == "up"  # which the server forgot, and is told again
    assert rig.box.run("cat", "/sys/class/net/br0/ifindex") == index


def test_a_start_without_the_database_has_what_was_last_known(rig: OvsdbRig) -> None:
    configured(rig)
    assert rig.process is not None
    assert rig.process.stop() == 0
    rig.database.stop()

    rig.follow()

    assert rig.ports() == {"p1": 1, "p2": 2}
    assert not front(rig)["followed"]
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)
    rig.database.start()
    rig.vsctl("del-port", "p2")
    assert rig.ports() == {"p1": 1}


def test_what_is_known_survives_a_kill(rig: OvsdbRig) -> None:
    configured(rig)
    assert until(lambda: (rig.state_dir / "ovsdb.json").exists(), 8.0)
    assert rig.process is not None
    rig.process.kill9()
    rig.database.stop()

    rig.follow()

    assert rig.ports() == {"p1": 1, "p2": 2}


def test_a_database_made_anew_is_not_obeyed_before_something_is_configured_in_it(rig: OvsdbRig) -> None:
    configured(rig)
    rig.database.stop()
    rig.database.forget()

    rig.database.start()

    assert until(lambda: "nothing is configured" in (front(rig)["problem"] or ""), 5.0)
    assert rig.ports() == {"p1": 1, "p2": 2}
    rig.vsctl("add-br", "br5", "--", "add-port", "br5", "p1")
    assert front(rig)["followed"]
    assert front(rig)["bridges"] == ["br5"]
    assert rig.ports("br5") == {"p1": 1}


def test_the_last_bridge_may_be_deleted(rig: OvsdbRig) -> None:
    configured(rig)

    rig.vsctl("del-br", "br0")

    assert front(rig)["bridges"] == []
    assert front(rig)["followed"]


@pytest.mark.parametrize("change", ["fewer", "more", "none"])
def test_a_database_of_another_schema_gives_what_it_has(rig: OvsdbRig, change: str) -> None:
    configured(rig)
    rig.database.stop()
    other = Database(rig.lab, rig.box, "other", _schema(rig, change))
    other.socket = rig.database.socket
    other.remote = rig.database.remote
    other.start()

    if change == "none":
        assert until(lambda: "its schema lacks Interface" in (front(rig)["problem"] or ""), 5.0)
        assert rig.ports() == {"p1": 1, "p2": 2}
        return
    other.vsctl("add-br", "br0", "--", "add-port", "br0", "p2")
    assert rig.ports() == {"p2": 2}


def _schema(rig: OvsdbRig, change: str) -> Path:
    """Open vSwitch's schema with fewer columns and tables, with more, or without what is needed."""
    schema = json.loads(SCHEMA.read_text())
    schema["version"] = "9.9.9"
    tables = schema["tables"]
    if change == "fewer":
        del tables["Interface"]["columns"]["duplex"]
        del tables["Bridge"]["columns"]["rstp_status"]
        del tables["Bridge"]["columns"]["flow_tables"]
        del tables["Flow_Table"]
    if change == "more":
        tables["Novelty"] = {"columns": {"name": {"type": "string"}}, "isRoot": True}
        tables["Bridge"]["columns"]["novelty"] = {"type": "string"}
    if change == "none":
        del tables["Port"]["columns"]["interfaces"]
        del tables["Interface"]
    path = rig.lab.folder / "other.ovsschema"
    path.write_text(json.dumps(schema))
    return path


RUBBISH = [b"", b"\xff\xfe\x00", b"{}", b"[]" * 1000, b'{"id":null,"method":"update","params":[]}', b"{" * 100_000]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=range(len(RUBBISH)))
def test_a_server_that_sends_rubbish_changes_nothing(rig: OvsdbRig, rubbish: bytes) -> None:
    configured(rig)
    rig.database.stop()

    with Babbler(rig.database.socket, rubbish):
        assert until(lambda: not front(rig)["followed"], 8.0)
        assert rig.ports() == {"p1": 1, "p2": 2}
        assert rig.h1.pings("10.0.0.12") == 3
    rig.database.start()
    rig.vsctl("del-port", "p2")
    assert rig.ports() == {"p1": 1}


class Babbler:
    """Says the same to all who connect, then hangs up."""

    def __init__(self, path: Path, rubbish: bytes) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._path = path
        self._rubbish = rubbish
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5.0)
        self._path.unlink()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # that was all
                return
            with connection:
                try:
                    connection.sendall(self._rubbish)
                except OSError:  # it has had enough
                    continue


def test_a_state_file_that_is_rubbish_costs_what_was_known_and_nothing_else(rig: OvsdbRig) -> None:
    configured(rig)
    assert rig.process is not None
    assert rig.process.stop() == 0
    (rig.state_dir / "ovsdb.json").write_text('{"version": 1, "tables": [1, {}]}')

    rig.follow()

    assert until(lambda: front(rig)["followed"] and front(rig)["bridges"] == ["br0"], 5.0)
    assert until(lambda: rig.ports() == {"p1": 1, "p2": 2}, 5.0)
