"""What comes up from the program in the kernel: a record becomes a frame with its offload.

The frame is as it came: its VLAN tag, which the kernel keeps beside it, back in its place, and work that the sender
left to its card described as ``Frame.offload``.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.datapath.ebpf.layout import UPCALL, UpcallReason
from inband.datapath.ebpf.offload import describe_offload
from inband.flow.ports import PortNo, port_number
from inband.packet.frame import Frame
from inband.packet.vnet import restore_vlan, restore_vlan_offload

_REASONS = tuple(UpcallReason)


class Upcall(NamedTuple):
    """One frame, and why it came.

    ``key`` is the kernel's, as bytes. ``is_whole`` is False if the offload cannot be described whole (a tunnel's GSO).
    """

    in_port: PortNo
    frame: Frame
    reason: UpcallReason
    key: bytes
    is_whole: bool


def read_upcall(record: bytes) -> Upcall:
    """Take a record apart: struct upcall, then the frame, then unused bytes. Of a frame that is cut the rest is 0."""
    length, in_port, tci, tpid, checksum_at, gso_size, reason, key = UPCALL.unpack_from(record)
    data = record[UPCALL.size : UPCALL.size + length].ljust(length, b"\0")
    offload, is_whole = describe_offload(data, checksum_at, gso_size)
    if tpid != b"\0\0":
        data = restore_vlan(data, tci, int.from_bytes(tpid, "big"))
        offload = restore_vlan_offload(offload)
    return Upcall(port_number(in_port), Frame(data, offload), _REASONS[reason], key, is_whole)
