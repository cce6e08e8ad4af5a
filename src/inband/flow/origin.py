"""Why a hidden flow is there, and what follows from that.

A hidden flow is never in statistics, never matched by a controller's command, never evicted, never expired and outside
every limit (docs/in-band.md, "What hidden means"). Whether a flow is hidden is decided by the type of its priority
alone; each hidden flow has an Origin, and no other flow has one (``table.table_set`` keeps that).

Two owners have hidden flows. Those of in-band control carry the control channel, and what a controller says of ports
does not hold for their packets. The flow that makes the bridge a learning switch in fail mode standalone is hidden
too, but its packets are data, and port configuration holds for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Owner(Enum):
    """What a hidden flow belongs to."""

    IN_BAND = "in-band control"
    FAIL_MODE = "fail mode"


class About(Enum):
    """What a flow's subject is; the value is the word that dumps have before it."""

    REMOTE = "remote"
    """A remote, its next hop, or a DNS server."""
    LOCAL = "local"
    """A MAC address, IP address or network of the local port."""
    OWNER = ""
    """The owner itself; dumps leave it out."""


class PayloadCheck(Enum):
    """What the pipeline has to read in the payload before a flow decides, for a match cannot say it.

    The value says of a packet that failed why the flow does not apply.
    """

    DNS = "this is no question for a remote's name, nor the answer to one"
    ICMP_ERROR = "this quotes no packet of a protected connection"


@dataclass(frozen=True, slots=True)
class Origin:
    """Why a hidden flow is there.

    ``letter`` is the rule's letter, or the word that dumps have for another owner's flow; ``subject`` the remote, next
    hop or address that it is for, and ``about`` which of these. Both are text for people.

    ``overrides_ports``: its packets pass ports that the controller has closed. ``check``: what its payload must be.
    ``shows_place``: its packets come from a remote or next hop and say its MAC address inside, which is behind the port
    that they came from, whatever their Ethernet source. ``beside``: its packets take their way through the flow table
    as well, as if the flow were not there. ``has_budget``: its packets are neighbour discovery that others send, of
    which a port has so many a second (``pipeline.budget``). ``is_stream``: they are a controller's TCP connection,
    ``is_from_remote``: the controller's part of it. ``by_word``: they come by neighbours of the network's key alone.
    """

    owner: Owner
    letter: str
    subject: str
    overrides_ports: bool
    check: PayloadCheck | None = None
    shows_place: bool = False
    beside: bool = False
    has_budget: bool = False
    is_stream: bool = False
    is_from_remote: bool = False
    by_word: bool = False
    about: About = About.REMOTE

    @property
    def label(self) -> str:
        """Letter and subject, as dumps have them."""
        subject = f", {self.about.value}={self.subject}" if self.about is not About.OWNER else ""
        return f"letter={self.letter}{subject}"
