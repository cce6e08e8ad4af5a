"""Names of remotes in the ``show`` document: which name has which addresses until when, and who said so."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from inband.control.name_events import KnownAddress
from inband.control.names import NameStatus, ServerStatus
from inband.runtime.show import NamedAddressDocument, NameDocument, ServerDocument
from inband.switch.names import ServerList
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant


def name_documents(names: Sequence[NameStatus], in_use: frozenset[IpAddress], now: Instant) -> list[NameDocument]:
    """Every name; ``in_use`` are the addresses that channels are up to."""
    return [
        {
            "name": status.name,
            "addresses": [_address(known, in_use, now) for known in status.addresses],
            "problem": status.problem or None,
            "next_question": wall(status.next_question, now),
        }
        for status in names
    ]


def _address(known: KnownAddress, in_use: frozenset[IpAddress], now: Instant) -> NamedAddressDocument:
    return {
        "address": str(known.address),
        "family": family(known.address),
        "valid_until": wall(known.until, now) or 0.0,
        "server": None if known.server is None else str(known.server),
        "current": known.is_current,
        "in_use": known.address in in_use,
    }


def server_documents(servers: Sequence[ServerStatus], found: ServerList, now: Instant) -> list[ServerDocument]:
    """Every DNS server that is asked."""
    return [
        {
            "address": str(server.address),
            "source": found.source,
            "answers": server.answers,
            "unanswered": server.unanswered,
            "ignored": server.ignored,
            "last_answer": wall(server.last_answer, now),
            "last_error": server.last_error or None,
        }
        for server in servers
    ]


def names_of_addresses(names: Iterable[NameStatus]) -> Mapping[IpAddress, list[str]]:
    """The names of each address, for scripts."""
    called: dict[IpAddress, list[str]] = {}
    for name in names:
        for each in name.addresses:
            called.setdefault(each.address, []).append(name.name)
    return called


def names_by_address(names: Sequence[NameStatus], now: Instant) -> Mapping[IpAddress, str]:
    """For people: what an address is called, and until when."""
    words: dict[IpAddress, str] = {}
    for status in names:
        for known in status.addresses:
            words[known.address] = f"{status.name} {validity(known, now)}"
    return words


def validity(known: KnownAddress, now: Instant) -> str:
    """``until 12:00:03``, in local time, or why an address still counts."""
    clock = time.strftime("%H:%M:%S", time.localtime(wall(known.until, now)))
    if not known.is_current:
        return "before, kept until its newer address has connected"
    return f"until {clock}" if known.until > now else f"until {clock}, kept while no server gives another"


def family(address: IpAddress) -> str:
    """``IPv4`` or ``IPv6``."""
    return f"IPv{address.version}"


def wall(instant: Instant | None, now: Instant) -> float | None:
    """An instant of the monotonic clock as seconds since 1970."""
    return None if instant is None else round(time.time() - (now - instant), 3)
