"""Interfaces that the switch makes for ports: an internal port's pair, the pair between two patch ports, tunnels.

An internal port is a veth pair like a bridge's own (``interfaces``): the outer end has the port's name and is this
machine's to use, the inner end is the switch's. Its state and addresses are the user's, also in another network
namespace, where it may be moved. A patch is a veth pair whose ends are both ports. A tunnel's end is the kernel's own
interface of that kind; its MTU is the kernel's choice unless it is said.

Invariants: an interface that is not ours is never changed: aliases say which are (``inband:NAME:outer`` and so on,
``inband-patch:NAME``). What a switch that was killed has left is taken over as it is, but for tunnels, which are made
again.
"""

from __future__ import annotations

from inband.errors import UsageError
from inband.host import codec, interfaces, rtnetlink
from inband.host.requests import Requests
from inband.host.rtnetlink import Link
from inband.host.tunnel_links import tunnel_body
from inband.vocabulary.addresses import Mac
from inband.vocabulary.tunnels import Tunnel

# A patch has no MTU of its own, so it is the most that a veth interface can have.
PATCH_MTU = 65535
_PATCH = "inband-patch:"
_TUNNEL = "inband-tunnel:"


def ensure_internal(name: str, mac: Mac | None, mtu: int | None, default_mtu: int) -> str:
    """Have an internal port's pair, with this MAC address and MTU if they are said; the name of the switch's end.

    ``default_mtu`` is that of a new one for which none is said. Raises UsageError when an interface of that name is not
    ours, HostError when the kernel refuses.
    """
    with Requests() as requests:
        inner = requests.link(interfaces.inner_name(name))
        if inner is not None and _is_used_elsewhere(inner, name):
            return inner.name
        outer, inner = interfaces.stale_pair(requests, name) or interfaces.create_pair(
            requests, name, mac, mtu or default_mtu
        )
        interfaces.leave_without_link_local(requests, inner)
        if mac is not None and outer.mac != mac:
            interfaces.set_mac(name, mac)
        for link in (inner, outer):  # the inner one first, so that it takes what the outer one sends
            if mtu is not None and link.mtu != mtu:
                interfaces.change_mtu(requests, link.name, link.index, mtu)
        return inner.name


def _is_used_elsewhere(inner: Link, name: str) -> bool:
    """Whether the other end of an internal port is in another network namespace, where it is the user's."""
    return inner.peer_elsewhere and inner.alias == interfaces.alias_of(name, "inner")


def ensure_patch(name: str, peer: str) -> None:
    """Have the pair between two patch ports. Raises UsageError when an interface of one's name is not ours."""
    with Requests() as requests:
        near, far = requests.link(name), requests.link(peer)
        if near is not None and far is not None and _is_patch(near) and _is_patch(far) and near.peer == far.index:
            return
        for link in (near, far):
            if link is not None and not _is_ours(link):
                raise _not_ours(link)
        for name_ in (name, peer):
            _remove(requests, name_)
        macs = interfaces.random_mac(), interfaces.random_mac()
        flags = codec.NLM_F_CREATE | codec.NLM_F_EXCL
        pair = rtnetlink.RTM_NEWLINK, flags, rtnetlink.veth_body(name, peer, *macs, PATCH_MTU)
        names = [interfaces.alias_change(each, _PATCH + each) for each in (name, peer)]
        requests.change_together(f"make the patch {name}", pair, *names)


def ensure_tunnel(name: str, tunnel: Tunnel) -> None:
    """Have this end of a tunnel. Raises UsageError when an interface of that name is not ours, HostError."""
    with Requests() as requests:
        link = requests.link(name)
        if link is not None and not _is_ours(link):
            raise _not_ours(link)
        _remove(requests, name)
        flags = codec.NLM_F_CREATE | codec.NLM_F_EXCL
        made = rtnetlink.RTM_NEWLINK, flags, tunnel_body(name, tunnel)
        requests.change_together(f"make the tunnel {name}", made, interfaces.alias_change(name, _TUNNEL + name))


def remove(name: str) -> None:
    """Remove a patch's pair by one of its ends, or a tunnel; one that is gone, or not ours, is no error.

    Raises HostError.
    """
    with Requests() as requests:
        _remove(requests, name)


def _remove(requests: Requests, name: str) -> None:
    link = requests.link(name)
    if link is not None and _is_ours(link):
        interfaces.delete(requests, link)


def _not_ours(link: Link) -> UsageError:
    return UsageError(f"interface {link.name} exists and is not the switch's: choose another name")


def _is_ours(link: Link) -> bool:
    return link.alias in (_PATCH + link.name, _TUNNEL + link.name)


def _is_patch(link: Link) -> bool:
    return link.alias == _PATCH + link.name
