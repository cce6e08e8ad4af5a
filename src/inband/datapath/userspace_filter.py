"""Classic BPF programs that sort a port's frames into sockets: control, discovery, link-local, data, tagged data.

A flood of data must not push control frames out of a queue, so each port has sockets of its own for both, and the
kernel sorts before it queues. Control is what ``ControlHints`` says: ARP, router and neighbour discovery, DHCP and DNS
over UDP, and TCP and UDP from or to the hinted ports. ARP and discovery have a socket of their own, which is not read
while a storm of them is over the port's pace, so that the kernel drops it; so has what stays on its link, such as
neighbours' hellos. Data frames with a tag have one because only a slower system call tells the tag, which the kernel
keeps beside the frame.

Invariants: exactly one of the five programs of the same hints accepts a frame, whatever it holds. The kernel rejects a
frame when a program reads behind its end, so each read is preceded by a check of the length. Where a frame goes is
decided elsewhere; sorted wrongly it is only queued wrongly. So when there are too many ports to name, the programs take
a range that covers them.

Sources: linux/filter.h; the kernel's Documentation/networking/filter.rst.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from struct import Struct

from inband.vocabulary.addresses import BRIDGE_GROUP
from inband.vocabulary.numbers import (
    DHCP_CLIENT,
    DHCP_SERVER,
    DHCPV6_CLIENT,
    DHCPV6_SERVER,
    DNS_PORT,
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    IP_ICMPV6,
    IP_TCP,
    IP_UDP,
    REDIRECT,
    ROUTER_SOLICITATION,
)

UDP_CONTROL_PORTS = (DNS_PORT, DHCP_SERVER, DHCP_CLIENT, DHCPV6_CLIENT, DHCPV6_SERVER)
# Router solicitation and advertisement, neighbour solicitation and advertisement, redirect (RFC 4861, 4).
ND_TYPES = (ROUTER_SOLICITATION, REDIRECT)

# A range takes eight instructions of eight bytes, and older kernels give a socket's options 20 kB (optmem_max).
MAX_RANGES = 256

_INSTRUCTION = Struct("=HBBI")
_LDH_ABS, _LDB_ABS, _LDW_ABS, _LDH_IND = 0x28, 0x30, 0x20, 0x48
_LDW_LEN, _LD_MEM, _ST, _LDX_IHL = 0x80, 0x60, 0x02, 0xB1
_JA, _JEQ, _JGT, _JGE, _JSET = 0x05, 0x15, 0x25, 0x35, 0x45
_JGE_X = 0x3D
_ADD, _TXA, _TAX, _RET = 0x04, 0x87, 0x07, 0x06
# SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT
_TAG_PRESENT = 0xFFFFF000 + 48
_WHOLE_FRAME = 0xFFFFFFFF


class Queue(Enum):
    """Which frames a socket gets."""

    CONTROL = "control"
    DISCOVERY = "discovery"
    LINK_LOCAL = "link_local"
    DATA = "data"
    TAGGED_DATA = "tagged_data"


def build_filter(queue: Queue, ports: frozenset[int]) -> list[bytes]:
    """The program for a queue, as packed ``struct sock_filter``."""
    program = _Program()
    if queue in (Queue.DATA, Queue.TAGGED_DATA):
        unwanted = 0 if queue is Queue.TAGGED_DATA else 1
        program.emit(_LDW_ABS, _TAG_PRESENT)
        program.jump(_JEQ, unwanted, yes="reject")
    targets = {each: "accept" if each is queue else "reject" for each in Queue}
    targets[Queue.DATA] = "accept" if queue in (Queue.DATA, Queue.TAGGED_DATA) else "reject"
    _sort(program, targets, _ranges(ports))
    program.label("reject").emit(_RET, 0)
    program.label("accept").emit(_RET, _WHOLE_FRAME)
    return program.assemble()


def _sort(program: _Program, targets: Mapping[Queue, str], ranges: list[tuple[int, int]]) -> None:
    """Jump to the label of the queue that a frame belongs to; with or without a tag data is data."""
    control, discovery, data = targets[Queue.CONTROL], targets[Queue.DISCOVERY], targets[Queue.DATA]
    program.need(14, otherwise=data).emit(_LDW_ABS, 0)
    program.jump(_JEQ, BRIDGE_GROUP >> 16, no="not link-local").emit(_LDH_ABS, 4)
    program.jump(_JGT, 0xF, no=targets[Queue.LINK_LOCAL])
    program.label("not link-local").emit(_LDH_ABS, 12)
    program.jump(_JEQ, ETH_ARP, yes=discovery)
    program.jump(_JEQ, ETH_IPV4, yes="ipv4")
    program.jump(_JEQ, ETH_IPV6, yes="ipv6", no=data)
    _ipv4(program, data)
    _ipv6(program, discovery, data)
    program.label("udp")
    for port in UDP_CONTROL_PORTS:
        _either_port(program, port, port, control)
    program.label("tcp")
    for low, high in ranges:
        _either_port(program, low, high, control)
    program.goto(data)


def _ipv4(program: _Program, data: str) -> None:
    """Leave the ports in memory words 0 and 1 and go on to "udp" or "tcp"."""
    program.label("ipv4").need(14 + 20, otherwise=data).emit(_LDH_ABS, 20)
    program.jump(_JSET, 0x1FFF, yes=data)
    # The header may claim to be longer than the frame: ports end 18 bytes behind the length it claims.
    program.emit(_LDX_IHL, 14).emit(_TXA).emit(_ADD, 14 + 4).emit(_TAX)
    program.emit(_LDW_LEN)
    program.jump(_JGE_X, 0, no=data)
    program.emit(_LDX_IHL, 14)
    program.emit(_LDH_IND, 14).emit(_ST, 0)
    program.emit(_LDH_IND, 16).emit(_ST, 1)
    program.emit(_LDB_ABS, 23)
    program.jump(_JEQ, IP_UDP, yes="udp")
    program.jump(_JEQ, IP_TCP, yes="tcp", no=data)


def _ipv6(program: _Program, discovery: str, data: str) -> None:
    program.label("ipv6").need(54 + 4, otherwise=data)
    program.emit(_LDH_ABS, 54).emit(_ST, 0)
    program.emit(_LDH_ABS, 56).emit(_ST, 1)
    program.emit(_LDB_ABS, 20)
    program.jump(_JEQ, IP_UDP, yes="udp")
    program.jump(_JEQ, IP_TCP, yes="tcp")
    program.jump(_JEQ, IP_ICMPV6, no=data)
    program.emit(_LDB_ABS, 54)
    program.jump(_JGE, ND_TYPES[0], no=data)
    program.jump(_JGT, ND_TYPES[1], yes=data, no=discovery)


def _either_port(program: _Program, low: int, high: int, control: str) -> None:
    """Go to ``control`` if one of the two ports in memory is in the range."""
    for word in (0, 1):
        program.emit(_LD_MEM, word)
        if low == high:
            program.jump(_JEQ, low, yes=control)
        else:
            program.skip_unless_in(low, high, control)


def _ranges(ports: Iterable[int]) -> list[tuple[int, int]]:
    """The ports as few ranges: exact ones where that is possible, else one that covers all."""
    ranges: list[tuple[int, int]] = []
    for port in sorted(ports):
        if ranges and ranges[-1][1] == port - 1:
            ranges[-1] = (ranges[-1][0], port)
        else:
            ranges.append((port, port))
    return ranges if len(ranges) <= MAX_RANGES else [(ranges[0][0], ranges[-1][1])]


@dataclass(slots=True)
class _Instruction:
    code: int
    value: int = 0
    yes: str | int = 0
    no: str | int = 0


class _Program:
    """An assembler with labels. Conditional jumps reach only 255 instructions, so each far one goes by a ``ja``."""

    def __init__(self) -> None:
        self._instructions: list[_Instruction] = []
        self._labels: dict[str, int] = {}

    def emit(self, code: int, value: int = 0) -> _Program:
        self._instructions.append(_Instruction(code, value))
        return self

    def label(self, name: str) -> _Program:
        self._labels[name] = len(self._instructions)
        return self

    def goto(self, label: str) -> None:
        self._instructions.append(_Instruction(_JA, 0, label))

    def jump(self, code: int, value: int, *, yes: str = "", no: str = "") -> _Program:
        """A condition; "" means the next instruction. The jumps behind it are unconditional, which reach anywhere."""
        if yes and no:
            self._instructions.append(_Instruction(code, value, 0, 1))
            self.goto(yes)
            self.goto(no)
        elif yes:
            self._instructions.append(_Instruction(code, value, 0, 1))
            self.goto(yes)
        else:
            self._instructions.append(_Instruction(code, value, 1, 0))
            self.goto(no)
        return self

    def need(self, length: int, *, otherwise: str) -> _Program:
        """Go elsewhere if the frame is shorter."""
        self.emit(_LDW_LEN)
        self.jump(_JGE, length, no=otherwise)
        return self

    def skip_unless_in(self, low: int, high: int, label: str) -> None:
        """Go to the label if low <= A <= high."""
        self._instructions.append(_Instruction(_JGE, low, 0, 2))
        self._instructions.append(_Instruction(_JGT, high, 1, 0))
        self.goto(label)

    def assemble(self) -> list[bytes]:
        packed = []
        for index, instruction in enumerate(self._instructions):
            yes, no, value = instruction.yes, instruction.no, instruction.value
            if isinstance(yes, str):
                value, yes = self._labels[yes] - index - 1, 0
            assert isinstance(no, int)
            packed.append(_INSTRUCTION.pack(instruction.code, yes, no, value))
        return packed
