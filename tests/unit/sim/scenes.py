"""What the tests of simulated networks share: coming up, and measuring silence."""

from __future__ import annotations

from inband.sim import resolution
from inband.sim.topologies import Topology

UP_S = 1.0
"""How long after the last switch's start every channel must be up, once addresses can be used."""
DETECTION_S = resolution.DETECTION_DELAY_S + resolution.DETECTION_S
"""How long it takes until a switch's IPv6 addresses can be used, from the moment on that it has them."""
SILENCE_S = 0.4
"""The longest allowed time between two answers to echoes that are sent each 0.1 s."""


def come_up(made: Topology) -> float:
    """Start all switches and return how long it took until every channel was up; fails after 30 s."""
    began = made.net.now
    made.net.start()
    assert made.net.run_until(lambda: made.net.are_up(made.controller), 30)
    return made.net.now - began


def silences(made: Topology, seconds: float) -> dict[str, float]:
    """The longest silence of each channel in the coming seconds."""
    channels = made.net.channels(made.controller)
    for channel in channels.values():
        channel.forget_silence(made.net.now)
    made.net.run(seconds)
    assert all(channel.is_up for channel in channels.values())
    return {name: channel.silence_s(made.net.now) for name, channel in channels.items()}
