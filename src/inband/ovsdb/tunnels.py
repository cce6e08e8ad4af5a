"""Interfaces of the types vxlan, gre and geneve: their options (ovs-vswitchd.conf.db(5), Interface, Tunnel Options).

Fixed tunnels alone: an option with the value ``flow``, which leaves it to each packet's flow, is refused in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address

from inband.errors import UsageError
from inband.ovsdb.rows import Row
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.tunnels import DST_PORTS, KEY_BITS, Tunnel, TunnelKind

TUNNELS = tuple(TunnelKind)

_KNOWN = frozenset({"remote_ip", "local_ip", "key", "in_key", "out_key", "dst_port", "ttl"})
_MAX_PORT, _MAX_TTL = 65535, 255


def tunnel_of(interface: Row, blame: Callable[[str], None] = lambda _: None) -> Tunnel:
    """What a row says; ``blame`` hears of options without effect. Raises UsageError when there can be no tunnel."""
    name, kind, options = interface.text("name"), TunnelKind(interface.text("type")), interface.map("options")
    for word, value in sorted(options.items()):
        if word in _KNOWN and value == "flow":
            raise UsageError(f"{name}: options:{word}=flow is not supported: say a fixed value")
        if word not in _KNOWN:
            blame(f"options:{word}: not supported, and without effect")
    if "remote_ip" not in options:
        raise UsageError(f"{name}: {kind} type requires valid 'remote_ip' argument")
    remote, local = _address(name, options, "remote_ip"), _address(name, options, "local_ip")
    if remote is None or (local is not None and local.version != remote.version):
        raise UsageError(f"{name}: local_ip and remote_ip are of one version of IP")
    dst_port = _number(name, options, "dst_port", _MAX_PORT) or DST_PORTS.get(kind, 0)
    if kind is TunnelKind.GRE:
        dst_port = 0
    return Tunnel(
        kind, remote, local, _key(name, kind, options), dst_port, _number(name, options, "ttl", _MAX_TTL) or 0
    )


def _key(name: str, kind: TunnelKind, options: Mapping[str, str]) -> int | None:
    """Both directions' key; without one it is 0, but for GRE, which has none then."""
    found = {_number(name, options, word, (1 << KEY_BITS[kind]) - 1) for word in ("key", "in_key", "out_key")} - {None}
    if len(found) > 1:
        raise UsageError(f"{name}: in_key and out_key are one number here: say key")
    return found.pop() if found else None if kind is TunnelKind.GRE else 0


def _address(name: str, options: Mapping[str, str], word: str) -> IpAddress | None:
    if word not in options:
        return None
    try:
        found = ip_address(options[word])
    except ValueError:
        found = None
    if found is None or found.is_multicast or found.is_unspecified:
        raise UsageError(f"{name}: options:{word}={options[word]} is not the address of one host")
    return found


def _number(name: str, options: Mapping[str, str], word: str, most: int) -> int | None:
    text = options.get(word)
    if text is None:
        return None
    try:
        number = int(text, 0) if text.isascii() and "_" not in text else -1
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        raise UsageError(f"{name}: options:{word}={text} is not a number from 0 to {most}")
    return number
