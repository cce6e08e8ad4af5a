"""The verbs that ``ovs-appctl`` users know: which there are, and what is refused in which words.

Names, arguments and answers are Open vSwitch's, so that scripts need not be changed. What this switch has not (bonds,
tunnels of its own) is answered as Open vSwitch answers for a bridge without it.

Source: ovs-vswitchd(8), ovs-appctl(8); facts observed of Open vSwitch 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inband.bridge.bridge import Bridge
from inband.bridge.megaflows import MAX_MEGAFLOWS
from inband.datapath.base import Megaflow
from inband.errors import UsageError
from inband.pipeline.fdb import FdbCounters
from inband.runtime import flow_documents
from inband.runtime.appctl import documents
from inband.runtime.appctl.trace import USAGE, ofproto_trace
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.logs import level_table, set_level
from inband.runtime.name_documents import names_by_address
from inband.runtime.process_view import Process
from inband.runtime.tree_documents import rstp_text
from inband.runtime.unixctl import Registry

_BONDS = "bond\ttype\trecircID\tmembers\n"


def add_verbs(registry: Registry, process: Process) -> None:
    """Add every verb of Open vSwitch's that there is here."""
    verbs = _Verbs(process)
    registry.add("exit", "[--cleanup]", 0, 1, verbs.exit)
    registry.add("vlog/list", "", 0, 0, lambda _: level_table())
    registry.add("vlog/set", "SPEC...", 1, None, lambda specs: "".join(map(set_level, specs)))
    registry.add("ofproto/trace", USAGE, 2, None, verbs.trace)
    registry.add("ofproto/list", "", 0, 0, lambda _: "".join(f"{name}\n" for name in process.bridges))
    registry.add("bridge/dump-flows", "[--offload-stats] BRIDGE", 1, 2, verbs.bridge_flows)
    registry.add("bridge/reconnect", "[BRIDGE]", 0, 1, verbs.reconnect)
    registry.add("dpif/show", "", 0, 0, verbs.dpif_show)
    registry.add("dpif/dump-dps", "", 0, 0, verbs.datapaths)
    registry.add("dpif/dump-flows", "[-m] [--names | --no-names] BRIDGE", 1, 3, verbs.dpif_flows)
    registry.add("dpctl/show", "[-s] [DATAPATH...]", 0, None, verbs.dpctl_show)
    registry.add("dpctl/dump-dps", "", 0, 0, verbs.datapaths)
    registry.add("dpctl/dump-flows", "[-m] [--names | --no-names] [DATAPATH]", 0, 3, verbs.dpctl_flows)
    registry.add("upcall/show", "", 0, 0, lambda _: documents.upcall_show(verbs.bridges(), MAX_MEGAFLOWS))
    registry.add("memory/show", "", 0, 0, lambda _: documents.memory_show(verbs.bridges()))
    registry.add("revalidator/wait", "", 0, 0, lambda _: "")  # a flow table and its cache are never apart here
    registry.add("fdb/show", "BRIDGE", 1, 1, lambda arguments: flow_documents.fdb_text(verbs.runner(arguments[0])))
    registry.add("fdb/flush", "[BRIDGE]", 0, 1, verbs.fdb_flush)
    registry.add("fdb/stats-show", "BRIDGE", 1, 1, lambda names: documents.fdb_stats(verbs.bridge(names[0])))
    registry.add("fdb/stats-clear", "[BRIDGE]", 0, 1, verbs.fdb_stats_clear)
    registry.add("qos/show", "INTERFACE", 1, 1, verbs.qos_show)
    registry.add("rstp/show", "[BRIDGE]", 0, 1, verbs.rstp_show)
    registry.add("rstp/tcn", "[BRIDGE]", 0, 1, verbs.rstp_tcn)
    registry.add("bond/list", "", 0, 0, lambda _: _BONDS)
    registry.add("bond/show", "[PORT]", 0, 1, _bond_show)


class _Verbs:
    """The handlers that look at a process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    # --- which bridge -----------------------------------------------------------------------------------------------

    def runner(self, name: str) -> BridgeRunner:
        """A bridge by name; raises UsageError in Open vSwitch's words and ours."""
        found = self._process.bridges.get(name)
        if found is None:
            raise UsageError(f"no such bridge: {name!r} is none of {', '.join(self._process.bridges) or 'none at all'}")
        return found

    def bridge(self, name: str) -> Bridge:
        return self.runner(name).bridge

    def bridges(self) -> list[Bridge]:
        return [runner.bridge for runner in self._process.bridges.values()]

    def _some(self, arguments: Sequence[str]) -> list[BridgeRunner]:
        """The bridge that is named, or all."""
        return [self.runner(name) for name in arguments] or list(self._process.bridges.values())

    def _of_datapaths(self, names: Sequence[str]) -> list[BridgeRunner]:
        """The bridges of datapaths, which may be called by the bridge's name alone; all where none is named."""
        return self._some([name.partition("@")[2] or name for name in names])

    # --- the process ------------------------------------------------------------------------------------------------

    def exit(self, arguments: Sequence[str]) -> str:
        """End; it always gives everything back, which ``--cleanup`` asks for."""
        if list(arguments) not in ([], ["--cleanup"]):
            raise UsageError(f"exit: unknown argument {arguments[0]!r}: only --cleanup is allowed")
        self._process.end("the command exit")
        return ""

    # --- OpenFlow ---------------------------------------------------------------------------------------------------

    def trace(self, arguments: Sequence[str]) -> str:
        name, *packet = arguments
        if name not in self._process.bridges:
            raise UsageError(
                f"{name}: unknown bridge: write ofproto/trace {USAGE}; flows of a datapath are not read here"
            )
        process = self._process
        return ofproto_trace(self.bridge(name), packet, names_by_address(process.core.names.names(), process.now))

    async def bridge_flows(self, arguments: Sequence[str]) -> str:
        options, names = _split(arguments, "bridge/dump-flows", ("--offload-stats",))
        if options:
            raise UsageError("bridge/dump-flows: --offload-stats: no flow is offloaded to a card here")
        return await flow_documents.bridge_flows_text(self.runner(_one(names, "bridge/dump-flows")))

    def reconnect(self, arguments: Sequence[str]) -> str:
        if arguments and arguments[0] not in self._process.bridges:
            raise UsageError(f"Unknown bridge {arguments[0]!r}")
        for runner in self._some(arguments):
            runner.connections.hang_up()
        return ""

    # --- the datapath -----------------------------------------------------------------------------------------------

    def datapaths(self, _: Sequence[str]) -> str:
        return "".join(f"{documents.datapath_name(bridge)}\n" for bridge in self.bridges())

    def dpif_show(self, _: Sequence[str]) -> str:
        runners = self._process.bridges.values()
        return documents.dpif_show((runner.bridge, dict(runner.config.made_ports)) for runner in runners)

    def dpctl_show(self, arguments: Sequence[str]) -> str:
        options, names = _split(arguments, "dpctl/show", ("-s", "--statistics"))
        found = [runner.bridge for runner in self._of_datapaths(names)]
        return documents.dpctl_show(found, statistics=bool(options))

    async def dpif_flows(self, arguments: Sequence[str]) -> str:
        options, names = _split(arguments, "dpif/dump-flows", _DUMP_OPTIONS)
        return await _megaflows(self.runner(_one(names, "dpif/dump-flows")), options)

    async def dpctl_flows(self, arguments: Sequence[str]) -> str:
        options, names = _split(arguments, "dpctl/dump-flows", _DUMP_OPTIONS)
        if any("=" in name for name in names):
            raise UsageError("dpctl/dump-flows: there are no filters here: search the lines, as with grep")
        return "".join([await _megaflows(runner, options) for runner in self._of_datapaths(names)])

    # --- the FDB ----------------------------------------------------------------------------------------------------

    def fdb_flush(self, arguments: Sequence[str]) -> str:
        for runner in self._some(arguments):
            runner.bridge.forget_places()
        return "table successfully flushed\n"

    def fdb_stats_clear(self, arguments: Sequence[str]) -> str:
        for runner in self._some(arguments):
            runner.bridge.fdb.counters = FdbCounters()
        return "statistics successfully cleared\n"

    # --- ports ------------------------------------------------------------------------------------------------------

    def qos_show(self, arguments: Sequence[str]) -> str:
        for bridge in self.bridges():
            for port in bridge.ports:
                if port.name == arguments[0]:
                    return documents.qos_show(port.name, bridge.queues(port.number))
        raise UsageError(f"no such interface: {arguments[0]!r} is no port of a bridge")

    def rstp_show(self, arguments: Sequence[str]) -> str:
        texts = []
        for runner in self._some(arguments):
            tree = runner.bridge.tree.status()
            if tree is not None:
                texts.append(rstp_text(runner.bridge.name, tree, runner.bridge.ports))
            elif arguments:
                raise UsageError(_no_tree(runner))
        return "".join(texts)

    def rstp_tcn(self, arguments: Sequence[str]) -> str:
        for runner in self._some(arguments):
            if not runner.bridge.tree.announce_change() and arguments:
                raise UsageError(_no_tree(runner))
        return "OK\n"


def _no_tree(runner: BridgeRunner) -> str:
    name = runner.bridge.name
    how = f"`inband set {name} rstp=on`, or `ovs-vsctl set bridge {name} rstp_enable=true`"
    return f"No such RSTP object: bridge {name} does not run RSTP: {how}"


_DUMP_OPTIONS = ("-m", "--more", "--names", "--no-names")


async def _megaflows(runner: BridgeRunner, options: Sequence[str]) -> str:
    more = "-m" in options or "--more" in options
    names = "--names" in options or (more and "--no-names" not in options)
    return await flow_documents.megaflow_lines(runner, _line_of(runner, names=names, more=more))


def _line_of(runner: BridgeRunner, *, names: bool, more: bool) -> Callable[[Megaflow], str]:
    now = runner.now
    return lambda megaflow: f"{documents.megaflow_line(runner.bridge, megaflow, now, names=names, more=more)}\n"


def _split(arguments: Sequence[str], verb: str, options: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options and the rest; raises UsageError for another option."""
    given = [word for word in arguments if word.startswith("-")]
    for word in given:
        if word not in options:
            raise UsageError(f"{verb}: there is no option {word}: allowed are {', '.join(options)}")
    return given, [word for word in arguments if not word.startswith("-")]


def _one(names: Sequence[str], verb: str) -> str:
    if len(names) != 1:
        raise UsageError(f"{verb}: write the name of one bridge")
    return names[0]


def _bond_show(arguments: Sequence[str]) -> str:
    if arguments:
        raise UsageError(f"no such bond: {arguments[0]!r}: bonds are Linux's here, and a port like any other")
    return ""
