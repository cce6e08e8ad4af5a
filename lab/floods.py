"""A host that sends as fast as it can: what that costs the channels, and how long it goes on after the host stopped.

    python -m lab.floods WHAT INTERFACE RATE SECONDS TARGET MAC

WHAT is a key of ``KINDS``; TARGET and MAC are the controller's addresses. At the end it prints how many it sent.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab import frames, storm
from lab.journal import until
from lab.liars import ATTACKER, under_orders
from lab.scene import Scene

START_S = 10.0
AFTER_S = 1.0
"""Within what time it is to be over."""
DIFFERENT, PREPARED = 100_000, 4096
PORT = 6653


def ask(number: int, target: str, _: str) -> bytes:
    """A question for the controller, from another sender each time."""
    return frames.arp_request(mac_of(number), f"10.0.{128 + (number >> 8 & 127)}.{number & 255}", target)


def syn_lost(number: int, target: str, _: str) -> bytes:
    """TCP to the controller's port, at a MAC address that nobody has."""
    return frames.tcp_reset(mac_of(number), "02:00:de:ad:be:ef", f"10.0.0.{number % 100 + 100}", target, PORT)


def syn(number: int, target: str, mac: str) -> bytes:
    """The same, at the controller's MAC address."""
    return frames.tcp_reset(mac_of(number), mac, f"10.0.0.{number % 100 + 100}", target, PORT)


def sources(number: int, _: str, __: str) -> bytes:
    """Data for all from ever other MAC addresses."""
    return frames.udp(mac_of(number), frames.BROADCAST, "10.0.0.66", "10.0.0.67", b"x" * 20)


def strangers(number: int, _: str, __: str) -> bytes:
    """Data for another host from ever other MAC addresses."""
    return frames.udp(mac_of(number), "02:00:de:ad:be:ef", "10.0.0.66", "10.0.0.67", b"x" * 20)


def arp_sources(number: int, _: str, __: str) -> bytes:
    """Questions for a host, from ever other MAC addresses."""
    return frames.arp_request(mac_of(number), f"10.0.{128 + (number >> 8 & 127)}.{number & 255}", "10.0.0.67")


KINDS: dict[str, tuple[Callable[[int, str, str], bytes], int]] = {
    "ask": (ask, PREPARED),
    "syn-lost": (syn_lost, PREPARED),
    "syn": (syn, PREPARED),
    "sources": (sources, DIFFERENT),
    "strangers": (strangers, DIFFERENT),
    "arp-sources": (arp_sources, DIFFERENT),
}


def mac_of(number: int) -> str:
    """A MAC address for each number."""
    return f"02:5f:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def main(what: str, interface: str, rate: str, seconds: str, target: str, mac: str) -> None:
    """Send, and say how many."""
    make, different = KINDS[what]
    made = [make(number, target, mac) for number in range(different)]
    random.shuffle(made)
    storm.send(made, interface, float(rate), float(seconds))


@dataclass(frozen=True, slots=True)
class Flooded:
    """What a flood did: the longest silence of any switch while the host sent, and after; seconds.

    ``still`` is how many packets a second all switches together received when a second had passed since its end.
    """

    silence: float
    after: float
    still: float
    sent: int


def flood(
    what: str, switches: int, per_second: float, seconds: float, datapath: str = "userspace", *orders: str
) -> Flooded | None:
    """Let a host on the last switch send so many frames a second; the controller drops everything but for ``orders``.

    None when the switches do not come up.
    """
    with under_orders(switches, datapath, orders) as stage:
        return None if stage is None else send(stage, what, per_second, seconds)


def send(stage: Scene, what: str, per_second: float, seconds: float) -> Flooded:
    """The same on a stage."""
    host, controller = stage.topology.hosts[ATTACKER][0], stage.topology.controller
    words = (what, "eth0", f"{per_second}", f"{seconds}", stage.topology.remote, controller.mac("eth0"))
    sending = host.start(sys.executable, "-m", "lab.floods", *words, label="flood")
    assert until(lambda: "ready" in sending.tail(), START_S), sending.tail()
    start = time.monotonic()
    assert until(lambda: "sent" in sending.tail(), seconds + START_S), sending.tail()
    end = time.monotonic()
    time.sleep(AFTER_S)
    before = _received(stage)
    time.sleep(1.0)
    still = _received(stage) - before
    time.sleep(0.5)
    return Flooded(
        stage.silence(start, end), stage.silence(end, time.monotonic()), still, int(sending.tail().split()[-1])
    )


def _received(stage: Scene) -> int:
    return sum(
        site.namespace.counter(port, "rx_packets") for site in stage.topology.sites for port in site.bridges[0].ports
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
