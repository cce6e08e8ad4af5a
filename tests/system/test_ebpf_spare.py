"""A program that is loaded ahead: a bridge gets it whole, and what no bridge took is given back."""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Event, current_thread

import pytest

from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.ebpf.kernel import Kernel, remove_pins
from inband.datapath.ebpf.spare import AHEAD, Spare
from inband.errors import HostError

pytestmark = pytest.mark.root


@pytest.fixture
def made() -> Iterator[Spare]:
    """A spare place, which leaves no descriptor."""
    libbpf.cpu_count()  # loads the library
    before = _descriptors()
    found = Spare()
    yield found
    found.close()
    assert _descriptors() == before


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that load a program, from now on."""
    threads: list[str] = []
    load = libbpf.BpfObject.load

    def noting(self: libbpf.BpfObject, program: str) -> int:
        threads.append(current_thread().name)
        return load(self, program)

    monkeypatch.setattr(libbpf.BpfObject, "load", noting)
    return threads


def test_bridges_that_are_expected_find_the_program_loaded(made: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = _loaded(monkeypatch)
    made.expect([None, None])

    kernels = [Kernel(spare=made) for _ in range(3)]

    assert [name.startswith("inband-spare") for name in threads] == [True, True, False]
    assert len({kernel.program for kernel in kernels} | {kernel.map("config") for kernel in kernels}) == 6
    for kernel in kernels:
        kernel.close()


def test_what_no_bridge_takes_is_given_back(made: Spare) -> None:
    before = _descriptors()
    made.expect([None])

    made.expect([])

    assert made.take(None) is None
    assert _descriptors() == before


@pytest.mark.parametrize("expected", ["it", "another", "any"])
def test_maps_that_a_dead_process_left_come_first(
    made: Spare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: str
) -> None:
    left, threads = tmp_path / "br0", _loaded(monkeypatch)
    first = Kernel(left)
    first.set_mask_count(7)
    first.abandon()
    made.expect([{"it": left, "another": tmp_path / "br1", "any": None}[expected]])

    second = Kernel(left, made)

    assert second.adopted
    assert second.config[8:12] == struct.pack("=I", 7)
    assert [name.startswith("inband-spare") for name in threads[1:]] == ([True] if expected == "it" else [True, False])
    second.close()


def test_what_was_left_of_another_bridge_is_not_taken(made: Spare, tmp_path: Path) -> None:
    first = Kernel(tmp_path / "br0")
    first.set_mask_count(7)
    first.abandon()
    made.expect([tmp_path / "br0"])

    second = Kernel(tmp_path / "br1", made)

    assert not second.adopted
    assert second.config[8:12] == bytes(4)
    second.close()
    remove_pins(tmp_path / "br0")


def test_why_it_cannot_be_loaded_is_said_to_the_bridge(made: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: libbpf.BpfObject, program: str) -> int:
        raise HostError("load the eBPF program", "not today")

    monkeypatch.setattr(libbpf.BpfObject, "load", refuse)
    made.expect([None])

    with pytest.raises(HostError, match="not today"):
        Kernel(spare=made)


def test_several_are_loaded_at_once_and_none_too_many(made: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Barrier(AHEAD)
    load = libbpf.BpfObject.load

    def together(self: libbpf.BpfObject, program: str) -> int:
        both.wait(20.0)
        return load(self, program)

    monkeypatch.setattr(libbpf.BpfObject, "load", together)
    made.expect([None] * AHEAD)

    kernels = [Kernel(spare=made) for _ in range(AHEAD)]

    assert len({kernel.program for kernel in kernels}) == AHEAD
    for kernel in kernels:
        kernel.close()


def test_who_waits_for_it_to_be_loaded_holds_up_nothing(made: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    may_load = Event()
    load = libbpf.BpfObject.load

    def later(self: libbpf.BpfObject, program: str) -> int:
        may_load.wait(20.0)
        return load(self, program)

    async def wait_and_go_on() -> bool:
        waiting = asyncio.ensure_future(made.loaded())
        await asyncio.sleep(0.01)
        has_waited = not waiting.done()
        may_load.set()
        await waiting
        return has_waited

    monkeypatch.setattr(libbpf.BpfObject, "load", later)
    made.expect([None])

    assert asyncio.run(wait_and_go_on())
    Kernel(spare=made).close()


def test_waiting_for_what_cannot_be_loaded_ends(made: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: libbpf.BpfObject, program: str) -> int:
        raise HostError("load the eBPF program", "not today")

    monkeypatch.setattr(libbpf.BpfObject, "load", refuse)
    made.expect([None])

    asyncio.run(made.loaded())

    assert made.take(None) is None


def test_a_bridge_that_has_nothing_to_do_takes_less_than_a_megabyte() -> None:
    EbpfDatapath().close()  # what the first one imports and opens
    before = resident_bytes()

    datapaths = [EbpfDatapath() for _ in range(4)]

    each = (resident_bytes() - before) / len(datapaths)
    for datapath in datapaths:
        datapath.close()
    assert each < 1_000_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
