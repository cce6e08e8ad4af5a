"""At what rate a meter lets TCP pass: `python -m lab.metered IF RATE SECONDS`, in the receiver's namespace.

TCP does not take what a meter lets pass at every instant. Where the bucket is empty all streams lose segments at once,
and most wait for a time-out of 200 ms; meanwhile the bucket fills, and its depth, a second of the rate, keeps that for
them. So how much passed in a few seconds, less the burst at the beginning, is short of the rate by whatever happens to
be in the bucket at the end: up to 5 % of four seconds. Exact is what passes between two instants at which the bucket is
empty. They show at the receiver: never is it further ahead of the rate than then.

Bytes are the interface's: a frame that the kernel has not cut into segments yet counts with its headers once, as it
does in Open vSwitch's meters and in ours.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.journal import until
from lab.net import Namespace

Sample = tuple[float, int]
"""Seconds, and the bytes received until then."""

_EVERY_S = 0.005
_READY_S = 10.0
# The first and the last of so many parts of the time have one instant each.
_PARTS = 3


def passed(sender: Namespace, receiver: Namespace, target: str, rate: float, streams: int, seconds: float) -> float:
    """Bits a second that iperf3 streams to its server at ``target`` get through a meter of ``rate`` bits a second."""
    watch = receiver.start(sys.executable, "-m", "lab.metered", "eth0", f"{rate}", f"{seconds}", label="metered")
    assert until(lambda: "ready" in watch.tail(), _READY_S)
    sender.run("iperf3", "-J", "-c", target, "-t", f"{seconds}", "-P", f"{streams}", timeout_s=seconds + 20)
    watch.wait(seconds + _READY_S)
    return float(json.loads(watch.tail().splitlines()[-1]))


def between_empty_buckets(samples: Sequence[Sample], rate: float) -> float:
    """Bits a second from when the bucket is empty early on until it is so late."""
    start, end = samples[0][0], samples[-1][0]
    part = (end - start) / _PARTS

    def ahead(sample: Sample) -> float:
        return 8 * sample[1] - rate * sample[0]

    first = max((each for each in samples if each[0] <= start + part), key=ahead)
    last = max((each for each in samples if each[0] >= end - part), key=ahead)
    return 8 * (last[1] - first[1]) / (last[0] - first[0])


def _watch(interface: str, seconds: float) -> list[Sample]:
    counter = Path(f"/sys/class/net/{interface}/statistics/rx_bytes")
    end = time.monotonic() + seconds
    samples: list[Sample] = []
    while not samples or samples[-1][0] < end:
        samples.append((time.monotonic(), int(counter.read_text())))
        time.sleep(_EVERY_S)
    return samples


if __name__ == "__main__":
    print("ready", flush=True)
    print(between_empty_buckets(_watch(sys.argv[1], float(sys.argv[3])), float(sys.argv[2])), flush=True)
