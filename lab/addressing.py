"""Which addresses a topology uses: IPv4, IPv6, or both at once.

A topology says "the near network's host 1"; this says what that is written like. Both networks exist in each family,
and a host has the same number in all of them, so that a failure reads the same whatever it runs over.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.net import Namespace

NEAR, FAR = "10.0.0.{}/24", "10.9.0.{}/24"
NEAR_6, FAR_6 = "fd00:a::{}/64", "fd00:9::{}/64"


@dataclass(frozen=True, slots=True)
class Addressing:
    """The networks of a topology, one format for each family: where the switches are, and where a router leads."""

    name: str
    near: tuple[str, ...]
    far: tuple[str, ...]

    def interfaces(self, network: tuple[str, ...], host: int) -> tuple[str, ...]:
        """Return a host's addresses with their prefix lengths."""
        return tuple(each.format(host) for each in network)

    def addresses(self, network: tuple[str, ...], host: int) -> tuple[str, ...]:
        """Return a host's addresses."""
        return tuple(each.partition("/")[0] for each in self.interfaces(network, host))

    def prepare(self, *hosts: Namespace) -> None:
        """Let hosts use IPv6 addresses at once: it is the switch's duplicate address detection that takes its time.

        To be called before they get interfaces.
        """
        if self is not IPV4:
            for each in hosts:
                each.sysctl(net__ipv6__conf__default__accept_dad=0)

    def route(self, host: Namespace, network: tuple[str, ...], gateway: int) -> None:
        """Give a host its default routes."""
        for each in self.addresses(network, gateway):
            host.route("default", each)

    def forward(self, router: Namespace) -> None:
        """Make a host a router."""
        router.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)


IPV4 = Addressing("IPv4", (NEAR,), (FAR,))
IPV6 = Addressing("IPv6", (NEAR_6,), (FAR_6,))
BOTH = Addressing("IPv4 and IPv6", (NEAR, NEAR_6), (FAR, FAR_6))
