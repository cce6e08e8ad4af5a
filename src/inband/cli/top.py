"""``inband top``: two documents of totals become rates, and a picture of them for a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from inband.cli.render import PIPE_WIDTH, printable
from inband.runtime.top import COUNTED, BridgeTotals, TopDocument

Rates = dict[str, Any]
"""The same document with ``rates`` (per second) beside each set of totals, and ``cpu`` (1: a whole processor)."""


def with_rates(before: TopDocument, after: TopDocument) -> Rates:
    """The later document, with rates since the earlier one; what was not there then has rates of 0."""
    seconds = max(after["time"] - before["time"], 1e-3)
    old = {bridge["name"]: bridge for bridge in before["bridges"]}
    return {
        **after,
        "seconds": round(seconds, 3),
        "cpu": round((after["cpu_s"] - before["cpu_s"]) / seconds, 4),
        "bridges": [_bridge(old.get(each["name"], each), each, seconds) for each in after["bridges"]],
    }


def _bridge(before: BridgeTotals, after: BridgeTotals, seconds: float) -> Rates:
    old = {port["name"]: port["counters"] for port in before["ports"]}

    def rate(then: int, now: int) -> float:
        return round(max(0, now - then) / seconds, 1)

    return {
        **after,
        "rates": {
            "hits": rate(before["hits"], after["hits"]),
            "upcalls": rate(before["upcalls"], after["upcalls"]),
            "lost": rate(before["lost"], after["lost"]),
        },
        "ports": [
            {
                **port,
                "rates": {
                    name: rate(old.get(port["name"], port["counters"])[name], port["counters"][name])
                    for name in COUNTED
                },
            }
            for port in after["ports"]
        ],
    }


def samples(ask: Callable[[], str], every_s: float) -> Iterator[Rates]:
    """Documents with rates, one each ``every_s`` seconds, until the switch ends (InbandError)."""
    before: TopDocument = json.loads(ask())
    while True:
        time.sleep(every_s)
        after: TopDocument = json.loads(ask())
        yield with_rates(before, after)
        before = after


def show(found: Iterator[Rates], *, once: bool) -> None:
    """Draw each of them over the one before, or the first alone below what is there."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    if once or not console.is_terminal:
        for document in found:
            console.print(picture(document, console))
            if once:
                return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for document in found:
            live.update(picture(document, console), refresh=True)


def picture(document: Rates, console: Console) -> Group:
    """One screen: the process, then each bridge with its channels and ports, in as many columns as fit."""
    clock = time.strftime("%H:%M:%S", time.localtime(document["time"]))
    memory = document["memory_bytes"] / (1 << 20)
    head = Text(f"inband {clock}  CPU {document['cpu']:.1%}  memory {memory:.0f} MB  over {document['seconds']:.1f} s")
    parts = (part for bridge in document["bridges"] for part in _bridge_parts(bridge, document["time"], console))
    return Group(head, *parts)


def _bridge_parts(bridge: Rates, now: float, console: Console) -> Iterator[Text | Table]:
    rates = bridge["rates"]
    yield Text(
        f"\nbridge {printable(bridge['name'])} ({bridge['datapath']}), forwarding: {bridge['forwarding']}", "bold"
    )
    yield Text(
        f"  flows {bridge['flows']} and {bridge['hidden_flows']} hidden, cached {bridge['megaflows']}, "
        f"addresses {bridge['addresses']}"
    )
    yield Text(f"  packets/s: known {rates['hits']:.0f}, upcalls {rates['upcalls']:.0f}, lost {rates['lost']:.0f}")
    for channel in bridge["channels"]:
        yield _channel(channel, now)
    yield _fitting_table(bridge["ports"], console)


def _fitting_table(ports: Sequence[Rates], console: Console) -> Table:
    """With as many columns as the terminal has room for."""
    unlimited = console.options.update_width(PIPE_WIDTH)
    tables = (_port_table(ports, heads, gap) for heads, gap in _LAYOUTS)
    fitting = (each for each in tables if console.measure(each, options=unlimited).maximum <= console.width)
    return next(fitting, _port_table(ports, *_LAYOUTS[-1]))


def _port_table(ports: Sequence[Rates], heads: Sequence[str], gap: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for head in heads:
        table.add_column(head, justify="left" if head in ("port", "link") else "right", no_wrap=True)
    for port in ports:
        row = _port_row(port)
        table.add_row(*(row[head] for head in heads))
    return table


def _channel(channel: Rates, now: float) -> Text:
    word, style = ("connected", "green") if channel["connected"] else ("not connected", "red")
    since = "" if channel["since"] is None else f" for {max(0.0, now - channel['since']):.0f} s"
    role = "" if channel["role"] is None else f", {channel['role']}"
    return Text.assemble(f"  {printable(channel['target'])} ", (word, style), f"{since}{role}")


def _port_row(port: Rates) -> dict[str, str]:
    """By the heads of the columns."""
    rates = port["rates"]
    return {
        "port": printable(port["name"]),
        "link": "up" if port["link_up"] else "down",
        "rx pkt/s": f"{rates['rx_packets']:.0f}",
        "rx bit/s": _scaled(rates["rx_bytes"] * 8),
        "tx pkt/s": f"{rates['tx_packets']:.0f}",
        "tx bit/s": _scaled(rates["tx_bytes"] * 8),
        "drop/s": f"{rates['rx_dropped'] + rates['tx_dropped']:.0f}",
        "err/s": f"{rates['rx_errors'] + rates['tx_errors']:.0f}",
    }


_HEADS = ("port", "link", "rx pkt/s", "rx bit/s", "tx pkt/s", "tx bit/s", "drop/s", "err/s")
_WITHOUT_LOSSES = _HEADS[:-2]
_BITS = ("port", "link", "rx bit/s", "tx bit/s")
_LAYOUTS = ((_HEADS, 3), (_HEADS, 2), (_WITHOUT_LOSSES, 2), (_BITS, 1), (("port", "link"), 1))
"""Columns, and the space between them; the first that fits is taken, else the last."""


def _scaled(value: float) -> str:
    for unit in ("", "k", "M", "G"):
        if value < 1000:
            return f"{value:.0f}{unit}" if not unit or value >= 100 else f"{value:.1f}{unit}"
        value /= 1000
    return f"{value:.1f}T"
