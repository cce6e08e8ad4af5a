"""What comes up from the program in the kernel: a record becomes a frame with its offload.

The frame is as it came: its VLAN tag, which the kernel keeps beside it, back in its place, and work that the sender
left to its card described as ``Frame.offload``, for the program saw what only the kernel knows (GSO size) and what
shows in the bytes (a checksum that is no more than the pseudo-header's sum).
"""

from __future__ import annotations

from typing import NamedTuple

from inband.datapath.ebpf.layout import GSO_UNKNOWN, UPCALL, UpcallReason
from inband.flow.ports import PortNo, port_number
from inband.packet.frame import Frame, Offload
from inband.packet.vnet import restore_vlan, restore_vlan_offload

_REASONS = tuple(UpcallReason)


class Upcall(NamedTuple):
    """One frame, and why it came.

    ``key`` is the kernel's, as bytes. ``is_whole`` is False if the frame's GSO cannot be described (a tunnel's).
    """

    in_port: PortNo
    frame: Frame
    reason: UpcallReason
    key: bytes
    is_whole: bool


def read_upcall(record: bytes) -> Upcall:
    """Take a record apart (struct upcall, then the frame, then unused bytes)."""
    (
        length,
        in_port,
        tci,
        tpid,
        checksum_start,
        checksum_offset,
        gso_size,
        header_length,
        gso_type,
        reason,
        key,
    ) = UPCALL.unpack_from(record)
    data = record[UPCALL.size : UPCALL.size + length]
    is_whole = gso_type != GSO_UNKNOWN
    offload = None
    if not is_whole:
        gso_size = gso_type = header_length = 0
    if checksum_start or gso_size:
        start, offset = (checksum_start, checksum_offset) if checksum_start else (-1, 0)
        offload = Offload(start, offset, gso_type, gso_size, header_length)
    if tpid != b"\0\0":
        data = restore_vlan(data, tci, int.from_bytes(tpid, "big"))
        offload = restore_vlan_offload(offload)
    return Upcall(port_number(in_port), Frame(data, offload), _REASONS[reason], key, is_whole)
