"""The datapaths that the table runs on, each with three ports and something at the other end of them.

A column is a datapath with the means to put frames on its ports' wires and to see what comes out of them. Those of real
datapaths have veth pairs.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from inband.datapath.base import Datapath
from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.simulated import SimulatedDatapath
from inband.datapath.userspace import UserspaceDatapath
from inband.flow.actions import Output
from inband.flow.ports import PortNo
from inband.packet.checksum import segment
from inband.packet.frame import Frame
from inband.packet.vnet import build_vnet, parse_vnet, restore_vlan, restore_vlan_offload
from inband.testing import packets

PORTS = (PortNo(1), PortNo(2), PortNo(3))
# A veth answers within microseconds; this is for a machine that does something else meanwhile.
PATIENCE_S = 5.0
SENTINEL = packets.ethernet(0x88B6, b"sentinel")

_JUDGED = ("megaflow_hit", "miss", "not_understood", "decided_by_rule", "decided_normal")

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _IFF_RUNNING = 0x8913, 0x40
_IFREQ_FLAGS = struct.Struct("16sh14x")  # struct ifreq: name, flags
_SOL_PACKET, _PACKET_AUXDATA, _PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING = 263, 8, 15, 23
_AUXDATA = struct.Struct("=IIIHHHH")
_BUFFER = bytearray(1 << 17)


class Column(Protocol):
    """A datapath under test."""

    @property
    def datapath(self) -> Datapath:
        """The datapath, with PORTS."""

    def arrive(self, port: PortNo, frame: Frame) -> None:
        """A frame arrives at a port and is dealt with before this returns."""

    def left(self) -> dict[PortNo, list[bytes]]:
        """What left each port since the last call, as on a wire."""


@dataclass
class Simulated:
    """Frames by function calls."""

    datapath: SimulatedDatapath

    def arrive(self, port: PortNo, frame: Frame) -> None:
        self.datapath.deliver(port, frame)

    def left(self) -> dict[PortNo, list[bytes]]:
        out: dict[PortNo, list[bytes]] = {port: [] for port in PORTS}
        for port, frame, _ in self.datapath.take_sent():
            out[port] += [each.data for each in segment(frame)]
        return out


@dataclass
class Userspace:
    """Frames by veth pairs: ports p1 to p3, their other ends h1 to h3."""

    datapath: UserspaceDatapath
    hosts: dict[PortNo, socket.socket]
    arrived: dict[PortNo, int] = field(default_factory=dict)

    def arrive(self, port: PortNo, frame: Frame) -> None:
        self.arrived[port] = self.datapath.port_counters(port).rx_packets + frame.segments
        wait_until_running(self.hosts[port])
        self.hosts[port].sendmsg([build_vnet(frame.offload), frame.data])
        self.wait()

    def wait(self) -> None:
        """Until the datapath has dealt with what arrived."""
        end = time.monotonic() + PATIENCE_S
        while any(self.datapath.port_counters(port).rx_packets < count for port, count in self.arrived.items()):
            self.datapath.poll()
            assert time.monotonic() < end, "the datapath did not take a frame"

    def left(self) -> dict[PortNo, list[bytes]]:
        return _left(self.datapath, self.hosts)


@dataclass
class Ebpf:
    """As Userspace. The kernel is asked for its verdicts to know when it is done with a frame."""

    datapath: EbpfDatapath
    hosts: dict[PortNo, socket.socket]

    def arrive(self, port: PortNo, frame: Frame) -> None:
        judged = self._judged() + 1
        wait_until_running(self.hosts[port])
        self.hosts[port].sendmsg([build_vnet(frame.offload), frame.data])
        end = time.monotonic() + PATIENCE_S
        while self._judged() < judged:
            assert time.monotonic() < end, "the program did not take a frame"
        time.sleep(0.0005)  # it counts first; where this process interrupts it, what goes up is not there yet
        self.datapath.poll()

    def send(self, port: PortNo, frame: Frame) -> None:
        """A frame arrives, and the kernel has dealt with it when this returns, as it mostly has when it is sent.

        We are on the same CPU. A busy kernel leaves it to a thread, which comes when we sleep.
        """
        before = self.datapath.port_counters(port).rx_packets
        self.hosts[port].sendmsg([build_vnet(frame.offload), frame.data])
        end = time.monotonic() + PATIENCE_S
        while self.datapath.port_counters(port).rx_packets == before:
            assert time.monotonic() < end, "the program did not take a frame"
            time.sleep(0.0005)

    def left_so_far(self) -> dict[PortNo, list[bytes]]:
        """As ``left``, without waiting for what may be on its way."""
        self.datapath.poll()
        return {port: list(_waiting(host)) for port, host in self.hosts.items()}

    def _judged(self) -> int:
        counters = self.datapath.counters()
        return sum(counters.get(name, 0) for name in _JUDGED)

    def left(self) -> dict[PortNo, list[bytes]]:
        return _left(self.datapath, self.hosts)


def _left(datapath: Datapath, hosts: dict[PortNo, socket.socket]) -> dict[PortNo, list[bytes]]:
    """What reached the hosts before a frame that is sent to each of them now."""
    for port in PORTS:
        datapath.execute(port, Frame(SENTINEL), [Output(port)])
    return {port: list(_until_sentinel(host)) for port, host in hosts.items()}


def _until_sentinel(host: socket.socket) -> Iterator[bytes]:
    while (frame := _received(host)).data != SENTINEL:
        yield from (each.data for each in segment(frame))


def _waiting(host: socket.socket) -> Iterator[bytes]:
    host.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield from (each.data for each in segment(_received(host)))
    host.settimeout(PATIENCE_S)


def _received(host: socket.socket) -> Frame:
    header = bytearray(10)
    size, ancillary, _, _ = host.recvmsg_into([header, _BUFFER], socket.CMSG_SPACE(_AUXDATA.size))
    frame = Frame(bytes(_BUFFER[: size - 10]), parse_vnet(bytes(header)))
    status, *_, tci, tpid = _AUXDATA.unpack(ancillary[0][2])
    if status & 0x10:
        return Frame(restore_vlan(frame.data, tci, tpid), restore_vlan_offload(frame.offload))
    return frame


def count_all(datapath: Datapath) -> None:
    """Have the megaflows know all that they have moved."""
    for _ in datapath.count():
        pass


@contextmanager
def simulated() -> Iterator[Simulated]:
    """The simulated datapath with its ports."""
    datapath = SimulatedDatapath(clock=lambda: 1.0)
    for port in PORTS:
        datapath.add_port(port, f"p{port}")
    yield Simulated(datapath)
    datapath.close()


@contextmanager
def userspace(clock: Callable[[], float] = lambda: 1.0) -> Iterator[Userspace]:
    """The userspace datapath in a namespace of its own, gone with the last socket in it."""
    with own_namespace():
        for number in PORTS:
            add_veth(int(number))
        datapath = UserspaceDatapath(clock=clock)
        hosts = {port: open_host(f"h{port}") for port in PORTS}
        try:
            for port in PORTS:
                datapath.add_port(port, f"p{port}")
                wait_until_running(hosts[port])
            yield Userspace(datapath, hosts)
        finally:
            datapath.close()
            for host in hosts.values():
                host.close()


@contextmanager
def ebpf(clock: Callable[[], float] = time.monotonic) -> Iterator[Ebpf]:
    """The eBPF datapath in a namespace of its own."""
    with own_namespace(), _one_cpu():
        for number in PORTS:
            add_veth(int(number))
        datapath = EbpfDatapath(clock=clock)
        hosts = {port: open_host(f"h{port}") for port in PORTS}
        try:
            for port in PORTS:
                datapath.add_port(port, f"p{port}")
                wait_until_running(hosts[port])
            yield Ebpf(datapath, hosts)
        finally:
            datapath.close()
            for host in hosts.values():
                host.close()


@contextmanager
def _one_cpu() -> Iterator[None]:
    """Frames that two CPUs send may overtake each other, and the sentinel must be the last."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def own_namespace() -> Iterator[None]:
    """Be in a new network namespace without a name: nothing can be left over."""
    require_root()
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            yield
        finally:
            if libc.setns(home, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(home)


def require_root() -> None:
    """Skip without root, but not in CI."""
    if os.geteuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("this test needs root (network namespaces)")
        pytest.skip("needs root (network namespaces)")


def add_veth(number: int) -> None:
    """A pair hN and pN, silent but for what is sent by us; only the host's end is up."""
    ip(
        f"link add h{number} type veth peer name p{number}",
        f"link set dev h{number} addrgenmode none",
        f"link set dev p{number} addrgenmode none",
        f"link set dev h{number} up",
    )


def wait_until_running(host: socket.socket) -> None:
    """Until the kernel lets a host send: it notices a little later than its caller that the port has come up."""
    name = host.getsockname()[0].encode()
    end = time.monotonic() + PATIENCE_S
    while not _IFREQ_FLAGS.unpack(fcntl.ioctl(host, _SIOCGIFFLAGS, _IFREQ_FLAGS.pack(name, 0)))[1] & _IFF_RUNNING:
        assert time.monotonic() < end, f"{name.decode()} is not running"
        time.sleep(0.001)


def ip(*commands: str) -> None:
    """Run ip(8) commands in the current namespace."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True, capture_output=True)


def open_host(interface: str) -> socket.socket:
    """A packet socket at the other end of a port."""
    host = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    host.settimeout(PATIENCE_S)
    for option in (_PACKET_VNET_HDR, _PACKET_IGNORE_OUTGOING, _PACKET_AUXDATA):
        host.setsockopt(_SOL_PACKET, option, 1)
    with suppress(PermissionError):  # in a user namespace: the ordinary size has to do
        host.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    host.bind((interface, 3))  # ETH_P_ALL
    return host


COLUMNS: dict[str, Callable[[], AbstractContextManager[Column]]] = {
    "simulated": simulated,
    "userspace": userspace,
    "ebpf": ebpf,
}
