"""Flows as ovs-ofctl writes them, both ways.

``parse_flow`` reads what people give to ``inband trace`` and ``ovs-ofctl add-flow``; ``format_flow`` writes a line of
``ovs-ofctl dump-flows``, and ``format_bridge_flow`` one of ``ovs-appctl bridge/dump-flows``, hidden flows with letter
and remote. ``flow_document`` is the same for machines. Matches and actions have modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NotRequired, TypedDict, assert_never

from inband.errors import UsageError
from inband.flow.actions import Instruction
from inband.flow.flow import Flow, FlowFlags
from inband.flow.match import ANY, Match
from inband.flow.origin import About
from inband.flow.priority import OpenFlowPriority
from inband.flow.text_actions import format_action, format_actions, parse_actions
from inband.flow.text_fields import NO_PORTS, Ports, parse_number, parse_port
from inband.flow.text_match import format_match, parse_match, read_terms
from inband.vocabulary.instant import Instant

# OFP_DEFAULT_PRIORITY (OpenFlow 1.0, 5.3.3): what a flow has when nothing is said, and Open vSwitch does not print.
DEFAULT_PRIORITY = OpenFlowPriority(0x8000)


@dataclass(frozen=True, slots=True)
class FlowText:
    """What a flow's text says. ``instructions`` is None when it has no ``actions=``."""

    match: Match = ANY
    priority: OpenFlowPriority = DEFAULT_PRIORITY
    table_id: int = 0
    cookie: int = 0
    idle_timeout_s: int = 0
    hard_timeout_s: int = 0
    importance: int = 0
    flags: FlowFlags = FlowFlags.NONE
    instructions: tuple[Instruction, ...] | None = None


_NUMBERS: Mapping[str, tuple[str, int, Callable[[int], object]]] = {
    "priority": ("priority", 16, OpenFlowPriority),
    "table": ("table_id", 8, int),
    "cookie": ("cookie", 64, int),
    "idle_timeout": ("idle_timeout_s", 16, int),
    "hard_timeout": ("hard_timeout_s", 16, int),
    "importance": ("importance", 16, int),
}

_FLAGS: Mapping[str, FlowFlags] = {
    "send_flow_rem": FlowFlags.SEND_FLOW_REM,
    "check_overlap": FlowFlags.CHECK_OVERLAP,
    "reset_counts": FlowFlags.RESET_COUNTS,
    "no_packet_counts": FlowFlags.NO_PKT_COUNTS,
    "no_byte_counts": FlowFlags.NO_BYT_COUNTS,
}


def parse_flow(text: str, ports: Ports = NO_PORTS) -> FlowText:
    """Read ``[priority=N,][table=N,]MATCH[,actions=ACTIONS]``; raises UsageError naming the part that is wrong.

    ``ports`` lets interfaces be named; reserved ports and numbers need nothing.
    """
    head, actions = _cut_actions(text)
    given: dict[str, Any] = {}
    flags = FlowFlags.NONE
    terms = []
    for term in filter(None, (part.strip() for part in head.replace(" ", ",").split(","))):
        name, _, value = term.partition("=")
        if name in _NUMBERS:
            field, bits, make = _NUMBERS[name]
            given[field] = make(parse_number(value, bits, name))
        elif term in _FLAGS:
            flags |= _FLAGS[term]
        else:
            terms.append(term)
    instructions = None if actions is None else parse_actions(actions, ports)
    return replace(FlowText(match=read_terms(terms, ports), flags=flags, instructions=instructions), **given)


def _cut_actions(text: str) -> tuple[str, str | None]:
    """Everything behind ``actions=`` (or ``action=``) is actions."""
    for word in ("actions=", "action="):
        start = text.find(word)
        if start == 0 or (start > 0 and text[start - 1] in ", "):
            return text[:start], text[start + len(word) :]
    if "actions" in text:
        raise UsageError("actions come last, as actions=ACTION,...")
    return text, None


def format_flow(flow: Flow, now: Instant) -> str:
    """A line as ``ovs-ofctl -O OpenFlow13 dump-flows`` prints it; a hidden flow's has ``letter=`` and ``remote=`` too.

    ``now`` is on the clock of ``flow.created``.
    """
    parts = [
        f"cookie={flow.cookie:#x}",
        f"duration={_duration(now - flow.created)}s",
        f"table={flow.table_id}",
        f"n_packets={flow.packets}",
        f"n_bytes={flow.bytes}",
    ]
    if flow.idle_timeout_s:
        parts.append(f"idle_timeout={flow.idle_timeout_s}")
    if flow.hard_timeout_s:
        parts.append(f"hard_timeout={flow.hard_timeout_s}")
    if flow.importance:
        parts.append(f"importance={flow.importance}")
    if flow.origin is not None:
        parts.append(flow.origin.label)
    flags = [word for word, flag in _FLAGS.items() if flow.flags & flag]
    actions = f"actions={format_actions(flow.instructions)}"
    return f" {', '.join(parts)}, {' '.join(filter(None, (*flags, _priority_and_match(flow), actions)))}"


def format_bridge_flow(flow: Flow, now: Instant) -> str:
    """A line as ``ovs-appctl bridge/dump-flows`` prints it: full priorities of hidden flows, no cookie."""
    table = f"table_id={flow.table_id}, " if flow.table_id else ""
    counts = f"duration={max(0, int(now - flow.created))}s, n_packets={flow.packets}, n_bytes={flow.bytes}"
    origin = "" if flow.origin is None else f", {flow.origin.label}"
    match = _priority_and_match(flow)
    comma = "," if match else ""
    return f"{table}{counts}{origin}, {match}{comma}actions={format_actions(flow.instructions)}"


def _duration(seconds: float) -> str:
    """Seconds as ovs-ofctl prints them: three decimals, without them when they are 0."""
    whole, thousandths = divmod(max(0, round(seconds * 1000)), 1000)
    return f"{whole}.{thousandths:03d}" if thousandths else str(whole)


def _priority_and_match(flow: Flow) -> str:
    priority = "" if flow.priority == DEFAULT_PRIORITY else f"priority={int(flow.priority)}"
    return ",".join(filter(None, (priority, format_match(flow.match))))


class FlowDocument(TypedDict):
    """A flow in ``inband dump-flows --json``. ``letter`` is there for hidden flows only, and so is one of the last two.

    ``remote``: what the flow is for; ``local``: which address of the local port, where it is for no one remote.
    """

    table: int
    priority: int
    match: str
    actions: str
    cookie: int
    duration_s: float
    packets: int
    bytes: int
    idle_timeout_s: int
    hard_timeout_s: int
    flags: list[str]
    hidden: bool
    letter: NotRequired[str]
    remote: NotRequired[str]
    local: NotRequired[str]


def flow_document(flow: Flow, now: Instant) -> FlowDocument:
    """The flow for machines: texts in the syntax above, times in seconds."""
    document: FlowDocument = {
        "table": flow.table_id,
        "priority": int(flow.priority),
        "match": format_match(flow.match),
        "actions": format_actions(flow.instructions),
        "cookie": flow.cookie,
        "duration_s": round(max(0.0, now - flow.created), 3),
        "packets": flow.packets,
        "bytes": flow.bytes,
        "idle_timeout_s": flow.idle_timeout_s,
        "hard_timeout_s": flow.hard_timeout_s,
        "flags": [word for word, flag in _FLAGS.items() if flow.flags & flag],
        "hidden": flow.is_hidden,
    }
    if flow.origin is not None:
        document["letter"] = flow.origin.letter
        match flow.origin.about:
            case About.REMOTE:
                document["remote"] = flow.origin.subject
            case About.LOCAL:
                document["local"] = flow.origin.subject
            case About.OWNER:
                pass
            case _:
                assert_never(flow.origin.about)
    return document


__all__ = [
    "DEFAULT_PRIORITY",
    "FlowDocument",
    "FlowText",
    "flow_document",
    "format_action",
    "format_actions",
    "format_bridge_flow",
    "format_flow",
    "format_match",
    "parse_actions",
    "parse_flow",
    "parse_match",
    "parse_port",
]
