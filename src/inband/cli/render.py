"""`inband show` for people: the JSON document as aligned text, coloured on a terminal and plain in a pipe.

One layout for both, so that what people see is what their scripts grep. Text from peers (last errors) is made
printable first: a controller must not be able to write to an operator's terminal.
"""

from __future__ import annotations

import io
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from inband.runtime.show import (
    BridgeDocument,
    ControllerDocument,
    FrontDocument,
    NameDocument,
    PortDocument,
    RemoteDocument,
    ServerDocument,
    ShowDocument,
)

# Wide enough for any line: in a pipe nothing is folded.
PIPE_WIDTH = 10_000

INDENT, GAP = 4, 2

Cell = str | Text


def print_show(document: ShowDocument, file: TextIO | None = None, now: float | None = None) -> None:
    """Print the document to ``file`` (standard output). ``now`` is seconds since 1970."""
    target = sys.stdout if file is None else file
    clock = time.time() if now is None else now
    if target.isatty():
        _print_document(Console(file=target, highlight=False, emoji=False), document, clock)
        return
    plain = io.StringIO()
    _print_document(Console(file=plain, width=PIPE_WIDTH, highlight=False, emoji=False), document, clock)
    target.writelines(f"{line.rstrip()}\n" for line in plain.getvalue().splitlines())  # tables are padded on the right


def _print_document(console: Console, document: ShowDocument, now: float) -> None:
    if not document["bridges"]:
        console.print("no bridges: add one with `inband add-bridge`")
    if unconfirmed := document.get("unconfirmed"):
        console.print(f"`{unconfirmed}` is undone unless it is confirmed: `inband confirm`")
    if front := document.get("ovsdb"):
        _print_front(console, front)
    for bridge in document["bridges"]:
        _print_bridge(console, bridge, now)
    _print_names(console, document, now)


def _print_front(console: Console, front: FrontDocument) -> None:
    problem = printable(front["problem"] or "")
    state = Text("followed", "green") if front["followed"] else Text(f"not followed: {problem}", "red")
    console.print(Text.assemble("database ", (printable(front["remote"]), "bold"), " is ", state))
    _print_rows(console, None, (("wrong in it:", printable(complaint)) for complaint in front["complaints"]))


def _print_bridge(console: Console, bridge: BridgeDocument, now: float) -> None:
    in_band = bridge["in_band"]
    console.print(Text.assemble("bridge ", (printable(bridge["name"]), "bold")))
    state = [
        ("datapath", f"{bridge['datapath']}, id {bridge['datapath_id']}"),
        ("fail mode", bridge["fail_mode"]),
        ("forwarding", bridge["forwarding"]),
        ("in-band", _in_band_line(bridge)),
        *(("spanning tree", line) for line in [_tree_line(bridge)] if line is not None),
        *(("note", note) for note in bridge.get("notes", [])),
    ]
    _print_rows(console, None, ((f"{name}:", value) for name, value in state))
    _print_ports(console, bridge["ports"])
    controllers = [_controller_row(controller, now) for controller in bridge["controllers"]]
    _print_rows(console, ("controller", "state", "role", "OpenFlow", "in-band", "last error"), controllers)
    _print_rows(console, None, _advice_rows(bridge))
    remotes = [_remote_row(remote, now) for remote in in_band["remotes"]]
    _print_rows(console, ("protected remote", "for", "next hop", "MAC", "interface", "resolved"), remotes)


def _print_ports(console: Console, ports: Sequence[PortDocument]) -> None:
    """The ports; their VLANs where one of them is a member of some, and what a spanning tree says where one runs."""
    has_vlans = any(port.get("vlans") for port in ports)
    has_tree = any(port.get("rstp") for port in ports)
    rows: list[Sequence[Cell]] = [
        (
            str(port["number"]) if port["number"] < 0xFFFFFF00 else "LOCAL",
            port["name"],
            port["mac"] or "-",
            Text("up", "green") if port["link_up"] else Text("down", "red"),
            *([port.get("vlans") or "all"] if has_vlans else []),
            *([_tree_cell(port)] if has_tree else []),
            " ".join(port["config"]),
        )
        for port in ports
    ]
    extra = [*(["VLANs"] if has_vlans else []), *(["spanning tree"] if has_tree else [])]
    _print_rows(console, ("port", "interface", "MAC", "link", *extra, "set by controller"), rows)


def _tree_cell(port: PortDocument) -> str:
    tree = port.get("rstp")
    return "" if tree is None else f"{tree['role']}, {tree['state']}".lower()


def _tree_line(bridge: BridgeDocument) -> str | None:
    tree = bridge.get("rstp")
    if tree is None:
        return None
    if tree["root_port"] is None:
        return f"RSTP, id {tree['bridge_id']}: this bridge is the root"
    return f"RSTP, id {tree['bridge_id']}, root {tree['root_id']} by {tree['root_port']} at cost {tree['root_cost']}"


def _in_band_line(bridge: BridgeDocument) -> str:
    state = bridge["in_band"]
    if not state["enabled"]:
        return "off"
    queue = "no queue" if state["queue"] is None else f"queue {state['queue']}"
    vlan = "" if state.get("vlan") is None else f"VLAN {state.get('vlan')}, "
    return f"on, local MAC {state['local_mac'] or 'unknown'}, {vlan}{queue}, {state['hidden_flows']} hidden flows"


def _controller_row(controller: ControllerDocument, now: float) -> Sequence[Cell]:
    since = "" if controller["since"] is None else f" for {_duration(now - controller['since'])}"
    next_try = controller.get("next_try")
    again = "" if next_try is None else f", next try in {_duration(max(0.0, next_try - now))}"
    state = (
        Text(f"connected{since}", "green") if controller["connected"] else Text(f"not connected{since}{again}", "red")
    )
    return (
        controller["target"],
        state if controller.get("address") is None else Text.assemble(state, f" to {controller.get('address')}"),
        controller["role"] or "-",
        controller["version"] or "-",
        "yes" if controller["in_band"] else "no",
        _error(controller, now),
    )


def _error(controller: ControllerDocument, now: float) -> str:
    """The last error, and how long ago it was."""
    error, at = controller["last_error"] or "", controller.get("last_error_at")
    return f"{error} ({_duration(now - at)} ago)" if error and at is not None else error


def _advice_rows(bridge: BridgeDocument) -> Iterable[Sequence[Cell]]:
    """Why those that are not there are not, and what to do; each cause once."""
    for controller in bridge["controllers"]:
        if advice := controller.get("advice"):
            yield f"{controller['target']}:", advice
    told = {controller.get("advice") for controller in bridge["controllers"]}
    causes = {remote.get("advice"): remote for remote in bridge["in_band"]["remotes"]}
    for advice, remote in causes.items():
        if advice and advice not in told:
            yield f"{remote['address']}:", advice


def _print_names(console: Console, document: ShowDocument, now: float) -> None:
    names = document.get("names", [])
    if not names:
        return
    console.print(Text("names of remotes", "bold"))
    _print_rows(
        console,
        ("name", "address", "family", "valid", "said by", "state"),
        (row for name in names for row in _name_rows(name, now)),
    )
    servers = [_server_row(server, now) for server in document.get("dns_servers", [])]
    _print_rows(console, ("DNS server", "from", "answered", "ignored", "last answer", "last error"), servers)


def _name_rows(name: NameDocument, now: float) -> Iterable[Sequence[Cell]]:
    for known in name["addresses"]:
        left = known["valid_until"] - now
        valid = f"for {_duration(left)}" if left > 0 else Text(f"ended {_duration(-left)} ago, kept", "yellow")
        kept = "" if known["current"] else "kept for now"
        state = Text("in use", "green") if known["in_use"] else kept
        yield name["name"], known["address"], known["family"], valid, known["server"] or "an earlier run", state
    if name["problem"]:
        yield name["name"], "-", "-", "-", "-", Text(printable(name["problem"]), "red")
    elif not name["addresses"]:
        yield name["name"], "-", "-", "-", "-", "asked for"


def _server_row(server: ServerDocument, now: float) -> Sequence[Cell]:
    last = server["last_answer"]
    return (
        server["address"],
        server["source"],
        f"{server['answers']} of {server['answers'] + server['unanswered']}",
        str(server["ignored"]),
        "never" if last is None else f"{_duration(now - last)} ago",
        server["last_error"] or "",
    )


def _remote_row(remote: RemoteDocument, now: float) -> Sequence[Cell]:
    host = f"[{remote['address']}]" if ":" in remote["address"] else remote["address"]
    resolved = remote["resolved_at"]
    service = f"{host}:{remote['port']}/{remote['protocol']}"
    if remote.get("calls"):
        service = f"from {remote['address']} to :{remote['port']}/{remote['protocol']}"
    return (
        service,
        ", ".join([*remote["kinds"], *remote.get("names", [])]),
        remote["next_hop"] or ("on-link" if remote.get("on_link") else Text("no route", "red")),
        remote["next_hop_mac"] or ("-" if remote.get("on_link") else Text("unknown", "red")),
        " by ".join(word for word in (remote["interface"], remote.get("by_port")) if word) or "-",
        "-" if resolved is None else f"{_duration(now - resolved)} ago",
    )


def _print_rows(console: Console, header: Sequence[str] | None, rows: Iterable[Sequence[Cell]]) -> None:
    """An indented table without lines; nothing at all when it has no rows.

    No word is broken on a terminal that is too narrow: the columns that do not fit come below their row, each by name.
    """
    cells = [[cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row] for row in rows]
    if not cells:
        return
    titles = [Text(title, "dim") for title in header or ()]
    lines = [*([titles] if titles else []), *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(cells[0]))]
    fitting = _fitting(widths, console.width - INDENT)
    if titles:
        _print_line(console, titles[:fitting], widths)
    for row in cells:
        _print_line(console, row[:fitting], widths)
        for title, cell in zip(titles[fitting:] or [Text()] * len(row), row[fitting:], strict=False):
            if cell.plain.strip("-"):
                _print_below(console, title, cell)


def _fitting(widths: Sequence[int], room: int) -> int:
    """How many columns fit beside each other, two spaces between them; the first always counts."""
    end, fitting = -GAP, 0
    for width in widths:
        end += GAP + width
        if end > room:
            break
        fitting += 1
    return max(1, fitting)


def _print_line(console: Console, cells: Sequence[Text], widths: Sequence[int]) -> None:
    line = Text(" " * INDENT)
    for cell, width in zip(cells, widths, strict=False):
        line.append_text(cell)
        line.append(" " * (width - len(cell) + GAP))
    line.rstrip()
    console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _print_below(console: Console, title: Text, cell: Text) -> None:
    """A cell below its row; its words take as many lines as they need, and none is broken."""
    label = f"{title.plain}: " if title.plain else ""
    room = max(20, console.width - 2 * INDENT)
    text = f"{label}{cell.plain}"
    for line in textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False):
        console.print(Text(" " * 2 * INDENT + line, cell.style), no_wrap=True, overflow="ignore", crop=False)


def printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _duration(seconds: float) -> str:
    """A length of time in one unit: 0.4 s, 12 s, 5 min, 3 h, 9 d."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds / divisor)} {unit}"
    return f"{int(seconds / 86400)} d"
