#!/usr/bin/python3
"""Eight in-band switches in a ring; links are cut; for how long was each switch without its controller?

As root, with Mininet and the command `inband` installed and in PATH: `python3 examples/ring_of_eight.py`, with the
system's Python, which has Mininet.
"""

import os
import subprocess
import sys
import time
from functools import partial

sys.path.append(os.path.dirname(subprocess.getoutput("inband mininet")))

from inband_mininet import InbandController, InbandRing, InbandSwitch
from mininet.net import Mininet

SWITCHES = 8
SILENCES = "/tmp/silences.txt"
HERE = os.path.dirname(os.path.abspath(__file__))


def outages():
    """The longest silence of each switch since the last call, in seconds."""
    longest = {}
    with open(SILENCES) as file:
        for dpid, seconds in map(str.split, file):
            longest[dpid] = max(longest.get(dpid, 0.0), float(seconds))
    open(SILENCES, "w").close()
    return longest


def main():
    """Cut each link in turn, and mend it."""
    open(SILENCES, "w").close()
    net = Mininet(
        topo=InbandRing(SWITCHES, run=f"python3 {HERE}/mute_controller.py {SILENCES}"),
        switch=partial(InbandSwitch, inband=True),
        controller=InbandController,
    )
    net.start()
    net.waitConnected()
    time.sleep(2)
    for number in range(1, SWITCHES + 1):
        first, second = f"s{number}", f"s{number % SWITCHES + 1}"
        outages()
        net.configLinkStatus(first, second, "down")
        time.sleep(2)
        told = outages()
        worst = max(told.values(), default=0.0)
        print(f"{first}-{second} cut: {len(told)} of {SWITCHES} switches noticed, longest outage {worst:.3f} s")
        net.configLinkStatus(first, second, "up")
        time.sleep(1)
    net.stop()


if __name__ == "__main__":
    main()
