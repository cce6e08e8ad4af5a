"""Wires: two network interfaces and a link between them that delays, loses, spoils, or is cut.

A frame that is on its way when the link is cut is lost with it. Frames are ``Frame`` without pending offloads; what a
link does to them is ``datapath.wrappers.Faults``, drawn from the random generator of the network. There is no rate:
any number of frames fits on a wire, so what a storm does is counted, not felt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from inband.datapath.wrappers import Faults, FaultyLink
from inband.errors import UsageError
from inband.packet.frame import Frame
from inband.sim.clock import VirtualClock
from inband.vocabulary.addresses import Mac

# A metre of copper and two network cards: the order of magnitude of a LAN.
LATENCY_S = 50e-6
LAN = Faults(delay_s=LATENCY_S)
NO_MAC = Mac(0)

Tap = Callable[["Nic", Frame], None]
"""Sees each frame that is put on a link, with the interface that sent it."""


def _ignore(_: object) -> None:
    """No one is there, or wants to know."""


@dataclass(slots=True, eq=False)
class Nic:
    """A network interface: where a node and a link meet. The node sets ``receive`` and ``carrier_changed``."""

    name: str
    mac: Mac = NO_MAC
    receive: Callable[[Frame], None] = _ignore
    carrier_changed: Callable[[bool], None] = _ignore
    link: Link | None = None

    @property
    def has_carrier(self) -> bool:
        """Whether there is a link and it is up."""
        return self.link is not None and self.link.is_up

    def detach(self) -> None:
        """No one takes frames or hears of the carrier any more."""
        self.receive = _ignore
        self.carrier_changed = _ignore

    def transmit(self, frame: Frame) -> None:
        """Put a frame on the wire; without one it is gone."""
        if self.link is not None:
            self.link.carry(self, frame)


@dataclass(slots=True, eq=False)
class Link:
    """Joins two interfaces, both ways alike. ``frames`` counts what was put on it in either direction."""

    clock: VirtualClock
    random: Random
    one: Nic
    two: Nic
    faults: Faults = LAN
    is_up: bool = True
    frames: int = 0
    taps: list[Tap] = field(default_factory=list)
    _ways: dict[Nic, FaultyLink] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for nic, other in ((self.one, self.two), (self.two, self.one)):
            if nic.link is not None:
                raise UsageError(f"{nic.name} is linked already: give it another interface")
            nic.link = self
            self._ways[nic] = FaultyLink(self._delivery(other), self.random, self.clock.call_later, self.faults)
        self._tell()

    def carry(self, sender: Nic, frame: Frame) -> None:
        """Take a frame from one end to the other."""
        if not self.is_up:
            return
        self.frames += 1
        for tap in self.taps:
            tap(sender, frame)
        self._ways[sender](frame)

    def cut(self) -> None:
        """Take the link down; both ends notice."""
        self._set(is_up=False)

    def mend(self) -> None:
        """Bring the link up again; both ends notice."""
        self._set(is_up=True)

    def spoil(self, faults: Faults) -> None:
        """From now on carry frames as badly as this; a delay of 0 keeps the link's latency."""
        faults = replace(faults, delay_s=faults.delay_s or self.faults.delay_s)
        for way in self._ways.values():
            way.faults = faults

    def _set(self, *, is_up: bool) -> None:
        if is_up != self.is_up:
            self.is_up = is_up
            self._tell()

    def _tell(self) -> None:
        for nic in (self.one, self.two):
            nic.carrier_changed(self.is_up)

    def _delivery(self, to: Nic) -> Callable[[Frame], None]:
        def deliver(frame: Frame) -> None:
            if self.is_up:
                to.receive(frame)

        return deliver
