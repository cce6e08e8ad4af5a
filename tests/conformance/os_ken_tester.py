"""The os-ken switch tester as a process: `os_ken_tester.py KIND FOLDER VERSION TARGET_DPID TESTER_DPID PORT`.

There is no osken-manager any more, so this starts the application manager with the tester in it. It is a process of its
own because the tester ends by killing the process it is in (SIGTERM, exit 143). OSKEN_HUB_TYPE=eventlet must be set
before the interpreter starts, or the tester hangs.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from os_ken import cfg, flags, log  # the latter two declare the options that the tester reads
from os_ken.base import app_manager
from os_ken.lib import hub
from os_ken.tests.switch import tester

# How long the tester waits for an answer that does not come, 3 s in the original: both switches answer in milliseconds.
tester.WAIT_TIMER = 1.5
DECLARED = (flags, log)


# Between the last barrier and the packet. Open vSwitch, which is the tester switch in every run, answers a barrier
# before its datapath cache follows the flow table (it revalidates behind the scenes); a packet sent at once may meet
# the flows of the case before.
SETTLE_S = 0.1
# Between a packet and the question how many there were, 1 s in the original. Open vSwitch gathers its counters twice a
# second; ours are exact, and are asked in a hurry.
COUNT_S = {"inband": 0.2, "ebpf": 0.2, "ovs": 1.0}
tester.INTERVAL = COUNT_S[sys.argv[1]]


class PatientTester(tester.OfTester):  # type: ignore[misc]  # os-ken has no types
    """The tester, with a pause between its flows and its packets, and a sender that keeps its pace."""

    def _one_time_packet_send(self, pkt: Any) -> None:
        hub.sleep(SETTLE_S)
        super()._one_time_packet_send(pkt)

    def _send_packet_thread(self, arg: dict[str, Any]) -> None:
        """Send at the rate that the case names: the original sleeps between its packets and falls 15 % behind."""
        rate = arg["packet_counter_inc"] / tester.CONTINUOUS_THREAD_INTVL
        start, sent = time.monotonic(), 0
        while True:
            hub.sleep(tester.CONTINUOUS_THREAD_INTVL)
            due = int((time.monotonic() - start) * rate)
            for _ in range(sent, due):
                self.tester_sw.send_packet_out(_packet(arg))
            sent = due


def _packet(arg: dict[str, Any]) -> bytes:
    """The case's packet; a random one is made anew each time, by the constructors that its text names."""
    if not arg["randomize"]:
        return bytes(arg["packet_binary"])
    made = eval("/".join(arg["packet_text"]), vars(tester))  # the tester's own way to read its cases
    made.serialize()
    return bytes(made.data)


def main() -> None:
    """Run the tester until it ends itself."""
    _target, folder, version, target, tester_dpid, port = sys.argv[1:]
    options = {
        "ofp-tcp-listen-port": port, "ofp-listen-host": "0.0.0.0", "test-switch-dir": folder,
        "test-switch-target": target, "test-switch-tester": tester_dpid,
        "test-switch-target-version": version, "test-switch-tester-version": version,
    }  # fmt: skip
    arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
    logging.getLogger().setLevel(logging.INFO)  # outcomes are logged at this level
    cfg.CONF(arguments, project="tester", version="1")
    app_manager.AppManager.run_apps(["__main__"])


if __name__ == "__main__":
    main()
