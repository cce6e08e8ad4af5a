"""Interfaces that the switch makes itself: internal ones, patches, tunnels (ovs-vswitchd.conf.db(5), Interface)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inband.errors import UsageError
from inband.ovsdb.rows import Row
from inband.ovsdb.tunnels import TUNNELS, tunnel_of
from inband.switch.config import InternalPort, MadePort, PatchPort
from inband.vocabulary.addresses import Mac

INTERNAL, PATCH = "internal", "patch"

_MTU_MIN, _MTU_MAX = 68, 65535
"""What a veth interface can have."""


def made_complaint(interface: Row) -> str:
    """Why an interface cannot be made; empty when it can."""
    if interface.text("type") == PATCH and not interface.map("options").get("peer"):
        return f"{interface.text('name')}: patch type requires valid 'peer' argument"
    if interface.text("type") in TUNNELS:
        try:
            tunnel_of(interface)
        except UsageError as error:
            return str(error)
    return ""


def made_of(bridge: Row, interface: Row, patches: Iterable[Row], blame: Callable[[str], None]) -> MadePort | None:
    """What the switch makes for an interface of a bridge; None: nothing, it is the system's.

    ``patches`` are those of all bridges: among them is the peer of one, which names it in turn.
    """
    kind = interface.text("type")
    if kind == INTERNAL:
        return _internal(interface, blame)
    if kind in TUNNELS:
        return tunnel_of(interface, blame)
    if kind != PATCH:
        return None
    peer = _peer(interface, patches)
    if peer is None:
        wanted, datapath = interface.map("options").get("peer"), bridge.text("datapath_type") or "system"
        blame(f"No usable peer '{wanted}' exists in '{datapath}' datapath.")
    return PatchPort(peer)


def _internal(interface: Row, blame: Callable[[str], None]) -> InternalPort:
    text, mtu, mac = interface.text("mac"), interface.number("mtu_request"), None
    if text:
        try:
            mac = Mac.parse(text)
        except UsageError as error:
            blame(f"mac: {error}")
        if mac is not None and (not mac or mac.is_multicast):
            blame(f"mac: {mac} is not the address of one host")
            mac = None
    if mtu is not None and not _MTU_MIN <= mtu <= _MTU_MAX:
        blame(f"mtu_request {mtu}: it is {_MTU_MIN} to {_MTU_MAX}")
        mtu = None
    return InternalPort(mac, mtu)


def _peer(interface: Row, patches: Iterable[Row]) -> str | None:
    """The name of a patch's peer, when that is there and names this one."""
    name, peer = interface.text("name"), interface.map("options").get("peer")
    others = (other for other in patches if other.text("name") == peer != name)
    return peer if any(other.map("options").get("peer") == name for other in others) else None
