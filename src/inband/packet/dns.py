"""DNS messages as far as a switch needs them: whose addresses are asked for, and what an answer says (RFC 1035).

Two readers for two places. ``question_of`` runs for each DNS packet that passes the switch, so it reads the question
and nothing else. ``read_answer`` runs for answers to our own questions only and leaves compression, alias chains and
broken records to dnspython, which is imported when the first answer is read: a switch without names starts faster.

Questions carry no EDNS: without it an answer fits into 512 bytes and cannot be fragmented, and what is longer comes
by TCP. A question's letters are in random case (``spell``), which a server copies and a forger has to guess.

Not here: when to ask whom (``inband.control.names``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, IntEnum
from ipaddress import ip_address

from inband.errors import WireError
from inband.vocabulary.addresses import IpAddress

PORT = 53

# A name with more addresses is a mistake or an attack; each address is a dozen hidden flows.
MAX_ADDRESSES = 16
MAX_LABEL = 63

_HEADER = struct.Struct("!HHHHHH")
_TAIL = struct.Struct("!HH")
_QR, _OPCODE, _RD = 0x8000, 0x7800, 0x0100
_IN = 1


class RecordType(IntEnum):
    """The two types that say where a name is (RFC 1035, 3.2.2; RFC 3596, 2.1)."""

    A = 1
    AAAA = 28

    @property
    def version(self) -> int:
        """The IP version of its addresses."""
        return 4 if self is RecordType.A else 6


class Outcome(Enum):
    """What an answer amounts to; the values are the words for people."""

    ADDRESSES = "addresses"
    NO_DATA = "the name has no address of this family"
    NO_NAME = "there is no such name"
    REFUSED = "the server did not answer the question"
    TRUNCATED = "the answer is too long for UDP"


@dataclass(frozen=True, slots=True)
class Question:
    """The first question of a message. ``name`` is spelled as in the message, without the final dot."""

    ident: int
    name: str
    rdtype: int
    is_answer: bool

    @property
    def asks_for(self) -> str:
        """The name in lower case: DNS does not care for case (RFC 4343)."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. ``ttl_s`` is how long it holds, the shortest of all records that led to it.

    ``aliases`` is how many CNAMEs led to the addresses; ``detail`` names the server's error code, if there is one.
    """

    outcome: Outcome
    addresses: tuple[IpAddress, ...] = ()
    ttl_s: int = 0
    aliases: int = 0
    detail: str = ""


def spell(name: str, bits: int) -> str:
    """The name with letters in upper case where ``bits`` has a 1."""
    return "".join(c.upper() if bits >> at & 1 else c.lower() for at, c in enumerate(name))


def build_question(ident: int, name: str, rdtype: RecordType) -> bytes:
    """A recursive question for a host name as ``switch.targets`` lets it through (ASCII, labels up to 63 bytes)."""
    labels = name.encode("ascii").split(b".")
    encoded = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return _HEADER.pack(ident, _RD, 1, 0, 0, 0) + encoded + _TAIL.pack(rdtype, _IN)


def question_of(message: bytes) -> Question | None:
    """The question of a DNS query or answer; None when there is no whole and single one of class IN."""
    if len(message) < _HEADER.size:
        return None
    ident, flags, questions, *_ = _HEADER.unpack_from(message)
    if questions != 1 or flags & _OPCODE:
        return None
    labels, at = [], _HEADER.size
    while at < len(message) and message[at]:
        size = message[at]
        if size > MAX_LABEL or at + 1 + size > len(message) or at > 255 + _HEADER.size:
            return None
        labels.append(message[at + 1 : at + 1 + size])
        at += 1 + size
    if at + 1 + _TAIL.size > len(message):
        return None
    rdtype, rdclass = _TAIL.unpack_from(message, at + 1)
    if rdclass != _IN:
        return None
    return Question(ident, b".".join(labels).decode("latin-1"), rdtype, bool(flags & _QR))


def load_reader() -> None:
    """Import what ``read_answer`` needs, which takes a while; a thread may do it."""
    import dns.message  # noqa: F401


def read_answer(data: bytes) -> Answer:
    """Read an answer whose question was checked; raises WireError when it is none or contradicts itself."""
    import dns.exception
    import dns.flags
    import dns.message
    import dns.rcode

    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
        if message.flags & dns.flags.TC:
            return Answer(Outcome.TRUNCATED)
        if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return Answer(Outcome.REFUSED, detail=dns.rcode.to_text(message.rcode()))
        if not isinstance(message, dns.message.QueryMessage):
            raise WireError("DNS answer: it is no answer to a query")
        chain = message.resolve_chaining()
    except (dns.exception.DNSException, ValueError) as error:
        raise WireError(f"DNS answer: {error or type(error).__name__}") from None
    aliases, ttl_s = len(chain.cnames), chain.minimum_ttl
    if chain.answer is None:
        no_name = message.rcode() == dns.rcode.NXDOMAIN
        return Answer(Outcome.NO_NAME if no_name else Outcome.NO_DATA, (), ttl_s, aliases)
    records = [record for record in chain.answer if record.rdclass == _IN and record.rdtype in tuple(RecordType)]
    found = dict.fromkeys(ip_address(record.to_text()) for record in records)
    usable = tuple(address for address in found if _is_usable(address))[:MAX_ADDRESSES]
    return Answer(Outcome.ADDRESSES if usable else Outcome.NO_DATA, usable, ttl_s, aliases)


def _is_usable(address: IpAddress) -> bool:
    """Whether it is the address of one other host that can be reached without knowing an interface."""
    no_host = address.is_multicast or address.is_unspecified or int(address) == 0xFFFFFFFF
    if address.version == 6 and (address.is_link_local or address.ipv4_mapped is not None):
        return False  # the kernel would speak IPv4 to a mapped one
    return not (no_host or address.is_loopback)
