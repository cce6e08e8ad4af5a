"""Targets: how people write who to connect to, and where to listen.

The syntax is that of ovs-vsctl, because the operators' fingers know it: ``tcp:192.0.2.1:6653``, ``ssl:[2001:db8::1]``,
``tcp:[fe80::1%br0]`` (a link-local address needs its interface), ``ptcp:6653:127.0.0.1``, ``punix:/path``. Ours:
``tls`` for ``ssl``, and options after a comma: ``out-of-band``; ``allow=192.0.2.0/24`` for listening, which may be
given several times; ``peer-name=ctl.example.net`` or ``peer-name=sha256:FINGERPRINT`` for TLS. (A peer's certificate is
of our authority in any case; without a peer-name, whose it is does not matter.)

Invariant: ``parse_target(str(target)) == target`` for every target, so that what ``show`` prints can be
given to ``set-controller`` again. Nothing is resolved or dialled here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from inband.errors import UsageError
from inband.vocabulary.addresses import IpAddress, IpNetwork
from inband.vocabulary.numbers import OPENFLOW_PORT

# One label of a host name (RFC 1123, 2.1), underscores allowed because people use them.
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")

# What the kernel takes for an interface's name (dev_valid_name), of ASCII and without what would end the name here.
_INTERFACE = re.compile(r"(?:(?![/:%,\[\]])[!-~]){1,15}")

EXAMPLE = "write tcp:192.0.2.1:6653 or tls:[2001:db8::1]:6653"


class Scheme(StrEnum):
    """How a target is reached; those with a ``p`` in front listen. ``auto`` is no place: see ``Target.is_auto``."""

    TCP = "tcp"
    TLS = "tls"
    UNIX = "unix"
    PTCP = "ptcp"
    PSSL = "pssl"
    PUNIX = "punix"
    AUTO = "auto"


_ALIASES = {"ssl": Scheme.TLS, "ptls": Scheme.PSSL}
_WORDS = sorted({*Scheme, *_ALIASES} - {Scheme.AUTO})
_OPTIONS = ("out-of-band", "in-band", "allow=PREFIX", "peer-name=NAME")
_FINGERPRINT = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Target:
    """One place to dial or to listen at.

    ``host`` is an address, a DNS name, or None (unix sockets; listening on loopback alone). ``port`` is a TCP port,
    0 for unix sockets. ``path`` is the file of a unix socket, else empty. ``out_of_band``: in-band control leaves
    this remote alone. ``allow`` are the networks that may call (none: all). ``peer_name`` is what the peer's
    certificate must say: a name, or "sha256:" and the fingerprint in hexadecimal digits.
    """

    scheme: Scheme
    host: IpAddress | str | None = None
    port: int = OPENFLOW_PORT
    path: str = ""
    out_of_band: bool = False
    allow: tuple[IpNetwork, ...] = ()
    peer_name: str | None = None

    @property
    def address(self) -> IpAddress | None:
        """The host, when it was written as an address."""
        return address_of(self.host)

    @property
    def name(self) -> str | None:
        """The host, when it was written as a DNS name."""
        return name_of(self.host)

    @property
    def listens(self) -> bool:
        """Whether the switch waits for the peer rather than dialling it."""
        return self.scheme in (Scheme.PTCP, Scheme.PSSL, Scheme.PUNIX)

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme in (Scheme.TLS, Scheme.PSSL)

    @property
    def is_unix(self) -> bool:
        """Whether this is a socket in the file system."""
        return self.scheme in (Scheme.UNIX, Scheme.PUNIX)

    @property
    def is_auto(self) -> bool:
        """Whether it stands for the controllers that neighbours of the network's key use, and is none itself."""
        return self.scheme is Scheme.AUTO

    @property
    def in_band(self) -> bool:
        """Whether in-band control protects the way to this target: it is dialled over IP and not ``out-of-band``."""
        return not (self.out_of_band or self.listens or self.is_unix or self.is_auto)

    @property
    def is_open(self) -> bool:
        """Whether strangers may call without a certificate: it listens on more than loopback, to all."""
        is_local = self.address is None or self.address.is_loopback
        return self.scheme is Scheme.PTCP and not is_local and not self.allow

    def allows(self, address: IpAddress) -> bool:
        """Whether a peer with this address may call."""
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return not self.allow or any((mapped or address) in network for network in self.allow)

    def __str__(self) -> str:
        suffix = ",out-of-band" if self.out_of_band else ""
        suffix += "".join(f",allow={network}" for network in self.allow)
        suffix += f",peer-name={self.peer_name}" if self.peer_name is not None else ""
        if self.is_auto:
            return str(self.scheme)
        if self.is_unix:
            return f"{self.scheme}:{self.path}{suffix}"
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        if self.listens:
            where = "" if self.host is None else f":{host}"
            return f"{self.scheme}:{self.port}{where}{suffix}"
        return f"{self.scheme}:{host}:{self.port}{suffix}"


AUTO = Target(Scheme.AUTO, port=0)
"""The controllers that neighbours use."""


def parse_target(text: str) -> Target:
    """Read ``tcp:HOST[:PORT]``, ``tls:...``, ``ptcp:[PORT][:HOST]``, ``pssl:...``, ``unix:PATH`` or ``punix:PATH``.

    Options follow after a comma; ``auto`` has none. Raises UsageError saying what is wrong with which part.
    """
    if text.strip().lower() == Scheme.AUTO:
        return AUTO
    body, *options = text.strip().split(",")
    word, colon, rest = body.partition(":")
    scheme, rest = _parse_scheme(text, word, colon), rest.strip()
    return _with_options(text, _parse_place(text, scheme, rest), options)


def _parse_place(text: str, scheme: Scheme, rest: str) -> Target:
    if scheme in (Scheme.UNIX, Scheme.PUNIX):
        if not rest:
            raise UsageError(f"target {text!r} has no path: write {scheme}:/run/file.sock")
        return Target(scheme, None, 0, rest)
    if scheme in (Scheme.PTCP, Scheme.PSSL):
        port_text, _, host_text = rest.partition(":")
        host = _parse_listen_host(text, host_text) if host_text else None
        return Target(scheme, host, _parse_port(text, port_text, default=OPENFLOW_PORT))
    host_text, port_text = split_host(text, rest)
    port = _parse_port(text, port_text, default=OPENFLOW_PORT)
    return Target(scheme, parse_remote_host(text, host_text), port)


def _parse_scheme(text: str, word: str, colon: str) -> Scheme:
    lowered = word.lower()
    if lowered == Scheme.AUTO:
        raise UsageError(f"target {text!r}: auto stands alone: write auto, or {EXAMPLE.removeprefix('write ')}")
    scheme = _ALIASES.get(lowered) or (Scheme(lowered) if lowered in list(Scheme) else None)
    if scheme is not None and colon:
        return scheme
    if not colon or "." in word:
        raise UsageError(f"target {text!r} does not say how to connect: {_example_like(text)}")
    close = get_close_matches(lowered, _WORDS, 1)
    hint = f"did you mean {close[0]}:?" if close else f"it must be one of {', '.join(_WORDS)}"
    raise UsageError(f"target {text!r}: {word!r} is no way to connect: {hint}")


def _example_like(text: str) -> str:
    """How to write a target: with the host that was written, where it can be one."""
    try:
        parse_target(f"tcp:{text}")
    except UsageError:
        return EXAMPLE
    return f"write tcp:{text} or tls:{text}" if "." in text else EXAMPLE


def _with_options(text: str, target: Target, options: list[str]) -> Target:
    for option in options:
        key, _, value = option.strip().partition("=")
        match key, value:
            case "out-of-band" | "in-band", "":
                target = replace(target, out_of_band=key == "out-of-band")
            case "allow", _ if value:
                target = replace(target, allow=(*target.allow, _parse_allowed(text, target, value)))
            case "peer-name", _ if value:
                target = replace(target, peer_name=_parse_peer_name(text, target, value))
            case _:
                raise UsageError(f"target {text!r}: unknown option {option!r}: allowed are {', '.join(_OPTIONS)}")
    return target


def _parse_allowed(text: str, target: Target, value: str) -> IpNetwork:
    if not target.listens or target.is_unix:
        raise UsageError(f"target {text!r}: allow= is for listening by ptcp: and pssl:")
    try:
        return ip_network(value)
    except ValueError:
        raise UsageError(f"target {text!r}: {value!r} is not a network: write allow=192.0.2.0/24") from None


def _parse_peer_name(text: str, target: Target, value: str) -> str:
    if not target.uses_tls:
        raise UsageError(f"target {text!r}: peer-name= is for tls: and pssl:, others have no certificate")
    value = value.lower()
    if value.startswith("sha256:"):
        value = f"sha256:{value.removeprefix('sha256:').replace(':', '')}"
        if not _FINGERPRINT.fullmatch(value):
            raise UsageError(f"target {text!r}: a SHA-256 fingerprint has 64 hexadecimal digits")
        return value
    if not all(_LABEL.fullmatch(label) for label in value.removeprefix("*.").split(".")):
        raise UsageError(f"target {text!r}: {value!r} is neither a host name nor sha256:FINGERPRINT")
    return value


def address_of(host: IpAddress | str | None) -> IpAddress | None:
    """A host that was written as an address."""
    return host if isinstance(host, IPv4Address | IPv6Address) else None


def name_of(host: IpAddress | str | None) -> str | None:
    """A host that was written as a DNS name."""
    return host if isinstance(host, str) else None


def split_host(text: str, rest: str, example: str = EXAMPLE) -> tuple[str, str]:
    """Cut a host (out of its brackets, if it has any) off what is behind it, the colon before the port left out."""
    if rest.startswith("["):
        host, bracket, after = rest[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise UsageError(f"target {text!r}: the brackets around the IPv6 address are not closed: {example}")
        if not _is_ipv6(host):
            raise UsageError(f"target {text!r}: {host!r} in brackets is not an IPv6 address")
        return host, after[1:]
    if rest.count(":") > 1:
        raise UsageError(f"target {text!r}: an IPv6 address goes in brackets: {example}")
    host, _, port = rest.partition(":")
    return host, port


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


def parse_port(text: str, port: str, protocol: str = "TCP") -> int:
    """Read a port; raises UsageError for what is none."""
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= 65535):
        raise UsageError(f"target {text!r}: {port!r} is not a {protocol} port: it must be 1 to 65535")
    return int(port)


def _parse_port(text: str, port: str, *, default: int) -> int:
    return parse_port(text, port) if port else default


def parse_remote_host(text: str, host: str, example: str = EXAMPLE) -> IpAddress | str:
    """Read the address or the DNS name of one host; raises UsageError."""
    if not host:
        raise UsageError(f"target {text!r} names no host: {example}")
    parsed = parse_host(text, host, example)
    if not isinstance(parsed, str) and (parsed.is_multicast or parsed.is_unspecified or int(parsed) == 0xFFFFFFFF):
        raise UsageError(f"target {text!r}: {host} is not the address of one host: {example}")
    return parsed


def _parse_listen_host(text: str, host: str) -> IpAddress:
    parsed = parse_host(text, host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    if isinstance(parsed, str):
        raise UsageError(f"target {text!r}: listening needs an address, not the name {host!r}")
    return parsed


def parse_host(text: str, host: str, example: str = EXAMPLE) -> IpAddress | str:
    """Read an address or a DNS name; raises UsageError for what is neither."""
    try:
        return _with_proper_scope(text, ip_address(host))
    except ValueError:
        pass
    labels = host.rstrip(".").split(".")
    numeric = all(label.isdigit() for label in labels)  # 1.2.3 or 300.0.0.1: a mistyped address, never a name
    if numeric or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UsageError(f"target {text!r}: {host!r} is neither an address nor a host name: {example}")
    return host.lower().rstrip(".")


def _with_proper_scope(text: str, address: IpAddress) -> IpAddress:
    """A link-local address names its interface, any other none (RFC 4007, 6 and 11.2)."""
    if isinstance(address, IPv4Address):
        return address
    scope = address.scope_id
    if not address.is_link_local and scope is not None:
        raise UsageError(f"target {text!r}: only a link-local address has an interface: leave out %{scope}")
    if address.ipv4_mapped is not None:  # the kernel would speak IPv4
        raise UsageError(f"target {text!r}: this is an IPv4 address: write {address.ipv4_mapped}")
    if address.is_link_local and scope is None:
        raise UsageError(f"target {text!r}: a link-local address needs its interface: write [{address}%br0]")
    if scope is not None and not _INTERFACE.fullmatch(scope):
        raise UsageError(f"target {text!r}: {scope!r} cannot be the name of an interface")
    return address
