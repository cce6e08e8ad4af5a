"""The switches behind this one that ask for their addresses, and how to tell what answers them (``clients_hook``)."""

from __future__ import annotations

from collections.abc import Mapping

from inband.flow.ports import PortNo
from inband.packet.dhcp import DHCP_REPLY, DHCPV6_REPLY
from inband.pipeline.dhcp_hook import ADVERTISEMENT, Recogniser
from inband.vocabulary.addresses import Mac


class Clients:
    """``ports``: by the MAC address of LOCAL of a switch, the port whose neighbour told of it.

    ``answers`` tells DHCP and DHCPv6 replies and router advertisements from other packets, in control's VLAN.
    """

    def __init__(self) -> None:
        self.ports: Mapping[Mac, PortNo] = {}
        self.answers = _answers(None)

    def set_vlan(self, vlan: int | None) -> None:
        """Control traffic is in this VLAN, None: untagged."""
        self.answers = _answers(vlan)


def _answers(vlan: int | None) -> Recogniser:
    return Recogniser(*(match.in_vlan(vlan) for match in (DHCP_REPLY, DHCPV6_REPLY, ADVERTISEMENT)))
