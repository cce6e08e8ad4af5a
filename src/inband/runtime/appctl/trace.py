"""``ofproto/trace``: what happens to a packet, in the form in which Open vSwitch says it.

The frame of the answer (``Flow:``, tables with ``N. MATCH, priority P``, ``Final flow:``, ``Megaflow:``, ``Datapath
actions:``) is what scripts look for; remarks behind ``->`` are those of ``inband trace``, and an in-band rule is named
there with its letter. Nothing is sent, learned or counted.

Source: ovs-vswitchd(8), OFPROTO COMMANDS; facts observed of Open vSwitch 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import assert_never

from inband.bridge.bridge import Bridge
from inband.errors import UsageError
from inband.flow.actions import DatapathAction, HeaderAction
from inband.flow.fields import FIELDS, PREREQUISITES, VLAN_PRESENT, FlowKey
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.flow.text import format_action, format_match
from inband.packet.edit import apply
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.trace import ActionStep, Note, Step, TableStep
from inband.runtime.appctl.odp import datapath_port, format_odp_actions
from inband.runtime.tracing import packet_of, rule_in_words
from inband.vocabulary.addresses import IpAddress

USAGE = "BRIDGE FLOW [PACKET]"


def ofproto_trace(bridge: Bridge, arguments: Sequence[str], names: Mapping[IpAddress, str]) -> str:
    """The text for ``FLOW``, or ``FLOW PACKET`` with a packet as hexadecimal digits. Raises UsageError.

    ``names`` says what a remote's address is called.
    """
    _refuse_options(arguments)
    flow, *packet = arguments
    ports = {port.name: port.number for port in bridge.ports}
    key, frame, _ = packet_of([flow], ports)
    if packet:
        in_port = PortNo(FIELDS["in_port"].get(key))
        key, frame, _ = packet_of(["hex", packet[0], str(in_port)], ports)
    explanation = bridge.pipeline.explain(key, frame, bridge.now)
    verdict = explanation.verdict
    mask = verdict.mask if verdict.cacheable else sum(FIELDS[name].mask for name in _fields_of(key))
    title = f'bridge("{bridge.name}")'
    lines = [f"Flow: {_whole_flow(key)}", "", title, "-" * len(title), *_steps(explanation.trace.steps)]
    if explanation.decider is not None and explanation.decider.origin is not None:
        lines.append(f"     -> {rule_in_words(bridge, explanation.decider.origin, names)}")
    if not verdict.actions:
        lines.append(f"     -> {verdict.drop_reason}")
    lines += ["", f"Final flow: {_final_flow(key, frame, verdict.actions)}"]
    lines.append(f"Megaflow: recirc_id=0,eth,{format_match(Match(key & mask, mask))}".rstrip(","))
    lines.append(f"Datapath actions: {format_odp_actions(verdict.actions, lambda port: str(datapath_port(port)))}")
    return "\n".join(lines) + "\n"


def _refuse_options(arguments: Sequence[str]) -> None:
    for word in arguments:
        if word in ("-generate", "--generate"):
            raise UsageError(
                "ofproto/trace: -generate would send, learn and count: a trace here changes nothing; "
                "give the packet's bytes instead, as `inband trace --hex` takes them"
            )
        if word.startswith("-"):
            raise UsageError(f"ofproto/trace: there is no option {word}: write ofproto/trace {USAGE}")
    if len(arguments) > 2:
        raise UsageError(f"ofproto/trace: write the flow as one argument, without blanks: ofproto/trace {USAGE}")


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    """Lookups with their actions below; only what the packet comes back from is indented.

    Notes may come before the first lookup.
    """
    indents: dict[int, int] = {-1: -1, 0: 0}
    for index, step in enumerate(steps):
        if isinstance(step, TableStep):
            comes_back = any(later.depth < step.depth for later in steps[index + 1 :])
            indents[step.depth] = indents[step.depth - 1] + (comes_back or step.depth == 0)
        yield from _step(step, "    " * indents[step.depth])


def _step(step: Step, indent: str) -> Iterator[str]:
    match step:
        case TableStep(_, table_id, flow):
            yield f"{indent}{table_id:2}. {'No match.' if flow is None else _flow(flow)}"
        case ActionStep(_, action):
            yield f"{indent}    {format_action(action)}"
        case Note(_, text):
            yield f"{indent}     -> {text}"
        case _:
            assert_never(step)


def _flow(flow: Flow) -> str:
    match = format_match(flow.match)
    cookie = f", cookie {flow.cookie:#x}" if flow.cookie else ""
    return f"{match}{', ' if match else ''}priority {int(flow.priority)}{cookie}"


def _final_flow(key: FlowKey, frame: Frame, actions: Iterable[DatapathAction]) -> str:
    """The packet as it is behind all actions of the decision itself; copies (groups' buckets) left out."""
    in_port = PortNo(FIELDS["in_port"].get(key))
    before = parse(frame.data, in_port)
    for action in actions:
        if isinstance(action, HeaderAction):
            frame = apply(frame, action)
    after = parse(frame.data, in_port)
    return "unchanged" if after == before else _whole_flow(after)


def _fields_of(key: FlowKey) -> Iterator[str]:
    """The fields that a packet of this kind has."""
    for name in FIELDS:
        if name.startswith("reg") or name in _NOT_SHOWN:
            continue
        needs = PREREQUISITES[name]
        if all((key & bits) in allowed if allowed else True for bits, allowed in needs):
            yield name


_NOT_SHOWN = ("metadata", "tunnel_id", "in_phy_port", "ipv6_exthdr", "pbb_isid")


def _whole_flow(key: FlowKey) -> str:
    """Every field that a packet of this kind has, also those that are 0."""
    mask = sum(FIELDS[name].mask for name in _fields_of(key))
    if not FIELDS["vlan_vid"].get(key) & VLAN_PRESENT:
        mask |= FIELDS["vlan_vid"].mask | FIELDS["vlan_pcp"].mask
    return format_match(Match(key & mask, mask))
