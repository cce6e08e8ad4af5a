"""The ports of the eBPF datapath: which interface is which port, in the kernel's maps and here.

Each port has a slot, by which entries name it: an interface that comes back with another index is written into the
slot, and every entry is right again. It keeps the slot when it goes, until there is none that no port ever had. Frames
that this process sends leave by packet sockets with a vnet header (``userspace_port``), because offload goes with
them; frames that the program forwards never come here.

Invariants: an interface is in the maps before the program is attached to it, and out of them after it is
detached; the host's stack is kept away (``host.ports``) from before the one until after the other.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from inband.datapath.base import Counters, PortCounters
from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.layout import MAX_PORTS, PORT_IN, PORT_OUT, PORT_STATS
from inband.datapath.ebpf.peer import peer_to_skip_to
from inband.datapath.ebpf.settling import Settling
from inband.datapath.userspace_port import Port as Sender
from inband.errors import HostError, UsageError
from inband.flow.ports import PortNo
from inband.host.ports import set_promiscuous
from inband.host.requests import Requests
from inband.packet.frame import Frame
from inband.vocabulary.addresses import BROADCAST


class Ownership(Protocol):
    """Keeps the host's own stack from seeing the frames of a port, and gives it back as it was (``host.ports``)."""

    def own_port(self, interface: str) -> object:
        """From now on only packet sockets and the program see what it receives. Raises HostError or UsageError."""

    def release_port(self, interface: str) -> None:
        """Give it back. Raises nothing."""


@dataclass(slots=True)
class _Port:
    """One port. ``sender.counters`` are of frames that this process sent; ``before`` is what the slot counted for
    others before it was this port's.
    """

    slot: int
    sender: Sender
    before: PortCounters


class _Out(NamedTuple):
    """struct port_out."""

    ifindex: int = 0
    number: int = 0
    peer_allowed: int = 0
    peer_mac: bytes = bytes(6)


class Ports:
    """The ports of one kernel's program."""

    def __init__(self, kernel: Kernel, counters: Counters, ownership: Ownership, settling: Settling) -> None:
        self._kernel = kernel
        self._settling = settling
        self._counters = counters
        self._ownership = ownership
        self._cpus = libbpf.cpu_count()
        self._ports: dict[PortNo, _Port] = {}
        self._slots: dict[PortNo, int] = {}
        self._gone: dict[PortNo, None] = {}
        self._numbers: dict[int, PortNo] = {}
        self._unused = iter(range(1, MAX_PORTS))
        self._earlier: set[PortNo] = set()
        self.kept: set[PortNo] = set()
        """Ports that are the interfaces which they were in an earlier process."""
        self._peer_redirect = False
        if kernel.adopted:
            self._adopt()

    def __iter__(self) -> Iterator[PortNo]:
        return iter(list(self._ports))

    def slot_of(self, port: PortNo) -> int:
        """The slot of a port, there or not; 0, where nothing ever is, when all are taken."""
        slot = self._slots.get(port)
        if slot is None:
            slot = next(self._unused, 0)
            if slot:
                self._slots[port] = slot
        return slot

    def _take_slot(self, port: PortNo) -> int:
        """As ``slot_of``, of a port that comes: where none is left it has that of the one that has been gone longest.

        Whoever heard that a port is gone has no entry any more that names it.
        """
        slot = self.slot_of(port)
        if not slot and self._gone:
            gone = next(iter(self._gone))
            del self._gone[gone]
            self.kept.discard(gone)
            slot = self._slots[port] = self._slots.pop(gone)
        self._gone.pop(port, None)
        return slot

    # Coming and going

    def add(self, port: PortNo, interface: str) -> None:
        """Own an interface. Raises HostError; then nothing has changed, but for a port that was there before."""
        old = self._ports.get(port)
        owned = old is not None and old.sender.interface == interface
        try:
            self._ownership.own_port(interface)
        except UsageError as error:
            raise HostError(f"add port {port}", str(error), errno=errno.ENODEV) from error
        try:
            opened = self._open(port, interface)
        except HostError:
            if not owned:
                self._ownership.release_port(interface)
            if old is None and port in self._slots:
                self._gone[port] = None
            raise
        if old is not None:
            self._leave(old)
            opened.sender.counters = old.sender.counters
            opened.before = old.before
            if not owned:
                self._ownership.release_port(old.sender.interface)
            self._forget_index(old, port)
        self._ports[port] = opened
        self._numbers[opened.sender.index] = port
        self._settling.began()

    def remove(self, port: PortNo) -> None:
        """Give an interface back; a port that is not there is ignored."""
        gone = self._ports.pop(port, None)
        if gone is None:
            return
        self._gone[port] = None
        self._forget_index(gone, port)
        self._vacate(gone.slot, gone.sender.index)
        for name, count in gone.sender.losses().items():
            self._counters.add(name, count)
        gone.sender.close()
        self._ownership.release_port(gone.sender.interface)

    def abandon(self) -> None:
        """Give back descriptors, nothing else."""
        for port in self._ports.values():
            port.sender.close()
        self._ports.clear()
        self._numbers.clear()

    def release_earlier(self, index: int | None = None) -> None:
        """Forget ports of an earlier process that are none of ours, or only those of one interface."""
        for port in list(self._earlier):
            slot = self._slots[port]
            left = self._read_out(slot)
            if index is None or left.ifindex == index:
                self._vacate(slot, left.ifindex)
                self._earlier.discard(port)

    def _open(self, port: PortNo, interface: str) -> _Port:
        slot = self._take_slot(port)
        if not slot:
            raise HostError(f"add port {port}", f"there are {MAX_PORTS - 1} ports already", errno=errno.ENOSPC)
        sender = _open_sender(port, interface)
        self._earlier.discard(port)
        self.release_earlier(sender.index)  # it may have had another number
        try:
            opened = _Port(slot, sender, self._counted(slot))
            self._put(opened, port)
        except HostError:
            sender.close()
            raise
        return opened

    def _put(self, port: _Port, number: PortNo) -> None:
        """Write an interface into the maps and attach the program; the slot's other interface gets its due."""
        index = port.sender.index
        old = self._read_out(port.slot)
        is_new = index != old.ifindex
        if not is_new and number not in self._ports:
            self.kept.add(number)
        self._write_in(index, number, port.slot)
        try:
            self._kernel.attachments.attach(port.slot, index)
            with Requests() as requests:  # the ownership remembers how it was
                set_promiscuous(requests, index, promiscuous=True)
        except HostError:
            if is_new:
                self._delete_in(index)
            raise
        if is_new and old.peer_allowed:
            self._write_out(port.slot, old._replace(peer_allowed=0))  # before the program sees the other interface
        self._write_out(port.slot, _Out(index, number))
        self._look_at_peer(port)

    def _forget_index(self, old: _Port, port: PortNo) -> None:
        if self._numbers.get(old.sender.index) == port:
            del self._numbers[old.sender.index]

    def _leave(self, old: _Port) -> None:
        """Its slot belongs to another interface, or to the same one opened again."""
        old.sender.close()
        if self._read_out(old.slot).ifindex != old.sender.index:
            self._delete_in(old.sender.index)

    def _vacate(self, slot: int, index: int) -> None:
        self._write_out(slot, _Out())
        self._settling.finish(slot)
        self._kernel.attachments.detach(slot, index)
        self._delete_in(index)

    def _adopt(self) -> None:
        taken = set()
        for slot in range(1, MAX_PORTS):
            out = self._read_out(slot)
            if out.ifindex:
                self._slots[PortNo(out.number)] = slot
                taken.add(slot)
                self._earlier.add(PortNo(out.number))
            if out.peer_allowed:  # that was looked at by a process that is dead
                self._write_out(slot, out._replace(peer_allowed=0))
        self._unused = iter([slot for slot in range(1, MAX_PORTS) if slot not in taken])

    def _write_in(self, index: int, number: int, slot: int) -> None:
        """Say which port an interface is; the place where that is found at once has another one, if that was first."""
        value = PORT_IN.pack(index, number.to_bytes(4, "big"), slot)
        libbpf.update(self._kernel.map("ports_in"), index.to_bytes(4, "little"), value)
        if self._near(index) in (0, index):
            libbpf.update(self._kernel.map("ports_near"), _place(index), value)

    def _delete_in(self, index: int) -> None:
        libbpf.delete(self._kernel.map("ports_in"), index.to_bytes(4, "little"))
        if self._near(index) == index:
            libbpf.update(self._kernel.map("ports_near"), _place(index), bytes(PORT_IN.size))

    def _near(self, index: int) -> int:
        """The index of the interface that has the near place of this one; 0 for none."""
        found = libbpf.look_up(self._kernel.map("ports_near"), _place(index), PORT_IN.size)
        return int(PORT_IN.unpack(found)[0]) if found else 0

    def _read_out(self, slot: int) -> _Out:
        found = libbpf.look_up(self._kernel.map("ports_out"), slot.to_bytes(4, "little"), PORT_OUT.size)
        return _Out(*PORT_OUT.unpack(found)) if found else _Out()

    def _write_out(self, slot: int, out: _Out) -> None:
        libbpf.update(self._kernel.map("ports_out"), slot.to_bytes(4, "little"), PORT_OUT.pack(*out))

    # Peers

    def set_peer_redirect(self, *, allowed: bool) -> None:
        """Whether known unicast may skip ports (``peer``); that it may be skipped is asked of each port besides."""
        self._peer_redirect = allowed
        self.look_at()

    def look_at(self, index: int | None = None) -> None:
        """An interface, or any (None), is not what it was: may it still be skipped?"""
        if index is not None:
            number = self._numbers.get(index)
            ports = [] if number is None else [self._ports[number]]
        else:
            ports = list(self._ports.values())
        for port in ports:
            self._look_at_peer(port)

    def _look_at_peer(self, port: _Port) -> None:
        out = self._read_out(port.slot)
        peer = peer_to_skip_to(port.sender.interface, out.ifindex) if self._peer_redirect else None
        allowed = out._replace(peer_allowed=0 if peer is None else 1, peer_mac=(peer or BROADCAST).packed)
        if allowed != out:
            self._write_out(port.slot, allowed)

    # Frames and counters

    def send(self, port: PortNo, queue: int | None, frame: Frame) -> None:
        """Send a frame; what cannot be sent is counted."""
        out = self._ports.get(port)
        if out is None:
            self._counters.add("output_no_port")
            return
        out.sender.transmit(queue, frame, self._counters)

    def counters(self, port: PortNo) -> PortCounters:
        """What the program and this process counted for a port since it was added."""
        found = self._ports.get(port)
        if found is None:
            return PortCounters()
        now, before, sent = self._counted(found.slot), found.before, found.sender.counters
        return PortCounters(
            rx_packets=now.rx_packets - before.rx_packets,
            tx_packets=now.tx_packets - before.tx_packets + sent.tx_packets,
            rx_bytes=now.rx_bytes - before.rx_bytes,
            tx_bytes=now.tx_bytes - before.tx_bytes + sent.tx_bytes,
            rx_dropped=now.rx_dropped - before.rx_dropped,
            tx_dropped=now.tx_dropped - before.tx_dropped + sent.tx_dropped,
        )

    def losses(self) -> Counters:
        """Named counters of what the sockets could not do as wanted."""
        total = Counters()
        for port in self._ports.values():
            for name, count in port.sender.losses().items():
                total.add(name, count)
        return total

    def _counted(self, slot: int) -> PortCounters:
        size = PORT_STATS.size
        found = libbpf.look_up(self._kernel.map("port_stats"), slot.to_bytes(4, "little"), size * self._cpus)
        rx, rx_bytes, tx, tx_bytes, rx_lost, tx_lost = (
            sum(column) for column in zip(*PORT_STATS.iter_unpack(found or bytes(size)), strict=True)
        )
        return PortCounters(rx, tx, rx_bytes, tx_bytes, rx_lost, tx_lost)


def _place(index: int) -> bytes:
    """Where in ``ports_near`` an interface may be."""
    return (index % MAX_PORTS).to_bytes(4, "little")


def _open_sender(port: PortNo, interface: str) -> Sender:
    try:
        sender = Sender(port, interface, socket.if_nametoindex(interface), bytearray())
        sender.sender(None)
    except OSError as error:
        reason = f"{error.strerror}; sending frames needs CAP_NET_RAW"
        raise HostError(f"open {interface}", reason, errno=error.errno or 0) from error
    return sender
