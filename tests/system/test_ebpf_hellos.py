"""The program takes a neighbour's hellos that say nothing new, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import monotonic

import pytest

from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.hellos import KernelHellos
from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.layout import HELLO_WINDOW, PORT_IN
from inband.fabric.hello import Heard as Named
from inband.fabric.hello import Hello, encode, frame
from inband.flow.ports import PortNo
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from tests.packets.columns import own_namespace

pytestmark = pytest.mark.root

LOOPBACK, SLOT, PORT = 1, 40, PortNo(7)
SOURCE = Mac(0x0200000000AA)
LAST = 1 << 32
HEARD = Named(boot=0xA1B2C3D4, port=0x01020304, sequence=2000, hold=77)
HELLO = Hello(0x1122334455667788, 0x99AABBCC, 0x05060708, 100, 20, 20, heard=HEARD)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """A program at no interface, for which the loopback interface, by whose name test runs come, is a port."""
    with own_namespace():
        made = Kernel()
        index = LOOPBACK.to_bytes(4, "little")
        libbpf.update(made.map("ports_in"), index, PORT_IN.pack(LOOPBACK, int(PORT).to_bytes(4, "big"), SLOT))
        yield made
        made.close()


@pytest.fixture
def hellos(kernel: Kernel) -> Iterator[KernelHellos]:
    made = KernelHellos(kernel.map("hellos"), {PORT: SLOT}.__getitem__)
    yield made
    made.close()


def of(hello: Hello, source: Mac = SOURCE) -> bytes:
    return frame(encode(hello), source)


def comes_up(kernel: Kernel, data: bytes) -> bool:
    libbpf.try_program(kernel.program, data)
    return kernel.control_ring.read() is not None


def test_the_next_one_is_noted_with_when_it_came(kernel: Kernel, hellos: KernelHellos) -> None:
    hellos.expect(PORT, of(HELLO), 100, 2001)
    before = monotonic()

    first = comes_up(kernel, of(replace(HELLO, sequence=101)))
    second = comes_up(kernel, of(replace(HELLO, sequence=104, heard=replace(HEARD, sequence=2001, hold=65535))))

    last = hellos.last(PORT)
    assert (first, second) == (False, False)
    assert (last.sequence, last.heard_sequence, last.hold, last.taken) == (104, 2001, 65535, 2)
    assert before <= last.at <= monotonic()


@pytest.mark.parametrize(
    "data",
    [
        of(HELLO),
        of(replace(HELLO, sequence=99)),
        of(replace(HELLO, sequence=100 + HELLO_WINDOW)),
        *(of(replace(HELLO, sequence=101, **{name: 21})) for name in ("switch", "boot", "port")),  # type: ignore[arg-type]
        *(of(replace(HELLO, sequence=101, **{name: 40})) for name in ("interval_ms", "wanted_ms")),  # type: ignore[arg-type]
        of(replace(HELLO, sequence=101, heard=None)).ljust(60, b"\0"),
        of(replace(HELLO, sequence=101, heard=replace(HEARD, boot=1))),
        of(replace(HELLO, sequence=101, heard=replace(HEARD, port=HEARD.port + 1))),
        of(replace(HELLO, sequence=101, heard=replace(HEARD, sequence=2002))),
        of(replace(HELLO, sequence=101, heard=replace(HEARD, sequence=2001 - HELLO_WINDOW))),
        of(replace(HELLO, sequence=101, mac=SOURCE)),
        of(replace(HELLO, sequence=101)) + b"\0",
        of(replace(HELLO, sequence=101))[:-1],
        of(replace(HELLO, sequence=101), Mac(0x0200000000AB)),
        packets.vlan(of(replace(HELLO, sequence=101)), 5, 0),
    ],
)
def test_any_other_comes_up_and_changes_nothing(kernel: Kernel, hellos: KernelHellos, data: bytes) -> None:
    hellos.expect(PORT, of(HELLO), 100, 2001)

    assert comes_up(kernel, data)
    assert hellos.last(PORT).taken == 0
    assert not comes_up(kernel, of(replace(HELLO, sequence=101)))


def test_numbers_go_round(kernel: Kernel, hellos: KernelHellos) -> None:
    hellos.expect(PORT, of(replace(HELLO, sequence=LAST - 1)), LAST - 1, 3)

    assert not comes_up(kernel, of(replace(HELLO, sequence=2, heard=replace(HEARD, sequence=LAST - 5))))
    assert hellos.last(PORT).heard_sequence == LAST - 5


def test_what_is_said_makes_room_for_answers_to_it_and_who_is_ignored_comes_up(
    kernel: Kernel, hellos: KernelHellos
) -> None:
    answer = of(replace(HELLO, sequence=101, heard=replace(HEARD, sequence=2002)))
    hellos.expect(PORT, of(HELLO), 100, 2001)

    early = comes_up(kernel, answer)
    hellos.said(PORT, 2002)
    taken = not comes_up(kernel, answer)
    hellos.ignore(PORT)
    ignored = comes_up(kernel, of(replace(HELLO, sequence=102)))
    hellos.expect(PORT, of(replace(HELLO, sequence=102)), 102, 2002)

    assert (early, taken, ignored) == (True, True, True)
    assert hellos.last(PORT).taken == 1, "what is expected anew does not forget how many came"


def test_without_an_expectation_all_come_up(kernel: Kernel, hellos: KernelHellos) -> None:
    assert comes_up(kernel, of(replace(HELLO, sequence=1)))
    assert hellos.last(PORT) == (0, 0, 0, 0, 0.0)
