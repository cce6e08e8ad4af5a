"""What people are told of ``controller = "auto"``: who told of each controller, and why one is not taken."""

from __future__ import annotations

from collections.abc import Iterator

from inband.bridge.bridge import Bridge
from inband.fabric.need import Need
from inband.fabric.needs import Word
from inband.flow.ports import PortNo
from inband.switch.config import BridgeConfig
from inband.switch.core import MAX_FOUND


def auto_notes(bridge: Bridge, config: BridgeConfig) -> Iterator[str]:
    """A line for each controller that neighbours have told of; none where ``auto`` is not configured."""
    if not any(target.is_auto for target in config.controllers):
        return
    found = bridge.neighbours.found_controllers()
    if not found:
        yield (
            "controller auto: no neighbour with the network's key tells of a controller: `inband neighbours` says who "
            "is there"
        )
    has_tls = None not in (config.private_key, config.certificate, config.ca_cert)
    taken = [need for need in found if has_tls or not need.uses_tls][:MAX_FOUND]
    for need, word in found.items():
        left_out = "" if need in taken else f"; not taken: {_reason(need, has_tls=has_tls)}"
        yield f"controller auto: {need} is used by {_where(bridge, word)}{left_out}"


def _reason(need: Need, *, has_tls: bool) -> str:
    if need.uses_tls and not has_tls:
        return "set private-key, certificate and ca-cert"
    return f"{MAX_FOUND} nearer ones are"


def _where(bridge: Bridge, word: Word) -> str:
    """The neighbour that told of it, and how far away the switch is that is configured with it."""
    port, fabric = bridge.ports.get(word.port), bridge.neighbours.fabric
    link = None if fabric is None else fabric.links.get(PortNo(word.port))
    peer = "a neighbour" if link is None or link.peer is None else f"switch {link.peer.switch:016x}"
    away = peer if word.hops == 1 else f"a switch {word.hops} hops away, behind {peer}"
    told = "" if word.until is None else ", which tells so no longer"
    return f"{away} on port {word.port} ({'' if port is None else port.name}){told}"
