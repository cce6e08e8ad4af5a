"""What the resolver of remotes' names is told (events) and what it wants done (commands); see ``control.names``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from inband.packet.dns import RecordType
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant


class Transport(Enum):
    """How a question travels."""

    UDP = "udp"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class KnownAddress:
    """An address of a name. ``until``: its time to live ends then. ``server`` said so (None: not known any more).

    ``is_current`` False: a later answer did not have it; it stays until one of the later ones has connected.
    """

    address: IpAddress
    until: Instant
    server: IpAddress | None
    is_current: bool = True


# --- events -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamesWanted:
    """The names of all remotes, in lower case: those that are new are asked for, those that are gone forgotten."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServersFound:
    """The DNS servers to ask, best first."""

    servers: tuple[IpAddress, ...]


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an earlier run knew of a name; say it after the name was wanted. It counts until an answer comes."""

    name: str
    addresses: tuple[KnownAddress, ...]


@dataclass(frozen=True, slots=True)
class AnswerReceived:
    """A message came from the server that a ticket's question went to."""

    ticket: int
    data: bytes


@dataclass(frozen=True, slots=True)
class AskFailed:
    """A ticket's question could not be sent, or the server hung up; ``reason`` is for people."""

    ticket: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChannelsChanged:
    """The addresses that channels are up to, and the names whose remotes are dialled in vain."""

    connected: frozenset[IpAddress]
    failing: frozenset[str]


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """Something on the way got better: questions without an answer are worth asking again."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The instant that ``next_deadline`` named has come (or may have)."""


NameEvent = (
    NamesWanted | ServersFound | Remembered | AnswerReceived | AskFailed | ChannelsChanged | NetworkChanged | TimePassed
)


# --- commands -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this message to the server's port 53, from a port that cannot be guessed.

    Report every message that comes back on that path as AnswerReceived with the ticket, until ForgetQuestion.
    """

    ticket: int
    server: IpAddress
    transport: Transport
    message: bytes
    name: str
    rdtype: RecordType


@dataclass(frozen=True, slots=True)
class ForgetQuestion:
    """Answers to this ticket are not waited for any more."""

    ticket: int


@dataclass(frozen=True, slots=True)
class AddressesChanged:
    """The addresses to protect and to dial for a name, those of the last answers first. Empty: none known."""

    name: str
    addresses: tuple[IpAddress, ...]


NameCommand = Ask | ForgetQuestion | AddressesChanged
