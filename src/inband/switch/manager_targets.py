"""Managers as people write them: by whom this machine is configured and watched, and what it needs for that.

The switch dials no manager; in-band control protects the way. One word each (docs/guide.md, "Managers")::

    tcp:HOST[:PORT]            what this switch opens to PORT of HOST, and the answers; tls: and ssl: mean the same
    udp:HOST:PORT              what this switch sends to PORT of HOST, and the answers
    from:tcp:HOST[/LEN]:PORT   what HOST opens to PORT of this switch, and the answers; and its ICMP echo
    from:udp:HOST[/LEN]:PORT   likewise for UDP

HOST is an address (IPv6 in brackets, LEN behind them) or a DNS name; the option ``,out-of-band`` means what it does for
controllers.

Invariant: ``parse_manager(str(target)) == target`` for every target. Nothing is resolved here.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv6Address

from inband.control.endpoints import Protocol, network_of
from inband.errors import UsageError
from inband.switch.targets import address_of, name_of, parse_host, parse_port, parse_remote_host, split_host
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.numbers import OPENFLOW_PORT

EXAMPLE = "write from:tcp:192.0.2.9:22 (it calls this switch), or udp:192.0.2.9:514 (this switch calls it)"
_FROM = "from"
_PROTOCOLS = {"tcp": Protocol.TCP, "tls": Protocol.TCP, "ssl": Protocol.TCP, "udp": Protocol.UDP}
_LISTENING = ("ptcp", "pssl", "ptls", "punix", "unix")


@dataclass(frozen=True, slots=True)
class ManagerTarget:
    """One manager. ``calls``: it speaks to ``port`` of this switch, else this switch speaks to ``port`` of it.

    ``length`` (with ``calls`` and an address): all hosts in the network of so many bits.
    """

    protocol: Protocol
    host: IpAddress | str
    port: int
    calls: bool = False
    length: int | None = None
    out_of_band: bool = False

    @property
    def address(self) -> IpAddress | None:
        """The host, when it was written as an address."""
        return address_of(self.host)

    @property
    def name(self) -> str | None:
        """The host, when it was written as a DNS name."""
        return name_of(self.host)

    @property
    def in_band(self) -> bool:
        """Whether in-band control protects the way to it."""
        return not self.out_of_band

    def __str__(self) -> str:
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        length = "" if self.length is None else f"/{self.length}"
        start, end = f"{_FROM}:" if self.calls else "", ",out-of-band" if self.out_of_band else ""
        return f"{start}{self.protocol}:{host}{length}:{self.port}{end}"


def parse_manager(text: str) -> ManagerTarget:
    """Read a manager; raises UsageError saying what is wrong with which part."""
    body, *options = text.strip().split(",")
    for option in options:
        if option.strip() not in ("out-of-band", "in-band"):
            raise UsageError(f"target {text!r}: {option!r} is no option of a manager: allowed are out-of-band, in-band")
    word, colon, rest = body.partition(":")
    calls = word.lower() == _FROM and bool(colon)
    if calls:
        word, colon, rest = rest.partition(":")
    protocol = _parse_protocol(text, word.strip(), colon)
    host_text, length_text, port_text = _split(text, rest.strip(), calls=calls)
    host, length = _parse_place(text, host_text, length_text)
    if not port_text and (calls or protocol is Protocol.UDP):
        whose = "the one here that is called" if calls else "the one there"
        raise UsageError(f"target {text!r} has no port ({whose}): {EXAMPLE}")
    port = parse_port(text, port_text, protocol.upper()) if port_text else OPENFLOW_PORT
    return ManagerTarget(protocol, host, port, calls, length, "out-of-band" in (each.strip() for each in options))


def _parse_protocol(text: str, word: str, colon: str) -> Protocol:
    lowered = word.lower()
    if colon and lowered in _PROTOCOLS:
        return _PROTOCOLS[lowered]
    if lowered in _LISTENING:
        raise UsageError(f"target {text!r}: a manager is protected, not dialled or listened for: {EXAMPLE}")
    if not colon or "." in word or not word:
        raise UsageError(f"target {text!r} does not say what to protect: {EXAMPLE}")
    close = get_close_matches(lowered, (*_PROTOCOLS, _FROM), 1)
    hint = f"did you mean {close[0]}:?" if close else "allowed are tcp: and udp:, with from: before it or without"
    raise UsageError(f"target {text!r}: {word!r} is no protocol: {hint}")


def _split(text: str, rest: str, *, calls: bool) -> tuple[str, str, str]:
    """Cut HOST[/LEN][:PORT] into its three parts, each empty where it is missing."""
    before, slash, after = rest.partition("/")
    if not slash:
        host, port = split_host(text, rest, EXAMPLE)
        return host, "", port
    if not calls:
        raise UsageError(f"target {text!r}: whom this switch calls is one host, not a network: leave out /{after}")
    if before.startswith("[") and "]" not in before:
        raise UsageError(f"target {text!r}: the length goes after the brackets: write from:tcp:[2001:db8::]/64:22")
    host, surplus = split_host(text, before, EXAMPLE)
    length, _, port = after.partition(":")
    if surplus or not length:
        raise UsageError(f"target {text!r}: the length goes between host and port: write from:tcp:192.0.2.0/24:22")
    return host, length, port


def _parse_place(text: str, host: str, length_text: str) -> tuple[IpAddress | str, int | None]:
    if not length_text:
        return parse_remote_host(text, host, EXAMPLE), None
    address = parse_host(text, host, EXAMPLE) if host else ""
    if isinstance(address, str):
        raise UsageError(f"target {text!r}: /{length_text} needs an address before it, not {host!r}: {EXAMPLE}")
    most = address.max_prefixlen
    if not (length_text.isascii() and length_text.isdigit() and int(length_text[:4]) <= most):
        raise UsageError(f"target {text!r}: /{length_text} is no length of a network: it must be 0 to {most}")
    length = int(length_text)
    network = network_of(address, length)
    if int(network.network_address) != int(address):
        raise UsageError(f"target {text!r}: {host} is a host of that network: write {network}, or leave out /{length}")
    if address.is_multicast or (length == most and address.is_unspecified):
        raise UsageError(f"target {text!r}: hosts have no such addresses: {EXAMPLE}")
    return address, None if length == most else length
