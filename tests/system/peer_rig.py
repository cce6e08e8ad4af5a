"""What tests of ports that known unicast skips share: a whole switch between two hosts, and datapaths in a row.

The kernel does not count a frame that skips a port for that port, while the program does: that tells the ways apart.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pyroute2 import netns

from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.ebpf.kernel import remove_pins
from inband.flow.actions import Output
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.packet.vnet import build_vnet, parse_vnet, restore_vlan, restore_vlan_offload
from inband.testing import packets
from inband.testing.megaflows import install, megaflow_of
from lab.net import Lab, Namespace
from tests.packets.columns import open_host
from tests.system.switch_rig import Rig

P1, P2 = PortNo(1), PortNo(2)
PINGS = 20
PACKET_HOST = 0
AUXDATA, TP_STATUS_VLAN_VALID = struct.Struct("=IIIHHHH"), 0x10
SHORT, LONG = (PINGS, 0), (PINGS, PINGS)
"""``ways`` of pings that skip the port, and of those that do not."""
NOWHERE, SILENT = "02:00:00:00:00:99", "02:00:00:00:00:98"


# A whole switch

# Frames are counted here, and hellos to neighbours are none that ways differ for.
FILE = """
[[bridge]]
neighbours = false
name = "br0"
port = ["p1", "p2"]
fail-mode = "secure"
datapath = "ebpf"
"""


@contextmanager
def rig_of(setting: str = "", before: str = "") -> Iterator[Rig]:
    """A switch whose one flow is NORMAL, and two silent hosts that know each other; ``before`` is done first."""
    with Lab("ihp") as lab:
        rig = Rig(lab)
        for namespace in (rig.box, rig.h1, rig.h2):
            namespace.sysctl(net__ipv6__conf__all__disable_ipv6=1, net__ipv6__conf__default__disable_ipv6=1)
        for host, other, number in ((rig.h1, rig.h2, 2), (rig.h2, rig.h1, 1)):
            host.ip(f"neigh replace 10.0.0.1{number} lladdr {other.mac('eth0')} dev eth0 nud permanent")
        if before:
            rig.box.run(*before.split())
        rig.start("--config", rig.config(FILE + setting))
        flow(rig, "priority=0,actions=NORMAL")
        assert rig.h1.pings("10.0.0.12") > 0
        yield rig


def flow(rig: Rig, text: str) -> None:
    """Add a flow."""
    ofctl(rig, "add-flow", text)


def ofctl(rig: Rig, command: str, text: str) -> None:
    """Give the switch a command of ovs-ofctl."""
    rig.box.run("ovs-ofctl", "-O", "OpenFlow13", command, f"unix:{rig.run_dir}/br0.mgmt", text)


def sent(rig: Rig) -> tuple[int, int]:
    """Packets that left port 2: as OpenFlow counts, as the kernel does."""
    command = ["ovs-ofctl", "-O", "OpenFlow13", "dump-ports", f"unix:{rig.run_dir}/br0.mgmt", "2"]
    counted = rig.box.run(*command).split("tx pkts=")[1].split(",")[0]
    return int(counted), rig.box.counter("p2", "tx_packets")


def ways(rig: Rig, send: Callable[[], object]) -> tuple[int, int]:
    """How many packets left by port 2 while ``send`` ran, and how many of them went through the port itself."""
    before = sent(rig)
    send()
    after = sent(rig)
    return after[0] - before[0], after[1] - before[1]


def pings(rig: Rig) -> tuple[int, int]:
    """``ways`` of pings to the host behind port 2, all of which are answered."""

    def ping() -> None:
        assert rig.h1.pings("10.0.0.12", count=PINGS, interval_s=0.01) == PINGS

    return ways(rig, ping)


def say(namespace: Namespace, interface: str, mac: str) -> None:
    """Send a frame from this address to nobody."""
    with inside(namespace), open_host(interface) as host:
        host.sendmsg([bytes(10), packets.ethernet(0x88B5, bytes(46), dst=SILENT, src=mac)])


def learned(rig: Rig, mac: str, port: int) -> bool:
    """Whether the switch knows an address behind a port."""
    rows = [line.split() for line in rig.call("fdb/show", "br0").splitlines()]
    return any(row[0] == f"{port}" and mac in row for row in rows)


# The datapath by itself


@contextmanager
def inside(namespace: Namespace) -> Iterator[None]:
    """Be in a namespace; sockets that are opened there stay there."""
    with open("/proc/self/ns/net") as home:
        netns.setns(namespace.name)
        try:
            yield
        finally:
            netns.setns(home)


@dataclass
class Row:
    """Switches in a row, each in its namespace with ports p1 and p2; the hosts' packet sockets at the ends."""

    switches: list[Namespace]
    datapaths: list[EbpfDatapath]
    left: socket.socket
    right: socket.socket
    host: Namespace
    """On the right; its interface is p1."""

    def send(self, frame: Frame) -> None:
        """From the left."""
        self.left.sendmsg([build_vnet(frame.offload), frame.data])

    def taken(self) -> tuple[Frame, bool]:
        """The next frame on the right, and whether the kernel says that it is for the host there."""
        header, data = bytearray(10), bytearray(1 << 17)
        size, ancillary, _, address = self.right.recvmsg_into([header, data], 1000)
        frame = Frame(bytes(data[: size - 10]), parse_vnet(bytes(header)))
        status, *_, tci, tpid = AUXDATA.unpack(ancillary[0][2])
        if status & TP_STATUS_VLAN_VALID:
            frame = Frame(restore_vlan(frame.data, tci, tpid), restore_vlan_offload(frame.offload))
        return frame, address[2] == PACKET_HOST

    def through_ports(self) -> list[int]:
        """Frames that each switch sent through its port 2, as the kernel counts."""
        return [switch.counter("p2", "tx_packets") for switch in self.switches]


@contextmanager
def row_of(count: int, pin_dir: Path | None = None) -> Iterator[Row]:
    """Switches that send all they get on port 1 to a host behind port 2."""
    with Lab("ihp") as lab, ExitStack() as opened:
        chain = [lab.namespace(name) for name in ("left", *(f"s{n}" for n in range(count)), "right")]
        for each in chain:
            each.sysctl(net__ipv6__conf__all__disable_ipv6=1, net__ipv6__conf__default__disable_ipv6=1)
        for one, other in pairwise(chain):
            lab.link(one, "p2", other, "p1")
        left, right = (opened.enter_context(_opened(end, name)) for end, name in ((chain[0], "p2"), (chain[-1], "p1")))
        row = Row(chain[1:-1], [], left, right, chain[-1])
        if pin_dir is not None:
            opened.callback(remove_pins, pin_dir)  # also when the test fails while nobody has them
        opened.callback(_close, row)
        row.datapaths += [_datapath(switch, pin_dir) for switch in row.switches]
        yield row


def _opened(namespace: Namespace, interface: str) -> socket.socket:
    with inside(namespace):
        return open_host(interface)


def _datapath(namespace: Namespace, pin_dir: Path | None) -> EbpfDatapath:
    with inside(namespace):
        datapath = EbpfDatapath(pin_dir=pin_dir)
        datapath.add_port(P1, "p1")
        datapath.add_port(P2, "p2")
        datapath.set_peer_redirect(allowed=True)
    install(datapath, megaflow_of(Match.of(in_port=1), (Output(P2),), is_known_unicast=True))
    return datapath


def _close(row: Row) -> None:
    for namespace, datapath in zip(row.switches, row.datapaths, strict=False):  # fewer when one failed
        with inside(namespace):
            datapath.close()
