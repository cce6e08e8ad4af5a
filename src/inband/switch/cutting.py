"""Whether a change would cut the session that it is made over: an operator who mistypes must not have to drive there.

What is known of the session are its ends, as sshd says them (``SSH_CONNECTION``). What the kernel knows (which
interface has the near end's address) and the bridge (which port the far end is behind) the caller says.

It judges by the configuration: what a controller's flows do to a session that no rule protects is not foreseen. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from inband.control.endpoints import Protocol, network_of
from inband.errors import UsageError
from inband.switch.config import BridgeConfig, FailMode, SwitchConfig
from inband.switch.manager_targets import ManagerTarget
from inband.vocabulary.addresses import IpAddress, parse_ip


@dataclass(frozen=True, slots=True)
class Session:
    """A connection from ``far`` to a port of ``near``, which is an address of this machine."""

    far: IpAddress
    near: IpAddress
    port: int


def parse_session(text: str) -> Session | None:
    """Read ``FAR FARPORT NEAR NEARPORT`` (sshd(8), SSH_CONNECTION); None for anything else."""
    words = text.split()
    if len(words) != 4 or not (words[3].isascii() and words[3].isdigit()):
        return None
    try:
        return Session(_address(words[0]), _address(words[2]), int(words[3]))
    except UsageError:
        return None


def _address(text: str) -> IpAddress:
    address = parse_ip(text.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def why_cut(
    session: Session, before: SwitchConfig, after: SwitchConfig, interface: str | None, port: str | None
) -> str | None:
    """Why going from one configuration to another would cut a session, in words; None when it would not.

    ``interface`` has the session's near address now, ``port`` is the one that the far end is behind.
    """
    return next(_reasons(session, before, after, interface, port), None)


def _reasons(
    session: Session, before: SwitchConfig, after: SwitchConfig, interface: str | None, port: str | None
) -> Iterator[str]:
    was = {bridge.name: bridge for bridge in before.bridges}
    will_be = {bridge.name: bridge for bridge in after.bridges}
    if interface in was:
        if interface not in will_be:
            yield f"{interface}, which has this session's address {session.near}, would go away"
            return
        yield from _changed_bridge(session, was[interface], will_be[interface], port)
        if _is_protected(session, before, was[interface]) and not _passes(session, after, will_be[interface]):
            yield f"{session.far} would not be a protected manager any more, and in-band control is what lets it pass"
        return
    for bridge in after.bridges:
        if interface not in bridge.ports or interface in (was[bridge.name].ports if bridge.name in was else ()):
            continue
        if bridge.adopt != interface:
            yield f"{interface} has this session's address {session.near}: use `inband adopt {bridge.name} {interface}`"
        elif not _passes(session, after, bridge):
            yield f"only flows of a controller would let {session.far} pass: make it a manager first (set-manager)"


def _changed_bridge(session: Session, was: BridgeConfig, will_be: BridgeConfig, port: str | None) -> Iterator[str]:
    configured = {address.ip for address in was.addresses}
    if session.near in configured and session.near not in {address.ip for address in will_be.addresses}:
        yield f"{was.name} would lose this session's address {session.near}"
    if (was.dhcp and not will_be.dhcp) and session.near not in configured and will_be.adopt == was.adopt:
        yield f"{was.name} would lose the lease of this session's address {session.near}"
    if port is not None and port in was.ports and port not in will_be.ports and was.adopt != port:
        yield f"{session.far} is behind port {port}, which would not be a port any more"
    if port is not None and port in will_be.ports and _keeps_out(will_be, port) and not _keeps_out(was, port):
        vlan = "untagged packets" if will_be.control_vlan is None else f"VLAN {will_be.control_vlan}"
        yield f"{session.far} is behind port {port}, which would not carry {vlan}, where {was.name} is"
    on_link = any(session.far in address.network for address in will_be.addresses)
    if was.control_vlan != will_be.control_vlan:
        vlan = "untagged" if will_be.control_vlan is None else f"in VLAN {will_be.control_vlan}"
        yield f"{was.name} would hear {session.far} only {vlan}"
    if was.gateway is not None and will_be.gateway != was.gateway and not on_link:
        yield f"the way to {session.far} leads by the gateway {was.gateway}, which would not be the gateway any more"


def _keeps_out(bridge: BridgeConfig, port: str) -> bool:
    """Whether a port's VLANs keep out what is for the bridge's own interface; in-band control's sessions pass."""
    vlans = dict(bridge.port_vlans).get(port)
    return vlans is not None and not vlans.carries(bridge.control_vlan or 0)


def _passes(session: Session, config: SwitchConfig, bridge: BridgeConfig) -> bool:
    """Whether nothing that a controller does keeps a session from passing a bridge, or it has no controller."""
    is_learning_switch = not bridge.controllers and bridge.fail_mode is FailMode.STANDALONE
    return is_learning_switch or _is_protected(session, config, bridge)


def _is_protected(session: Session, config: SwitchConfig, bridge: BridgeConfig) -> bool:
    """Whether a rule lets the session pass. Who a name is, is not known here: a manager with one may be who it is."""
    return bridge.in_band and any(_lets_call(target, session) for target in config.managers)


def _lets_call(target: ManagerTarget, session: Session) -> bool:
    if not (target.in_band and target.calls and target.protocol is Protocol.TCP and target.port == session.port):
        return False
    if target.address is None:
        return True
    length = target.address.max_prefixlen if target.length is None else target.length
    return session.far in network_of(target.address, length)
