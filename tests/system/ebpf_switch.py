"""A learning switch on the eBPF datapath that can be killed: ``python -m tests.system.ebpf_switch PIN_DIR IF...``."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.flow.ports import PortNo
from lab.learning_switch import LearningSwitch


async def serve(pin_dir: Path, interfaces: list[str]) -> None:
    """Switch until SIGTERM; each line of output says that it switches, and from what it started."""
    datapath = EbpfDatapath(pin_dir=pin_dir)
    adopted = datapath.counters().get("megaflows_adopted", 0)
    ports = [PortNo(number) for number in range(1, len(interfaces) + 1)]
    datapath.client = LearningSwitch(datapath, ports)
    for port, interface in zip(ports, interfaces, strict=True):
        datapath.add_port(port, interface)
    loop = asyncio.get_running_loop()
    datapath.attach(loop)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    print(f"ready adopted={adopted} notes={datapath.notes}", flush=True)
    await stopped.wait()
    print(dict(datapath.counters()), flush=True)
    datapath.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2:]))
