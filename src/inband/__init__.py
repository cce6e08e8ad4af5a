"""inband: an OpenFlow switch for Linux whose controller connection runs over the network it switches.

ARCHITECTURE.md shows the packages in the order in which a packet or an event travels through them.
"""

__version__ = "0.2.0"
