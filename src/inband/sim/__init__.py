"""Networks in virtual time on the switch's own code: ``from inband.sim import Network``. See docs/simulator.md."""

from inband.controller.behaviour import DELETE_AND_DROP, FRIENDLY, HOSTILE, MUTE, PORTS_DOWN, Behaviour
from inband.sim.network import Network

__all__ = ["DELETE_AND_DROP", "FRIENDLY", "HOSTILE", "MUTE", "PORTS_DOWN", "Behaviour", "Network"]
