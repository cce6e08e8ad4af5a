"""A datapath with the smallest client that can use it: a learning switch, for measurements.

It shows what the datapath itself can do, without tables, controllers and in-band control, and serves to profile it:

    python -m lab.learning_switch p1 p2 [--ebpf] [--profile FILE]

Run it in the network namespace of its ports. It ends on SIGTERM, printing the counters.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import signal

from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.userspace import UserspaceDatapath
from inband.flow.actions import Output, ToController
from inband.flow.fields import FIELDS, FlowKey
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.testing.megaflows import megaflow_of

_MASK = FIELDS["in_port"].mask | FIELDS["eth_src"].mask | FIELDS["eth_dst"].mask | FIELDS["vlan_vid"].mask


class LearningSwitch:
    """A DatapathClient: learns who is where, floods what it does not know, caches what it knows."""

    def __init__(self, datapath: UserspaceDatapath | EbpfDatapath, ports: list[PortNo]) -> None:
        self._datapath = datapath
        self._ports = ports
        self._where: dict[int, PortNo] = {}

    def upcall(self, in_port: PortNo, frame: Frame, key: FlowKey) -> None:
        """Switch a frame of an unknown flow."""
        self._where[FIELDS["eth_src"].get(key)] = in_port
        out = self._where.get(FIELDS["eth_dst"].get(key))
        if out is None:
            self._datapath.execute(in_port, frame, [Output(port) for port in self._ports if port != in_port])
            return
        actions = (Output(out),)
        self._datapath.install(megaflow_of(Match(key & _MASK, _MASK), actions), key)
        self._datapath.execute(in_port, frame, actions)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        """There is no controller."""


async def serve(interfaces: list[str], *, ebpf: bool = False) -> None:
    """Switch until SIGTERM."""
    datapath = EbpfDatapath() if ebpf else UserspaceDatapath()
    ports = [PortNo(number) for number in range(1, len(interfaces) + 1)]
    datapath.client = LearningSwitch(datapath, ports)
    for port, interface in zip(ports, interfaces, strict=True):
        datapath.add_port(port, interface)
    loop = asyncio.get_running_loop()
    datapath.attach(loop)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    print("ready", flush=True)
    await stopped.wait()
    for port in ports:
        print(port, datapath.port_counters(port))
    print(dict(datapath.counters()))
    datapath.close()


def main() -> None:
    """Read the command line and serve."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("interfaces", nargs="+")
    options.add_argument("--ebpf", action="store_true", help="the eBPF datapath, not the userspace one")
    options.add_argument("--profile", help="write a cProfile to this file")
    given = options.parse_args()
    if not given.profile:
        asyncio.run(serve(given.interfaces, ebpf=given.ebpf))
        return
    profile = cProfile.Profile()
    try:
        profile.runcall(asyncio.run, serve(given.interfaces, ebpf=given.ebpf))
    finally:
        profile.dump_stats(given.profile)


if __name__ == "__main__":
    main()
