"""How ports have the program: by a filter at first, by a link then; each frame is decided once whatever happens."""

from __future__ import annotations

import asyncio
import platform
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from inband.datapath.ebpf import attach, attachments, libbpf
from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.userspace import UserspaceDatapath
from inband.flow.actions import Output
from inband.flow.match import Match
from inband.host.ports import PortOwnership
from inband.packet.frame import Frame
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from tests.packets.columns import PORTS, Ebpf, add_veth, ebpf, ip, own_namespace

pytestmark = pytest.mark.root

P1, P2, P3 = PORTS
FRAME = Frame(packets.tcp(payload=bytes(100)))
FROM_1 = Match.of(in_port=1)


needs_links = pytest.mark.skipif(
    tuple(map(int, platform.release().split(".")[:2])) < (6, 6), reason="tcx links came with Linux 6.6"
)


def filters(interface: str) -> str:
    command = ["tc", "filter", "show", "dev", interface, "ingress"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def has_program(interface: str) -> bool:
    return "inband direct-action" in filters(interface)


@pytest.fixture
def column() -> Iterator[Ebpf]:
    with ebpf() as standing:
        install(standing.datapath, megaflow_of(FROM_1, (Output(P2),)))
        yield standing


@needs_links
def test_a_frame_is_forwarded_once_by_the_filter_by_the_link_and_while_both_are_there(
    column: Ebpf, monkeypatch: pytest.MonkeyPatch
) -> None:
    column.arrive(P1, FRAME)
    assert (column.left()[P2], has_program("p1")) == ([FRAME.data], True)

    with monkeypatch.context() as killed:
        killed.setattr(attachments, "detach_filter", lambda index: None)
        column.datapath.settle()
    column.arrive(P1, FRAME)
    assert (column.left()[P2], has_program("p1")) == ([FRAME.data], True)

    attach.detach_filter(socket.if_nametoindex("p1"))
    column.arrive(P1, FRAME)
    assert (column.left()[P2], has_program("p1")) == ([FRAME.data], False)
    assert column.datapath.port_counters(P1).rx_packets == 3


@needs_links
def test_an_event_loop_gives_every_port_its_link(column: Ebpf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inband.datapath.ebpf.settling.QUIET_S", 0.0)

    async def until_settled() -> None:
        column.datapath.attach(asyncio.get_running_loop())
        while any(has_program(f"p{port}") for port in PORTS):
            await asyncio.sleep(0.02)
        column.datapath.detach()

    asyncio.run(asyncio.wait_for(until_settled(), 10.0))
    column.arrive(P1, FRAME)

    assert column.left()[P2] == [FRAME.data]


@needs_links
def test_a_port_that_goes_while_its_link_is_made_is_given_back_without_it(
    column: Ebpf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inband.datapath.ebpf.settling.QUIET_S", 0.0)
    made: list[int] = []

    def link_and_note(program: int, index: int) -> int:
        made.append(real(program, index))
        return made[-1]

    real = libbpf.link_tcx
    monkeypatch.setattr(libbpf, "link_tcx", link_and_note)

    async def remove_meanwhile() -> None:
        column.datapath.attach(asyncio.get_running_loop())
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # its thread has begun
        column.datapath.remove_port(P1)
        column.datapath.detach()

    asyncio.run(remove_meanwhile())

    assert made
    assert not is_open(made[0])
    assert "inband" not in filters("p1")


@pytest.mark.parametrize("number", libbpf.NO_TCX)
def test_where_there_are_no_links_ports_keep_their_filters_and_it_is_said_once(
    column: Ebpf, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    tries = []

    def refuse(program: int, index: int) -> int:
        tries.append(index)
        raise libbpf.refused("attach", number)

    monkeypatch.setattr(libbpf, "link_tcx", refuse)

    column.datapath.settle()
    column.arrive(P1, FRAME)

    assert column.left()[P2] == [FRAME.data]
    assert all(has_program(f"p{port}") for port in PORTS)
    assert column.datapath.notes == ["tcx is missing (Linux 6.6): attached by clsact"]
    assert len(tries) == 1
    assert "link_refused" not in column.datapath.counters()


def is_open(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").exists()


@needs_links
def test_a_link_for_an_interface_that_has_gone_is_none(column: Ebpf) -> None:
    ip("link del dev p1")

    column.datapath.settle()
    column.arrive(P2, FRAME)

    assert column.datapath.counters()["link_refused"] == 1
    assert not has_program("p2")


def test_what_a_killed_process_left_by_a_filter_goes_when_another_datapath_has_the_port() -> None:
    with own_namespace():
        add_veth(1)
        killed = EbpfDatapath()
        killed.add_port(P1, "p1")
        killed.abandon()
        assert has_program("p1")

        userspace = UserspaceDatapath()
        userspace.add_port(P1, "p1")

        assert not has_program("p1")
        userspace.close()


def test_what_a_killed_process_left_by_a_filter_goes_when_the_port_is_given_back() -> None:
    with own_namespace():
        add_veth(1)
        killed = EbpfDatapath()
        killed.add_port(P1, "p1")
        killed.abandon()

        stale = PortOwnership()
        stale.own_port("p1")
        stale.release_port("p1")

        assert filters("p1") == ""
        shown = subprocess.run(["tc", "qdisc", "show", "dev", "p1"], capture_output=True, text=True, check=True)
        assert "clsact" not in shown.stdout


def test_a_process_that_ends_early_takes_the_filters_of_one_before_it_along(tmp_path: Path) -> None:
    with own_namespace():
        add_veth(1)
        killed = EbpfDatapath(pin_dir=tmp_path / "pins")
        killed.add_port(P1, "p1")
        killed.abandon()

        EbpfDatapath(pin_dir=tmp_path / "pins").close()

        assert not has_program("p1")
