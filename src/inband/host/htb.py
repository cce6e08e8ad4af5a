"""HTB's classes in rtnetlink's words: what one says, and how one is made.

Queue N is class 1:(N + 1), below class 1:fffe that limits them all, as Open vSwitch's linux-htb numbers them. A frame
gets there by its priority, which the datapaths set, and to queue 0 without one.

Invariants: any bytes at all give values or WireError, nothing else. What is written is read again as it was.

Sources: linux/pkt_sched.h, net/sched/sch_htb.c, tc-htb(8).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from inband.host import codec, tc
from inband.host.codec import Attributes

RTM_NEWTCLASS, RTM_DELTCLASS, RTM_GETTCLASS = 40, 41, 42

HANDLE = 0x10000
"""1:0, the discipline itself."""
LIMIT = HANDLE | 0xFFFE
"""The class above all queues."""

_TCA_HTB_PARMS, _TCA_HTB_INIT, _TCA_HTB_DIRECT_QLEN, _TCA_HTB_RATE64, _TCA_HTB_CEIL64 = 1, 2, 5, 6, 7

# struct tc_htb_opt: rate and ceil (cell_log, linklayer, overhead, cell_align, mpu, bytes/s), buffer, cbuffer, quantum,
# level, prio.
_OPT = struct.Struct("=BBHhHIBBHhHIIIIII")
_GLOB = struct.Struct("=5I")  # version, rate2quantum, default class, debug, packets that went past
_VERSION, _DEFAULT_CLASS = 3, 1
_RATE_TO_QUANTUM, _MAX_QUANTUM = 10, 200_000  # the kernel's own, which it applies where no quantum is given
_ETHERNET = 1  # TC_LINKLAYER_ETHERNET: rates count bytes of frames
_SHORTEST = 60  # bytes of the shortest frame of Ethernet without its checksum (IEEE 802.3, 3.2.8)
_U32 = 0xFFFFFFFF
_TICK_NS, _SECOND_NS = 64, 1_000_000_000

# The length, in packets, of the queue for frames of no class. There are none, for there is a default class: so it can
# tell disciplines that this program made from others', also after a kill -9.
_OURS = 0x1B0D


@dataclass(frozen=True, slots=True)
class HtbClass:
    """A class: rates in bytes/s, the quantum in bytes.

    Bursts are in the kernel's ticks of 64 ns, ``burst`` at ``rate`` and ``ceil_burst`` at ``ceil``: see ``ticks``.
    """

    handle: int
    parent: int
    rate: int
    ceil: int
    burst: int
    ceil_burst: int
    quantum: int
    priority: int = 0

    @property
    def body(self) -> bytes:
        """Its options, as the kernel is told them."""
        rates = [(0, _ETHERNET, 0, 0, _SHORTEST, min(rate, _U32)) for rate in (self.rate, self.ceil)]
        packed = _OPT.pack(*rates[0], *rates[1], self.burst, self.ceil_burst, self.quantum, 0, self.priority)
        options = codec.attribute(_TCA_HTB_PARMS, packed)
        for kind, rate in ((_TCA_HTB_RATE64, self.rate), (_TCA_HTB_CEIL64, self.ceil)):
            if rate > _U32:
                options += codec.number(kind, rate, 8)
        return options


def discipline_options() -> bytes:
    """Options of a new discipline that is marked as ours."""
    glob = _GLOB.pack(_VERSION, _RATE_TO_QUANTUM, _DEFAULT_CLASS, 0, 0)
    return codec.attribute(_TCA_HTB_INIT, glob) + codec.number(_TCA_HTB_DIRECT_QLEN, _OURS, 4)


def is_ours(options: Attributes) -> bool:
    """Whether a discipline with these options was made with ``discipline_options``; raises WireError."""
    mark = options.get(_TCA_HTB_DIRECT_QLEN)
    return mark is not None and codec.as_number(mark, 4) == _OURS


def read(body: bytes) -> tuple[HtbClass, Attributes, bool] | None:
    """A class of a discipline 1:, with its attributes and whether it is a leaf; None for others. Raises WireError."""
    _, _, handle, parent, _ = codec.fields(tc.TCMSG, body)
    said = tc.read(body)
    if said.kind != "htb" or handle & ~0xFFFF != HANDLE or handle == HANDLE:
        return None
    numbers = codec.fields(_OPT, said.options.get(_TCA_HTB_PARMS, b""))
    rate, ceil, (buffer, ceil_buffer, quantum, level, priority) = numbers[5], numbers[11], numbers[12:]
    rate, ceil = wide(said.options, _TCA_HTB_RATE64, rate), wide(said.options, _TCA_HTB_CEIL64, ceil)
    return HtbClass(handle, parent, rate, ceil, buffer, ceil_buffer, quantum, priority), said.attributes, not level


def wide(found: Attributes, kind: int, otherwise: int) -> int:
    """A number of 64 bits, which the kernel gives only where one of 32 does not do; raises WireError."""
    return codec.as_number(found[kind], 8) if kind in found else otherwise


def quantum_of(rate: int, mtu: int) -> int:
    """How many bytes a class with this rate sends before the next one's turn: a frame at least."""
    return max(mtu, min(rate // _RATE_TO_QUANTUM, _MAX_QUANTUM))


def size_of(burst: int, rate: int) -> int:
    """How many bytes a burst of so many ticks is at a rate."""
    return burst * _TICK_NS * rate // _SECOND_NS


def ticks(size: int, rate: int) -> int:
    """How long ``size`` bytes take, rounded up, so that a burst is never shorter than it was asked for."""
    return min(-(-size * _SECOND_NS // (rate * _TICK_NS)), _U32)
