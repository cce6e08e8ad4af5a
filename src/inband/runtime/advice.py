"""Why a remote cannot be reached, in words, with what to do next: the first thing on the way that does not work.

The way to a remote with a name is long: a DNS server, the way to it, its answer, an address, the way to that, a process
who listens there. People see the last error only; what they need is the first cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inband.control.destinations import RemoteStatus
from inband.control.names import NameStatus
from inband.packet.dns import Outcome
from inband.switch.targets import Target
from inband.vocabulary.addresses import IpAddress

Hops = Mapping[IpAddress, RemoteStatus]
"""How each protected address is reached."""


@dataclass(frozen=True, slots=True)
class PortsKnown:
    """What advice needs to know of ports: ``down`` are the ports that are, in words; ``of`` the bridge by interface."""

    down: Sequence[str] = ()
    of: Mapping[str, str] = field(default_factory=dict)


NO_PORTS = PortsKnown()


def way_advice(address: IpAddress, hops: Hops, ports: PortsKnown = NO_PORTS) -> str | None:
    """What is wrong with the way to an address; None when nothing is known to be."""
    status = hops.get(address)
    return None if status is None else remote_advice(status, ports)


def remote_advice(status: RemoteStatus, ports: PortsKnown = NO_PORTS) -> str | None:
    """What is wrong with the way to a remote; None when nothing is known to be."""
    address = status.endpoint.place
    if status.is_on_link:
        return None
    bridge = ports.of.get(status.interface or "")
    if bridge is not None:
        return (
            f"the way to {address} leads by {status.interface}, but {status.interface} is a port of {bridge}, which "
            f"takes its frames: its addresses belong on {bridge} (`inband adopt`)"
        )
    if status.next_hop is None:
        return f"there is no route to {address}: give the bridge an address in its network, or a gateway"
    if status.next_hop_mac is None:
        asked = "ARP" if status.next_hop.version == 4 else "neighbour solicitations"
        if ports.down:
            verb = "is" if len(ports.down) == 1 else "are"
            return f"{', '.join(ports.down)} {verb} down, and {status.next_hop} does not answer {asked}: check the link"
        role = "" if status.next_hop == status.address else f" (the next hop to {address})"
        return (
            f"{status.next_hop}{role} does not answer {asked} on {status.interface}: "
            "check that it is up, and the links and switches on the way"
        )
    return None


def name_advice(name: NameStatus, servers: Sequence[IpAddress], hops: Hops, ports: PortsKnown = NO_PORTS) -> str | None:
    """Why a name has no address yet; None when it has one."""
    if name.addresses:
        return None
    if not servers:
        return f"no DNS server is known to ask for {name.name}: set dns-server, or give the controller's address"
    if Outcome.NO_NAME in name.outcomes:
        return f"{name.problem}: check how {name.name} is spelled, or add it to the zone"
    if set(name.outcomes) == {Outcome.NO_DATA}:
        return f"{name.name} has no address: add an A or AAAA record to the zone"
    ways = [way_advice(server, hops, ports) for server in servers]
    if None not in ways:
        return f"no DNS server can be reached: {ways[0]}"
    problem = name.problem or f"{servers[0]} has not answered yet"
    return f"{name.name} is not resolved: {problem}: check that the DNS server runs and serves this switch"


def controller_advice(
    target: Target,
    addresses: Sequence[IpAddress],
    failures: Mapping[IpAddress, str],
    last_error: str | None,
    name: NameStatus | None,
    servers: Sequence[IpAddress],
    hops: Hops,
    ports: PortsKnown = NO_PORTS,
) -> str | None:
    """Why a controller that is dialled is not connected; ``failures`` and ``last_error`` are of the last attempt."""
    if target.is_unix:
        return None if last_error is None else f"{last_error}: check that a controller listens at {target.path}"
    unresolved = name_advice(name, servers, hops, ports) if name else None
    if unresolved or not addresses:
        return unresolved
    ways = [way_advice(address, hops, ports) for address in addresses]
    if None not in ways:
        return ways[0]
    if last_error is None:
        return None
    advice = _endpoint_advice(target, addresses, failures, last_error)
    if not ports.down:
        return advice
    down = f"{', '.join(ports.down)} {'is' if len(ports.down) == 1 else 'are'} down"
    was_answered = "refused" in last_error or "TLS" in last_error
    return f"{down}; before: {advice}" if was_answered else f"{down}: check the link ({last_error})"


def _endpoint_advice(
    target: Target, addresses: Sequence[IpAddress], failures: Mapping[IpAddress, str], last_error: str
) -> str:
    where = ", ".join(map(str, addresses))
    reasons = " ".join([last_error, *failures.values()])
    if "refused" in reasons and "certificate" not in reasons:
        return f"no process listens on TCP port {target.port} of {where}: start the controller, or check the port"
    if "no answer in" in reasons or "timed out" in reasons:
        return f"{where} can be asked for but TCP port {target.port} stays silent: check firewalls and the way back"
    if "unreachable" in reasons or "No route" in reasons:
        return f"the way to {where} ends on a router: check its routes ({last_error})"
    if target.uses_tls:
        return f"{last_error}: check the certificates of both sides and their ca-cert"
    return f"{last_error}: see the controller's log"
