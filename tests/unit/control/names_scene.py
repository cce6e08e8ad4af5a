"""A resolver with a manual clock, and DNS servers that answer when a test says so."""

from __future__ import annotations

from random import Random

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from inband.control import name_events as ev
from inband.control.names import NameStatus, Resolver
from inband.packet.dns import RecordType
from inband.vocabulary.addresses import IpAddress, parse_ip

NAME = "controller.example.net"
S1, S2 = parse_ip("10.0.0.53"), parse_ip("10.0.0.54")
A, AAAA = RecordType.A, RecordType.AAAA


class Scene:
    """``asked`` are the questions that wait for an answer, ``addresses`` what was said of each name last."""

    def __init__(self, *servers: IpAddress, name: str = NAME) -> None:
        self.now = 100.0
        self.asked: dict[int, ev.Ask] = {}
        self.log: list[ev.Ask] = []
        self.addresses: dict[str, list[str]] = {}
        self.changes = 0
        random = Random(1)
        self.resolver = Resolver(random.getrandbits)
        self.tell(ev.ServersFound(servers or (S1,)))
        self.tell(ev.NamesWanted(frozenset({name})))

    def tell(self, event: ev.NameEvent) -> list[ev.NameCommand]:
        """Pass an event on and carry out the commands."""
        commands = self.resolver.handle(event, self.now)
        for command in commands:
            match command:
                case ev.Ask():
                    self.asked[command.ticket] = command
                    self.log.append(command)
                case ev.ForgetQuestion(ticket):
                    self.asked.pop(ticket)
                case ev.AddressesChanged(name, addresses):
                    self.addresses[name] = [str(address) for address in addresses]
                    self.changes += 1
        return commands

    def wait(self, seconds: float) -> None:
        """Let time pass, with TimePassed at each deadline on the way."""
        end = self.now + seconds
        for _ in range(10_000):
            due = self.resolver.next_deadline()
            if due is None or due > end:
                break
            self.now = max(self.now, due)
            self.tell(ev.TimePassed())
        else:
            raise AssertionError("the resolver is never at rest")
        self.now = end

    def question(self, rdtype: RecordType = A, server: IpAddress | None = None) -> ev.Ask:
        """The last question of this type that waits for an answer (from this server)."""
        found = [ask for ask in self.asked.values() if ask.rdtype is rdtype and server in (None, ask.server)]
        assert found, "no such question"
        return found[-1]

    def answer(self, *addresses: str, rdtype: RecordType = A, ttl: int = 300, server: IpAddress | None = None) -> None:
        """The server answers with these addresses."""
        ask = self.question(rdtype, server)
        self.tell(ev.AnswerReceived(ask.ticket, reply(ask, *addresses, ttl=ttl)))

    def deny(self, rdtype: RecordType = A, rcode: dns.rcode.Rcode = dns.rcode.NXDOMAIN, ttl: int = 30) -> None:
        """The server says no: NXDOMAIN, NODATA (NOERROR) or an error."""
        ask = self.question(rdtype)
        self.tell(ev.AnswerReceived(ask.ticket, denial(ask, rcode, ttl)))

    def connect(self, *addresses: str, failing: bool = False) -> None:
        """These are the addresses that channels stand to; ``failing``: the name is dialled in vain."""
        connected = frozenset(map(parse_ip, addresses))
        self.tell(ev.ChannelsChanged(connected, frozenset({NAME} if failing else ())))

    @property
    def known(self) -> list[str]:
        """The addresses of the name."""
        return self.addresses.get(NAME, [])

    @property
    def status(self) -> NameStatus:
        """What ``show`` gets."""
        (status,) = self.resolver.names()
        return status


def reply(ask: ev.Ask, *addresses: str, ttl: int = 300) -> bytes:
    """An answer to a question with these addresses."""
    query = dns.message.from_wire(ask.message)
    response = dns.message.make_response(query)
    if addresses:
        name = query.question[0].name
        response.answer.append(dns.rrset.from_text(name, ttl, "IN", ask.rdtype.name, *addresses))
    return response.to_wire()


def denial(ask: ev.Ask, rcode: dns.rcode.Rcode, ttl: int = 30) -> bytes:
    """An answer without addresses."""
    response = dns.message.make_response(dns.message.from_wire(ask.message))
    response.set_rcode(rcode)
    soa = f"ns.example.net. root.example.net. 1 2 3 4 {ttl}"
    response.authority.append(dns.rrset.from_text("example.net.", ttl, "IN", "SOA", soa))
    return response.to_wire()
