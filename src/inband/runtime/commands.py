"""The commands of the control socket: what ``inband VERB`` and ``ovs-appctl -t`` ask of a running switch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from inband import __version__
from inband.errors import UsageError
from inband.runtime import documents, flow_documents
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.change_options import MAX_OPTIONS, ChangeOptions, split_options
from inband.runtime.changes import CHANGES
from inband.runtime.config_document import document_of
from inband.runtime.config_keys import parse_port
from inband.runtime.event_documents import events_json, events_text
from inband.runtime.logs import set_level
from inband.runtime.name_documents import names_by_address
from inband.runtime.tracing import explain
from inband.runtime.unixctl import Registry
from inband.switch.config import SwitchConfig
from inband.switch.confirming import Confirming
from inband.switch.core import SwitchCore
from inband.switch.history import History
from inband.vocabulary.instant import Instant


class Process(Protocol):
    """The switch process as commands see it."""

    bridges: dict[str, BridgeRunner]
    core: SwitchCore
    history: History

    @property
    def config(self) -> SwitchConfig:
        """The configuration that is in force."""

    @property
    def now(self) -> Instant:
        """The clock of everything in the process."""

    def end(self, reason: str) -> None:
        """Have the process end."""

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Named counters of what all bridges share, by part."""

    confirming: Confirming

    async def change(self, verb: str, arguments: Sequence[str], options: ChangeOptions) -> None:
        """Carry out a verb."""

    async def confirm(self) -> None:
        """Let the change that waits stay."""

    async def roll_back(self) -> None:
        """Undo the change that waits."""


def make_registry(process: Process) -> Registry:
    """All commands of a process."""
    registry = Registry()
    registry.add("version", "", 0, 0, lambda _: f"inband {__version__}\n")
    registry.add("exit", "", 0, 0, lambda _: _stop(process))
    registry.add("vlog/set", "[MODULE:]LEVEL", 1, 1, lambda arguments: set_level(arguments[0]))
    registry.add("coverage/show", "", 0, 0, lambda _: _counters(process))
    registry.add("inband/show", "[json]", 0, 1, lambda arguments: _show(process, arguments))
    registry.add("inband/dump-flows", "BRIDGE [hidden] [json]", 1, 3, lambda arguments: _dump_flows(process, arguments))
    registry.add("bridge/dump-flows", "BRIDGE", 1, 1, lambda arguments: _bridge_dump_flows(process, arguments))
    registry.add("inband/dump-datapath", "BRIDGE [json]", 1, 2, lambda arguments: _dump_datapath(process, arguments))
    registry.add("fdb/show", "BRIDGE", 1, 1, lambda arguments: flow_documents.fdb_text(_bridge(process, arguments[0])))
    trace_usage = "BRIDGE FLOW | BRIDGE hex FRAME [IN_PORT]"
    registry.add("inband/events", "[json]", 0, 1, lambda arguments: _events(process, arguments))
    registry.add("inband/trace", trace_usage, 2, 4, lambda arguments: _trace(process, arguments))
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
    bridge, interface = arguments[0], parse_port(arguments[1])[0]
    if interface not in process.bridges[bridge].ports.missing():
        return ""
    return f"there is no interface {interface}: it becomes a port of {bridge} when it appears\n"


async def _silent(work: Awaitable[None]) -> str:
    await work
    return ""


def _stop(process: Process) -> str:
    process.end("the command exit")
    return ""


def _bridge(process: Process, name: str) -> BridgeRunner:
    process.config.bridge(name)  # says which bridges there are when it is none of them
    return process.bridges[name]


def _config(process: Process) -> str:
    file = process.config.options.config_file
    document = {"file": None if file is None else str(file.absolute()), **document_of(process.config)}
    return json.dumps(document) + "\n"


async def _show(process: Process, arguments: Sequence[str]) -> str:
    if arguments not in ([], ["json"]):
        raise UsageError(f"inband/show: unknown argument {arguments[0]!r}: only json is allowed")
    document = documents.show(process.bridges.values(), process.core, process.confirming.waiting, process.now)
    return await asyncio.to_thread(json.dumps, document) + "\n"


def _events(process: Process, arguments: Sequence[str]) -> str:
    if arguments not in ([], ["json"]):
        raise UsageError(f"inband/events: unknown argument {arguments[0]!r}: only json is allowed")
    return events_json(process.history, process.now) if arguments else events_text(process.history, process.now)


def _counters(process: Process) -> str:
    return documents.counters_text(process.bridges.values(), process.counters())


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


async def _bridge_dump_flows(process: Process, arguments: Sequence[str]) -> str:
    return await flow_documents.bridge_flows_text(_bridge(process, arguments[0]))


def _trace(process: Process, arguments: Sequence[str]) -> str:
    name, *packet = arguments
    return explain(_bridge(process, name).bridge, packet, names_by_address(process.core.names.names(), process.now))
