"""DNS in the simulator, by UDP: a server on a host, and the client of a switch. Never for real traffic.

The server knows one zone of A and AAAA records; who asks for other names hears that there are none. The client is
``switch.names.DnsClient``; questions by TCP fail, as no answer here is too long for UDP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from inband.control.name_events import Ask, Transport
from inband.sim.host import Host
from inband.sim.kernel import Kernel
from inband.sim.packets import Packet
from inband.switch.names import NameService
from inband.vocabulary.numbers import DNS_PORT

FIRST_PORT, N_PORTS = 50000, 15000
TTL_S = 300


class NameServer:
    """Answers for ``zone``: the addresses of each name, which may be changed at any time. Stop and start it at will."""

    def __init__(self, host: Host, zone: Mapping[str, Iterable[str]], ttl_s: int = TTL_S) -> None:
        self.zone = dict(zone)
        self.ttl_s = ttl_s
        self.questions = 0
        self._kernel = host.kernel
        self.start()

    def start(self) -> None:
        """Answer."""
        self._kernel.udp[DNS_PORT] = self._receive

    def stop(self) -> None:
        """Answer no more: questions are lost."""
        self._kernel.udp.pop(DNS_PORT, None)

    def _receive(self, packet: Packet, port: int, data: bytes) -> None:
        try:
            query = dns.message.from_wire(data)
            (question,) = query.question
        except (dns.exception.DNSException, ValueError):
            return
        self.questions += 1
        answer = dns.message.make_response(query)
        addresses = self.zone.get(question.name.to_text(omit_final_dot=True).lower())
        version = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}.get(question.rdtype)
        found = [text for text in addresses or () if ip_address(text).version == version]
        if addresses is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif found:
            answer.answer.append(dns.rrset.from_text_list(question.name, self.ttl_s, "IN", question.rdtype, found))
        message = answer.to_wire(want_shuffle=False)  # nothing here is by chance
        self._kernel.send_udp(packet.destination, packet.source, (DNS_PORT, port), message)


class SimDns:
    """Questions under way by ticket, each from a port of its own. Set ``user`` before the first one."""

    user: NameService

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._ports: dict[int, int] = {}
        self._last_port = FIRST_PORT

    def ask(self, ask: Ask) -> None:
        """As ``DnsClient.ask``."""
        source = self._kernel.source_for(ask.server)
        if source is None or ask.transport is Transport.TCP:
            reason = "network is unreachable" if source is None else "not by TCP"
            self._kernel.clock.call_soon(lambda: self.user.failed(ask.ticket, reason))
            return

        def answered(packet: Packet, port: int, data: bytes) -> None:
            if (packet.source, port) == (ask.server, DNS_PORT):
                self.user.answered(ask.ticket, data)

        self._last_port = FIRST_PORT + (self._last_port + 1 - FIRST_PORT) % N_PORTS
        self._ports[ask.ticket] = self._last_port
        self._kernel.udp[self._last_port] = answered
        self._kernel.send_udp(source, ask.server, (self._last_port, DNS_PORT), ask.message)

    def forget(self, ticket: int) -> None:
        """As ``DnsClient.forget``."""
        self._kernel.udp.pop(self._ports.pop(ticket, 0), None)

    def close(self) -> None:
        """As ``DnsClient.close``."""
        for ticket in list(self._ports):
            self.forget(ticket)
