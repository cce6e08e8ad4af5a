"""Which interfaces have the program at their ingress, and by what: at first by a filter, for good by a tcx link.

A tcx link takes a packet to the program 0.1 us sooner than a filter of clsact, can be pinned, and goes with its last
holder. But the kernel makes it within a grace period of RCU, 14 ms in which nothing else about interfaces is done: a
thousand ports would take 14 s. A filter is there within 0.1 ms. So a port begins with a filter; ``settling`` gives it a
link when no more ports come, and the filter goes.

Invariants: an interface has the program from the end of ``attach`` to the beginning of ``detach``, without a gap, and
with both it sees each frame once: what a link's program takes, no filter sees, and it takes every frame. A link is
pinned before the filter goes, so whoever is killed leaves one of them at least. A filter that a killed process left is
replaced by ``attach``, or goes with the port (``host.ports``).
"""

from __future__ import annotations

import os
from pathlib import Path

from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.attach import attach_filter, detach_filter


class Attachments:
    """One program's, by the slot of each port. ``pins``, if given, is where links outlive the process."""

    def __init__(self, program: int, pins: Path | None) -> None:
        self.program = program
        self._pins = pins
        self._links: dict[int, int] = {}
        self._filtered: dict[int, int] = {}

    def attach(self, slot: int, index: int) -> None:
        """Put the program at an interface's ingress; one that holds it already gets this one.

        An interface that had the slot before is left as soon as the new one is there. Raises HostError.
        """
        old = self._link(slot)
        if old is not None and libbpf.link_index(old) == index:
            self._links[slot] = old
            libbpf.update_link(old, self.program)
            detach_filter(index)  # of a process that was killed between the two
            return
        attach_filter(self.program, index)
        self._drop(slot, old)
        self._filtered[slot] = index

    def detach(self, slot: int, index: int) -> None:
        """Take the program away from a slot's interface. Raises HostError."""
        self._filtered.pop(slot, None)
        self._drop(slot, self._link(slot))
        detach_filter(index)

    def next_filtered(self) -> tuple[int, int] | None:
        """A slot, and its interface, that has no link yet; the one that has waited longest."""
        return next(iter(self._filtered.items()), None)

    def settle(self, slot: int, index: int, link: int) -> None:
        """Take over a link that was made; one for an interface that has left the slot meanwhile is closed.

        Raises HostError; then the filter stays.
        """
        if self._filtered.get(slot) != index:
            os.close(link)
            return
        del self._filtered[slot]
        try:
            if self._pins is not None:
                libbpf.pin(link, self._path(slot))
        except BaseException:
            os.close(link)
            raise
        self._links[slot] = link
        detach_filter(index)

    def keep_filter(self, slot: int) -> None:
        """There is no link to be had for this one."""
        self._filtered.pop(slot, None)

    def close(self) -> None:
        """Detach what has links. Filters go with their ports."""
        for slot in list(self._links):
            self._drop(slot, self._link(slot))

    def abandon(self) -> None:
        """Give back descriptors; what is pinned, and filters, stay and work."""
        for link in self._links.values():
            os.close(link)
        self._links.clear()
        self._filtered.clear()

    def _drop(self, slot: int, link: int | None) -> None:
        self._links.pop(slot, None)
        if self._pins is not None:
            self._path(slot).unlink(missing_ok=True)
        if link is not None:
            os.close(link)

    def _link(self, slot: int) -> int | None:
        """The link of this process, or of an earlier one."""
        if slot in self._links or self._pins is None or not self._path(slot).exists():
            return self._links.get(slot)
        return libbpf.open_pinned(self._path(slot))

    def _path(self, slot: int) -> Path:
        assert self._pins is not None
        return self._pins / f"link-{slot}"
