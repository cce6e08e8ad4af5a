"""The commands of the control socket: what ``inband VERB`` and ``ovs-appctl -t`` ask of a running switch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence

from inband import __version__
from inband.bridge.bridge import Bridge
from inband.errors import UsageError
from inband.runtime import documents, flow_documents, map_documents, neighbour_documents, path_documents
from inband.runtime.appctl.verbs import add_verbs
from inband.runtime.bridge_documents import render
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.capture import decisions
from inband.runtime.change_options import MAX_OPTIONS, split_options
from inband.runtime.changes import CHANGES
from inband.runtime.config_document import document_of
from inband.runtime.config_keys import parse_port
from inband.runtime.event_documents import events_json, events_text
from inband.runtime.name_documents import names_by_address, names_of_addresses
from inband.runtime.process_view import Process
from inband.runtime.top import totals
from inband.runtime.tracing import explain
from inband.runtime.unixctl import Registry

# Of the number of an event.
MAX_DIGITS = 15


def make_registry(process: Process) -> Registry:
    """All commands of a process."""
    registry = Registry()
    registry.add("version", "", 0, 0, lambda _: f"inband {__version__}\n")
    add_verbs(registry, process)
    registry.add("coverage/show", "", 0, 0, lambda _: _counters(process))
    registry.add("coverage/read-counter", "COUNTER", 1, 1, lambda arguments: _counter(process, arguments[0]))
    registry.add("inband/show", "[json]", 0, 1, lambda arguments: _show(process, arguments))
    registry.add("inband/dump-flows", "BRIDGE [hidden] [json]", 1, 3, lambda arguments: _dump_flows(process, arguments))
    registry.add("inband/dump-datapath", "BRIDGE [json]", 1, 2, lambda arguments: _dump_datapath(process, arguments))
    trace_usage = "BRIDGE FLOW | BRIDGE hex FRAME [IN_PORT]"
    registry.add("inband/neighbours", "[BRIDGE] [json]", 0, 2, lambda arguments: _neighbours(process, arguments))
    registry.add("inband/paths", "[BRIDGE] [json]", 0, 2, lambda arguments: _paths(process, arguments))
    registry.add("inband/map", "[BRIDGE] [json]", 0, 2, lambda arguments: _map(process, arguments))
    registry.add("inband/events", "[json [NUMBER]]", 0, 2, lambda arguments: _events(process, arguments))
    registry.add("inband/trace", trace_usage, 2, 4, lambda arguments: _trace(process, arguments))
    registry.add("inband/top", "", 0, 0, lambda _: _top(process))
    registry.add("inband/capture", "BRIDGE [PORT...]", 1, None, lambda arguments: _capture(process, arguments))
    registry.add("capture/decide", "BRIDGE PORT:FRAME...", 1, None, lambda arguments: _decide(process, arguments))
    for verb, change in CHANGES.items():
        most = None if change.max_args is None else change.max_args + MAX_OPTIONS
        registry.add(f"inband/{verb}", change.usage, change.min_args, most, _changer(process, verb))
    registry.add("config/show", "", 0, 0, lambda _: _config(process))
    registry.add("inband/confirm", "", 0, 0, lambda _: _silent(process.confirm()))
    registry.add("inband/rollback", "", 0, 0, lambda _: _silent(process.roll_back()))
    return registry


def _changer(process: Process, verb: str) -> Callable[[Sequence[str]], Awaitable[str]]:
    async def carry_out(arguments: Sequence[str]) -> str:
        options, rest = split_options(arguments)
        await process.change(verb, rest, options)
        return _missing(process, rest) if verb == "add-port" else ""

    return carry_out


def _missing(process: Process, arguments: Sequence[str]) -> str:
    """What whoever adds a port that is not there should know: it is taken, and waits."""
    bridge, interface = arguments[0], parse_port(arguments[1]).name
    if interface not in process.bridges[bridge].ports.missing():
        return ""
    return f"there is no interface {interface}: it becomes a port of {bridge} when it appears\n"


async def _silent(work: Awaitable[None]) -> str:
    await work
    return ""


def _bridge(process: Process, name: str) -> BridgeRunner:
    process.config.bridge(name)  # says which bridges there are when it is none of them
    return process.bridges[name]


def _config(process: Process) -> str:
    file = process.config.options.config_file
    place = None if file is None else str(file.absolute())
    document = {"file": place, "waiting": process.confirming.waiting, **document_of(process.config)}
    return json.dumps(document) + "\n"


async def _show(process: Process, arguments: Sequence[str]) -> str:
    if arguments not in ([], ["json"]):
        raise UsageError(f"inband/show: unknown argument {arguments[0]!r}: only json is allowed")
    document = documents.show(process.bridges.values(), process.core, process.confirming.waiting, process.now)
    if process.front is not None:
        document["ovsdb"] = process.front.document()
    return await asyncio.to_thread(json.dumps, document) + "\n"


def _neighbours(process: Process, arguments: Sequence[str]) -> str:
    bridges, options = _bridges(process, "neighbours", arguments)
    return render("neighbours", options, bridges, neighbour_documents.document, neighbour_documents.lines)


def _paths(process: Process, arguments: Sequence[str]) -> str:
    bridges, options = _bridges(process, "paths", arguments)
    called = names_of_addresses(process.core.names.names())
    names = {str(address): names for address, names in called.items()}
    return render(
        "paths", options, bridges, lambda bridge: path_documents.document(bridge, names), path_documents.lines
    )


def _map(process: Process, arguments: Sequence[str]) -> str:
    bridges, options = _bridges(process, "map", arguments)
    return render("map", options, bridges, map_documents.document, map_documents.lines)


def _bridges(process: Process, verb: str, arguments: Sequence[str]) -> tuple[list[Bridge], list[str]]:
    """The bridge that is named first, or all, and what follows."""
    names = [each for each in arguments if each != "json"]
    if len(names) > 1:
        raise UsageError(f"inband/{verb}: {' '.join(arguments)!r}: allowed are a bridge and json")
    runners = [_bridge(process, name) for name in names] or list(process.bridges.values())
    return [runner.bridge for runner in runners], [each for each in arguments if each == "json"]


def _events(process: Process, arguments: Sequence[str]) -> str:
    if not arguments:
        return events_text(process.history, process.now)
    since = arguments[1] if len(arguments) > 1 else "0"
    if arguments[0] != "json" or not since.isdecimal() or len(since) > MAX_DIGITS:
        raise UsageError(f"inband/events: {' '.join(arguments)!r}: allowed are json and json NUMBER")
    return events_json(process.history, process.now, int(since))


def _counters(process: Process) -> str:
    return documents.counters_text(process.bridges.values(), process.counters())


def _counter(process: Process, name: str) -> str:
    """The sum over everything that counts it."""
    everywhere = [runner.managed.counters() for runner in process.bridges.values()]
    found = [counters[name] for counters in (*everywhere, *process.counters().values()) if name in counters]
    if not found:
        raise UsageError(f"No such counter {name!r}: coverage/show has those that are not 0")
    return f"{sum(found)}\n"


async def _dump_flows(process: Process, arguments: Sequence[str]) -> str:
    name, *options = arguments
    unknown = set(options) - {"hidden", "json"}
    if unknown:
        raise UsageError(f"inband/dump-flows: unknown argument {min(unknown)!r}: allowed are hidden and json")
    runner = _bridge(process, name)
    flows = await flow_documents.flows(runner, hidden="hidden" in options)
    render = flow_documents.flows_json if "json" in options else flow_documents.flows_text
    return await render(runner, flows)


async def _dump_datapath(process: Process, arguments: Sequence[str]) -> str:
    name, *options = arguments
    if options not in ([], ["json"]):
        raise UsageError(f"inband/dump-datapath: unknown argument {options[0]!r}: only json is allowed")
    runner = _bridge(process, name)
    return await (flow_documents.megaflows_json(runner) if options else flow_documents.megaflows_text(runner))


async def _top(process: Process) -> str:
    return await asyncio.to_thread(json.dumps, await totals(process.bridges.values())) + "\n"


def _capture(process: Process, arguments: Sequence[str]) -> str:
    name, *ports = arguments
    return decisions.begin(_bridge(process, name), ports)


async def _decide(process: Process, arguments: Sequence[str]) -> str:
    name, *packets = arguments
    names = names_by_address(process.core.names.names(), process.now)
    return await decisions.decide(_bridge(process, name), packets, names)


def _trace(process: Process, arguments: Sequence[str]) -> str:
    name, *packet = arguments
    return explain(_bridge(process, name).bridge, packet, names_by_address(process.core.names.names(), process.now))
