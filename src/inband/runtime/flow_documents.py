"""What commands print of flows, cached decisions and learned addresses; of thousands a portion at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TypedDict, TypeVar

from inband.datapath.base import Megaflow
from inband.flow.flow import Flow
from inband.flow.text import flow_document, format_actions, format_bridge_flow, format_flow, format_match
from inband.pipeline.rulings import Decider
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.stepping import making_much, next_turn

# About 2 ms of work.
FLOWS_AT_ONCE = 50

_Item = TypeVar("_Item")


async def flows(runner: BridgeRunner, *, hidden: bool) -> list[Flow]:
    """Visible flows and, if asked for, hidden ones, with counters up to date."""
    await _count(runner)
    tables = runner.bridge.tables
    found = sorted(tables.hidden(), key=lambda flow: flow.priority) if hidden else []
    for some in tables.walk():
        found += some
        await next_turn()
    return found


async def _count(runner: BridgeRunner) -> None:
    for _ in runner.bridge.counting():
        await next_turn()


async def flows_text(runner: BridgeRunner, flows: Sequence[Flow]) -> str:
    """Flows in the syntax of ``ovs-ofctl dump-flows``, hidden ones with letter and remote."""
    return "".join(await _in_portions(flows, lambda flow: f"{format_flow(flow, runner.now)}\n"))


async def bridge_flows_text(runner: BridgeRunner) -> str:
    """All flows as ``ovs-appctl bridge/dump-flows`` prints them."""
    found = await flows(runner, hidden=True)
    return "".join(await _in_portions(found, lambda flow: f"{format_bridge_flow(flow, runner.now)}\n"))


async def flows_json(runner: BridgeRunner, flows: Sequence[Flow]) -> str:
    """Flows as one document."""
    texts = await _in_portions(flows, lambda flow: json.dumps(flow_document(flow, runner.now)))
    return f'{{"flows": [{", ".join(texts)}]}}\n'


async def _in_portions(items: Sequence[_Item], render: Callable[[_Item], str]) -> list[str]:
    """Render thousands of flows without keeping packets and channels waiting."""
    rendered: list[str] = []
    async with making_much():
        for start in range(0, len(items), FLOWS_AT_ONCE):
            rendered += map(render, items[start : start + FLOWS_AT_ONCE])
            await next_turn()
    return rendered


class MegaflowDocument(TypedDict):
    """A cached decision in ``inband dump-datapath --json``; ``flows`` are those that it came from, by table."""

    match: str
    actions: str
    packets: int
    bytes: int
    used_s: float
    flows: list[str]


async def megaflows_text(runner: BridgeRunner) -> str:
    """Cached decisions, a line each, with the flows that they came from below, indented."""
    await _count(runner)
    megaflows = runner.bridge.datapath.megaflows()
    lines = await _in_portions(megaflows, lambda each: _megaflow_text(_megaflow(runner, each)))
    return "".join(lines) + _new_flows_text(runner)


class NewFlowsDocument(TypedDict):
    """What becomes of packets that no megaflow fits. ``in_kernel``: those are decided by flows in the kernel.

    ``flows``, hidden ones too, say themselves what is done, or with those of later tables; by ``normal`` ones the
    kernel's learning switch does; about packets of ``asked`` ones the switch is asked. ``trouble`` says why it is asked
    about all, and stays so.
    """

    in_kernel: bool
    flows: int
    normal: int
    asked: int
    trouble: str


def _new_flows(runner: BridgeRunner) -> NewFlowsDocument | None:
    tables = runner.bridge.megaflows.tables
    if tables is None:
        return None
    flows = tables.deciders()
    return {
        "in_kernel": tables.is_valid,
        "flows": flows[Decider.ACTIONS] + flows[Decider.TABLES],
        "normal": flows[Decider.NORMAL],
        "asked": flows[Decider.SWITCH],
        "trouble": tables.trouble,
    }


def _new_flows_text(runner: BridgeRunner) -> str:
    found = _new_flows(runner)
    if found is None or found["trouble"]:
        why = f": {found['trouble']}" if found else ""
        return f"packets without a megaflow come up{why}\n"
    done = "are decided in the kernel" if found["in_kernel"] else "come up until the last change is compiled"
    flows = f"flows: {found['flows']} decide, {found['normal']} by NORMAL, {found['asked']} come up"
    return f"packets without a megaflow {done} ({flows})\n"


async def megaflow_lines(runner: BridgeRunner, render: Callable[[Megaflow], str]) -> str:
    """Cached decisions as ``render`` writes each of them."""
    await _count(runner)
    return "".join(await _in_portions(runner.bridge.datapath.megaflows(), render))


async def megaflows_json(runner: BridgeRunner) -> str:
    """Cached decisions as one document."""
    await _count(runner)
    megaflows = runner.bridge.datapath.megaflows()
    texts = await _in_portions(megaflows, lambda each: json.dumps(_megaflow(runner, each)))
    kind, new_flows = runner.bridge.datapath.kind, json.dumps(_new_flows(runner))
    return f'{{"datapath": "{kind}", "new_flows": {new_flows}, "megaflows": [{", ".join(texts)}]}}\n'


def _megaflow(runner: BridgeRunner, megaflow: Megaflow) -> MegaflowDocument:
    return {
        "match": format_match(megaflow.match),
        "actions": format_actions(megaflow.actions) or "drop",
        "packets": megaflow.packets,
        "bytes": megaflow.bytes,
        "used_s": round(max(0.0, runner.now - megaflow.used), 3),
        "flows": [format_source(table_id, flow) for table_id, flow in megaflow.translation.credits],
    }


def format_source(table_id: int, flow: Flow | None) -> str:
    """A flow that a decision came from, or the table that had none."""
    if flow is None:
        return f"table={table_id}, no flow matches"
    letter = f", {flow.origin.label}" if flow.origin else ""
    match = format_match(flow.match)
    return f"table={table_id}{letter}, priority={int(flow.priority)}{',' if match else ''}{match}"


def _megaflow_text(document: MegaflowDocument) -> str:
    counts = f"packets:{document['packets']}, bytes:{document['bytes']}, used:{document['used_s']:.3f}s"
    lines = [f"{document['match']}, {counts}, actions:{document['actions']}"]
    return "".join(f"{line}\n" for line in (*lines, *(f"    from {source}" for source in document["flows"])))


def fdb_text(runner: BridgeRunner) -> str:
    """The addresses NORMAL has learned, as ``ovs-appctl fdb/show`` prints them."""
    lines = [" port  VLAN  MAC                Age"]
    for key, port, confirmed in runner.bridge.fdb.entries():
        lines.append(f"{port!s:>5}  {key.vlan:>4}  {key.mac}  {int(runner.now - confirmed):>3}")
    return "\n".join(lines) + "\n"
