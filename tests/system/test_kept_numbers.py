"""Port numbers, datapath id and MAC address outlive restarts, edits, renames and replaced cards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.journal import until
from lab.net import Lab
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Lab("kpt") as lab:
        yield Rig(lab)


def _identity(rig: Rig) -> dict[str, Any]:
    document = rig.show()
    macs = {port["name"]: port["mac"] for port in document["ports"]}
    return {"datapath_id": document["datapath_id"], "mac": macs["br0"]}


def _ports(*names: str) -> list[str]:
    return ["--bridge", "br0", *(word for name in names for word in ("--port", name))]


def test_a_reboot_with_ports_in_another_order_and_other_cards_changes_no_number(rig: Rig) -> None:
    rig.box.ip("link add p3 type veth peer name q3")
    first = rig.start(*_ports("p1", "p2", "p3"))
    before = _identity(rig)
    assert rig.ports() == {"p1": 1, "p2": 2, "p3": 3}
    assert first.stop() == 0
    rig.box.ip("link set p3 address 02:00:00:00:00:01")  # another card, with a lower MAC address than all

    rig.start(*_ports("p3", "p1"))

    assert rig.ports() == {"p1": 1, "p3": 3}
    assert _identity(rig) == before


def test_a_port_that_is_renamed_or_replaced_keeps_its_number(rig: Rig) -> None:
    rig.start(*_ports("p1", "p2"))

    rig.box.ip("link set p2 down")
    rig.box.ip("link set p2 name old")
    rig.box.ip("link set old up")
    assert until(lambda: rig.ports() == {"p1": 1, "old": 2}, 3.0)
    assert "interface p2 is called old now" in rig.log()
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)

    rig.box.ip("link add p2 type veth peer name q2")

    assert until(lambda: rig.ports() == {"p1": 1, "p2": 2}, 3.0)


def test_a_port_that_leaves_for_another_namespace_and_comes_back_has_its_number(rig: Rig) -> None:
    rig.start(*_ports("p1", "p2"))

    rig.box.ip(f"link set p1 netns {rig.h2.name}")
    assert until(lambda: rig.ports() == {"p2": 2}, 3.0)
    rig.h2.ip(f"link set p1 netns {rig.box.name}")

    assert until(lambda: rig.ports() == {"p1": 1, "p2": 2}, 3.0)


def test_a_pinned_number_is_obeyed_and_moves_who_has_it(rig: Rig) -> None:
    rig.start(*_ports("p1", "p2=7"))
    assert rig.ports() == {"p1": 1, "p2": 7}

    rig.box.ip("link add p3 type veth peer name q3")
    rig.call("inband/add-port", "br0", "p3=1")

    assert rig.ports() == {"p3": 1, "p2": 7, "p1": 2}


@pytest.mark.parametrize("contents", ["{", '{"version": 9}'])
def test_a_broken_state_directory_stops_nothing_and_is_said_once(rig: Rig, contents: str) -> None:
    rig.state_dir.mkdir(mode=0o700)
    (rig.state_dir / "state.json").write_text(contents)

    rig.start(*_ports("p1", "p2"))

    assert rig.ports() == {"p1": 1, "p2": 2}
    assert rig.log().count("state.json") == 1
