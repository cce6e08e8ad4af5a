"""``inband trace``: what happens to a packet, step by step, and what would happen without in-band control, as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from inband.bridge.bridge import Bridge
from inband.bridge.kernel_tables import KernelTables
from inband.control.destinations import RemoteStatus
from inband.control.letters import LETTERS
from inband.errors import UsageError
from inband.flow.fields import FIELDS, FlowKey
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.origin import Origin, Owner, PayloadCheck
from inband.flow.ports import LOCAL, PortNo
from inband.flow.text import format_action, format_actions, format_match, parse_flow, parse_port
from inband.flow.text_fields import Ports
from inband.packet.build import frame_of_key
from inband.packet.frame import Frame
from inband.packet.parse import parse_checked
from inband.pipeline.trace import ActionStep, Note, TableStep, Trace
from inband.pipeline.translation import Translation
from inband.vocabulary.addresses import IpAddress


def explain(bridge: Bridge, packet: Sequence[str], names: Mapping[IpAddress, str]) -> str:
    """The text for a packet: ``[FLOW]``, or ``["hex", FRAME, IN_PORT?]``. Raises UsageError.

    ``names`` says what a remote's address is called, and until when.
    """
    ports = {port.name: port.number for port in bridge.ports}
    key, frame, fault = packet_of(packet, ports)
    explanation = bridge.pipeline.explain(key, frame, bridge.now)
    lines = [f"packet: {format_match(as_match(key)) or 'no fields'}"]
    if fault:
        lines.append(f"note: the frame is malformed ({fault}); fields after the fault are missing")
    check = None if packet[0] == "hex" else _needed_check(bridge, key)
    if check is not None:
        letters = [f"({kind.letter})" for kind in LETTERS.values() if kind.check is check]
        verb = "depend" if len(letters) > 1 else "depends"
        lines.append(
            f"note: {' and '.join(letters)} {verb} on the payload, which a flow does not have: trace a frame with --hex"
        )
    lines += ["", *_steps(explanation.trace), ""]
    decider = explanation.decider
    if decider is not None and decider.origin is not None:
        lines.append(f"decided by: {rule_in_words(bridge, decider.origin, names)}")
    lines.append(f"verdict: {_verdict(explanation.verdict)}")
    lines.append(f"megaflow: {_megaflow(key, explanation.verdict)}")
    if bridge.megaflows.tables is not None and decider is None:  # what in-band control decides is never the kernel's
        lines.append(f"first packet: {first_packet(bridge.megaflows.tables, explanation.trace)}")
    lines.append(f"without in-band: {_verdict(explanation.verdict_without)}")
    return "\n".join(lines) + "\n"


def first_packet(tables: KernelTables, trace: Trace) -> str:
    """Where a packet without a megaflow is decided, and by which flow that the switch has to be asked, if one does."""
    if not tables.is_valid:
        return f"comes up ({tables.trouble or 'flows have just changed'})"
    visited = [step for step in trace.steps if isinstance(step, TableStep)]
    for step in visited:
        if step.flow is None and not tables.drops_missed(step.table_id):
            return f"comes up (no flow of table {step.table_id} matches)"
        if step.flow is not None and tables.asks(step.flow):
            return f"comes up (the kernel does not know what a flow of table {step.table_id} does)"
    passed = ", ".join(str(step.table_id) for step in visited)
    many = "tables" if len(visited) > 1 else "table"
    return f"is decided in the kernel by {many} {passed}, if it is data" if visited else "comes up"


def packet_of(packet: Sequence[str], ports: Ports) -> tuple[FlowKey, Frame, str | None]:
    """The key and the bytes of what ``explain`` takes, and what is wrong with the bytes, if anything.

    Raises UsageError for what cannot be read, and for a port that is not there.
    """
    if packet[0] == "hex":
        found = _from_bytes(packet, ports)
    elif len(packet) > 1:
        raise UsageError("trace: write the flow as one argument, without spaces: in_port=1,tcp,nw_dst=192.0.2.1")
    else:
        found = _from_flow(packet[0], ports)
    in_port = FIELDS["in_port"].get(found[0])
    if in_port not in ports.values():
        there = ", ".join(f"{number} ({name})" for name, number in ports.items())
        raise UsageError(f"trace: there is no port {PortNo(in_port)} (ports: {there}): say where the packet comes in")
    return found


def _from_bytes(packet: Sequence[str], ports: Ports) -> tuple[FlowKey, Frame, str | None]:
    if len(packet) < 2:
        raise UsageError("trace: hex needs the frame's bytes as hexadecimal digits")
    try:
        data = bytes.fromhex(packet[1])
    except ValueError:
        raise UsageError("trace: the frame is not a row of hexadecimal digits, two for each byte") from None
    in_port = parse_port(packet[2], ports) if len(packet) > 2 else LOCAL
    key, fault = parse_checked(data, in_port)
    return key, Frame(data), fault


def _from_flow(text: str, ports: Ports) -> tuple[FlowKey, Frame, str | None]:
    parsed = parse_flow(text, ports)
    key = FlowKey(parsed.match.value)
    if not FIELDS["in_port"].get(parsed.match.mask):
        key = FlowKey(FIELDS["in_port"].put(key, LOCAL))
    return key, Frame(frame_of_key(key)), None


def _needed_check(bridge: Bridge, key: FlowKey) -> PayloadCheck | None:
    """What would have to be read in the payload of such a packet, if a rule might apply to it."""
    flow, _ = bridge.tables[0].lookup_conditional(key)
    origin = flow.origin if flow is not None else None
    return origin.check if origin is not None else None


def as_match(key: FlowKey) -> Match:
    """The fields of a packet that are not 0."""
    mask = sum(field.mask for field in FIELDS.values() if field.get(key))
    return Match(key & mask, mask)


def _steps(trace: Trace) -> Iterator[str]:
    for step in trace.steps:
        indent = "  " * step.depth
        match step:
            case TableStep():
                found = "no flow matches" if step.flow is None else _flow(step.flow)
                yield f"{indent}table {step.table_id}: {found}"
            case ActionStep():
                yield f"{indent}  {format_action(step.action)}"
            case Note():
                yield f"{indent}  {step.text}"
            case _:
                assert_never(step)


def _flow(flow: Flow) -> str:
    match = format_match(flow.match)
    where = f"{match}," if match else ""
    letter = f" ({flow.origin.letter})" if flow.origin else ""
    return f"{where}priority={int(flow.priority)} actions={format_actions(flow.instructions)}{letter}"


def rule_in_words(bridge: Bridge, origin: Origin, names: Mapping[IpAddress, str]) -> str:
    """A hidden flow by its letter, and whom it is for."""
    match origin.owner:
        case Owner.IN_BAND:
            rest = ", and the flow table besides" if origin.beside else ""
            return f"in-band rule ({origin.letter}) for {_remotes(bridge, origin, names)}{rest}"
        case Owner.FAIL_MODE:
            return f"{origin.subject} {origin.letter}"
        case _:
            assert_never(origin.owner)


def _remotes(bridge: Bridge, origin: Origin, names: Mapping[IpAddress, str]) -> str:
    """The rule's subject, and which remotes it serves when that is another (a gateway, the bridge)."""
    if origin.check is PayloadCheck.DNS:
        return f"DNS server {origin.subject} (for {', '.join(sorted(bridge.pipeline.dns_names))})"
    engine = bridge.in_band.engine
    served = sorted({_in_words(s, names) for s in engine.remotes() if _serves(origin.subject, s)})
    served += [f"DNS server {s.address}" for s in engine.servers() if _serves(origin.subject, s)]
    rest = f" and {len(served) - 3} more" if len(served) > 3 else ""
    return f"{origin.subject} (remote {', '.join(served[:3])}{rest})" if served else origin.subject


def _in_words(remote: RemoteStatus, names: Mapping[IpAddress, str]) -> str:
    name = names.get(remote.address)
    return remote.endpoint.subject + (f" = {name}" if name else "")


def _serves(subject: str, remote: RemoteStatus) -> bool:
    endpoint = remote.endpoint
    return subject in (endpoint.place, str(remote.next_hop), str(remote.next_hop_mac), endpoint.subject)


def _verdict(translation: Translation) -> str:
    if not translation.actions:
        return f"drop ({translation.drop_reason})" if translation.drop_reason else "drop"
    return format_actions(translation.actions)


def _megaflow(key: FlowKey, translation: Translation) -> str:
    if not translation.cacheable:
        return "none: the decision holds for this packet only"
    return format_match(Match(key & translation.mask, translation.mask)) or "every packet"
