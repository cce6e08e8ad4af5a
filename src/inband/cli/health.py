"""The health of a switch in one line and an exit code: 0 well, 1 something is wrong, 2 no controller is connected."""

from __future__ import annotations

from collections.abc import Iterator

from inband.runtime.show import BridgeDocument, ShowDocument
from inband.switch.reports import joined

OK, WARNING, CRITICAL = 0, 1, 2
"""Exit codes as plugins of monitoring systems have them."""
_WORDS = {OK: "OK", WARNING: "WARNING", CRITICAL: "CRITICAL"}


def health_of(document: ShowDocument) -> tuple[int, str]:
    """The exit code and the line: the worst that was found, and all that was found."""
    found = [finding for bridge in document["bridges"] for finding in _findings(bridge)]
    if not document["bridges"]:
        found.append((WARNING, "no bridge"))
    unconfirmed = document.get("unconfirmed")
    if unconfirmed:
        found.append((WARNING, f"`{unconfirmed}` is not confirmed"))
    front = document.get("ovsdb")
    if front and not front["followed"]:
        found.append((WARNING, f"the database {front['remote']} is not followed: {front['problem']}"))
    found += [(WARNING, complaint) for complaint in (front["complaints"] if front else [])]
    worst = max(code for code, _ in found)
    texts = [text for code, text in sorted(found, key=lambda each: -each[0]) if code == worst or code > OK]
    return worst, f"{_WORDS[worst]}: {'; '.join(texts)}"


def _findings(bridge: BridgeDocument) -> Iterator[tuple[int, str]]:
    name, controllers = bridge["name"], bridge["controllers"]
    connected = sum(controller["connected"] for controller in controllers)
    if not controllers:
        yield OK, f"{name}: no controller is configured, {bridge['forwarding']}"
    elif connected:
        yield OK, f"{name}: {connected} of {len(controllers)} controllers connected"
    else:
        yield CRITICAL, f"{name}: no controller is connected, {bridge['forwarding']}"
    for controller in controllers:
        if not controller["connected"]:
            yield WARNING, f"{name}: {controller['target']} is not connected ({controller['last_error'] or 'no error'})"
    for port in bridge["ports"]:
        if not port["link_up"]:
            yield WARNING, f"{name}: port {port['number']} ({port['name']}) is down"
    for ports in bridge.get("loops", []):
        yield WARNING, f"{name}: {joined(tuple(ports))}"
    for port_name in bridge.get("missing_ports", []):
        yield WARNING, f"{name}: there is no interface {port_name}"
