"""What is asked of a port's queues: rates, bursts, priorities (ovs-vswitchd.conf.db(5), QoS and Queue tables)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

HIGHEST_QUEUE = 0xEFFF
"""The highest number of a queue, as Open vSwitch's linux-htb has it: classes above are not queues."""


class QosKind(StrEnum):
    """What shapes a port: queues with rates (HTB), a discipline of the kernel's with its own defaults, or nothing."""

    HTB = "linux-htb"
    SFQ = "linux-sfq"
    CODEL = "linux-codel"
    FQ_CODEL = "linux-fq_codel"
    NOOP = "linux-noop"


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """One queue: rates in bit/s and the burst in bits, None: the default. Of two queues the lower ``priority`` wins."""

    min_rate_bps: int | None = None
    max_rate_bps: int | None = None
    burst_bits: int | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class PortQos:
    """One port: ``max_rate_bps`` is that of all queues together (None: the link's speed), ``queues`` by number."""

    kind: QosKind
    max_rate_bps: int | None = None
    queues: tuple[tuple[int, QueueConfig], ...] = ()
