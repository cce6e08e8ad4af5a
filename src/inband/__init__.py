"""inband: an OpenFlow switch for Linux whose controller connection runs over the network it switches.

ARCHITECTURE.md shows how a packet or an event travels through the packages, and which of them may import which.
"""

__version__ = "0.2.0"
