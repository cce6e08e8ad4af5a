"""Tunnels as the kernel's own interfaces: what rtnetlink is told to make one (linux/if_link.h, linux/if_tunnel.h)."""

from __future__ import annotations

from typing import assert_never

from inband.host import codec, rtnetlink
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.tunnels import Tunnel, TunnelKind

_VXLAN_ID, _VXLAN_REMOTE, _VXLAN_LOCAL, _VXLAN_TTL, _VXLAN_LEARNING, _VXLAN_PORT = 1, 2, 4, 5, 7, 15
_VXLAN_REMOTE6, _VXLAN_LOCAL6 = 16, 17
_GENEVE_ID, _GENEVE_REMOTE, _GENEVE_TTL, _GENEVE_PORT, _GENEVE_REMOTE6 = 1, 2, 3, 5, 7
_GRE_IFLAGS, _GRE_OFLAGS, _GRE_IKEY, _GRE_OKEY, _GRE_LOCAL, _GRE_REMOTE, _GRE_TTL = 2, 3, 4, 5, 6, 7, 8
_GRE_KEY = 0x2000


def tunnel_body(name: str, tunnel: Tunnel) -> bytes:
    """A new interface that is this end of a tunnel. Geneve has no address of its own end to say."""
    kind, data = _kind_and_data(tunnel)
    info = codec.text(rtnetlink.IFLA_INFO_KIND, kind), codec.attribute(rtnetlink.IFLA_INFO_DATA, *data)
    return rtnetlink.link_body(
        0, codec.text(rtnetlink.IFLA_IFNAME, name), codec.attribute(rtnetlink.IFLA_LINKINFO, *info)
    )


def _kind_and_data(tunnel: Tunnel) -> tuple[str, list[bytes]]:
    is_v4 = tunnel.remote.version == 4
    match tunnel.kind:
        case TunnelKind.VXLAN:
            data = [codec.number(_VXLAN_ID, tunnel.key or 0, 4), _be16(_VXLAN_PORT, tunnel.dst_port)]
            data += [codec.number(_VXLAN_LEARNING, 0, 1)]  # there is one other end, so there is nothing to learn
            data += _address(_VXLAN_REMOTE if is_v4 else _VXLAN_REMOTE6, tunnel.remote)
            data += _address(_VXLAN_LOCAL if is_v4 else _VXLAN_LOCAL6, tunnel.local) + _ttl(_VXLAN_TTL, tunnel)
            return "vxlan", data
        case TunnelKind.GENEVE:
            data = [codec.number(_GENEVE_ID, tunnel.key or 0, 4), _be16(_GENEVE_PORT, tunnel.dst_port)]
            data += _address(_GENEVE_REMOTE if is_v4 else _GENEVE_REMOTE6, tunnel.remote) + _ttl(_GENEVE_TTL, tunnel)
            return "geneve", data
        case TunnelKind.GRE:
            data = [] if tunnel.key is None else _gre_key(tunnel.key)
            data += _address(_GRE_REMOTE, tunnel.remote) + _address(_GRE_LOCAL, tunnel.local) + _ttl(_GRE_TTL, tunnel)
            return "gretap" if is_v4 else "ip6gretap", data
        case _:
            assert_never(tunnel.kind)


def _gre_key(key: int) -> list[bytes]:
    flags = [_be16(kind, _GRE_KEY) for kind in (_GRE_IFLAGS, _GRE_OFLAGS)]
    return flags + [codec.attribute(kind, key.to_bytes(4, "big")) for kind in (_GRE_IKEY, _GRE_OKEY)]


def _be16(kind: int, value: int) -> bytes:
    return codec.attribute(kind, value.to_bytes(2, "big"))


def _address(kind: int, address: IpAddress | None) -> list[bytes]:
    return [] if address is None else [codec.attribute(kind, address.packed)]


def _ttl(kind: int, tunnel: Tunnel) -> list[bytes]:
    return [codec.number(kind, tunnel.ttl, 1)] if tunnel.ttl else []
