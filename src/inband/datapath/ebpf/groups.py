"""Groups of which each packet takes one bucket, in the kernel: ``bpf/groups.h`` chooses.

Invariant: what is here of a group is all of it, its buckets first. As rules they change only while these are suspended.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.layout import (
    BUCKET_HEAD,
    BUCKET_SIZE,
    GROUP_HEAD,
    GROUP_SIZE,
    MAX_GROUPS,
    MAX_SHARES,
    OP,
    SHARE,
)
from inband.datapath.ebpf.tallies import Tallies
from inband.datapath.ebpf.visits import Known, compile_bucket
from inband.datapath.rules import BucketRule
from inband.flow.ports import PortNo
from inband.pipeline.visits import groups_among


class KernelGroups(Container[int]):
    """The groups of one kernel, and which there are."""

    def __init__(self, kernel: Kernel, tallies: Tallies, slot_of: Callable[[PortNo], int]) -> None:
        self._groups, self._buckets = kernel.map("groups"), kernel.map("buckets")
        self._tallies = tallies
        self._slot_of = slot_of
        self._slots: dict[int, dict[BucketRule, int]] = {}

    def __contains__(self, group_id: object) -> bool:
        return group_id in self._slots

    def put(self, group_id: int, buckets: Sequence[BucketRule]) -> bool:
        """As ``RuleTable.put_group``."""
        self.remove(group_id)
        compiled = [self._compile(bucket) for bucket in buckets]
        if not 0 < len(buckets) <= MAX_SHARES or len(self._slots) >= MAX_GROUPS or None in compiled:
            return False
        slots = self._slots[group_id] = {bucket: self._tallies.take(bucket) for bucket in buckets}
        if not all(slots.values()):
            self.remove(group_id)
            return False
        shares = []
        for (bucket, slot), ops in zip(slots.items(), compiled, strict=True):
            value = BUCKET_HEAD.pack(slot, len(ops or b"") // OP.size) + (ops or b"")
            libbpf.update(self._buckets, slot.to_bytes(4, "little"), value.ljust(BUCKET_SIZE, b"\0"))
            shares.append(SHARE.pack(bucket.share.weight, bucket.share.identity, slot))
        value = GROUP_HEAD.pack(len(shares)) + b"".join(shares)
        libbpf.update(self._groups, group_id.to_bytes(4, "little"), value.ljust(GROUP_SIZE, b"\0"))
        return True

    def remove(self, group_id: int) -> None:
        """As ``RuleTable.remove_group``."""
        slots = [slot for slot in self._slots.pop(group_id, {}).values() if slot]
        if slots:
            libbpf.delete(self._groups, group_id.to_bytes(4, "little"))
        for slot in slots:
            libbpf.delete(self._buckets, slot.to_bytes(4, "little"))
            self._tallies.give_back(slot)

    def clear(self) -> None:
        """Have none."""
        for group_id in list(self._slots):
            self.remove(group_id)

    def _compile(self, bucket: BucketRule) -> bytes | None:
        steps = bucket.share.applied
        return (
            compile_bucket(steps, Known(self._slot_of)) if all(each in self for each in groups_among(steps)) else None
        )
