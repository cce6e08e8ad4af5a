"""``--metrics``: what ``inband top`` shows, for Prometheus (text exposition format, over HTTP/1.1; RFC 9112).

prometheus-client writes the format; it is an extra (``pip install 'inband[metrics]'``), without which there are no
metrics, which the log says. HTTP is answered here, in the process's own loop, because the totals belong to that
loop: a server in a thread of its own would read them while they change.

Invariants: at most MAX_CLIENTS are served at a time, each has PATIENCE_S and MAX_REQUEST_BYTES for its one request; a
document is made at most once in FRESH_S, however many ask. Without questions it costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from inband import __version__
from inband.errors import HostError, UsageError
from inband.runtime.top import COUNTED, BridgeTotals, TopDocument

if TYPE_CHECKING:
    from prometheus_client import Metric

MAX_CLIENTS = 16
MAX_REQUEST_BYTES = 8192
PATIENCE_S = 5.0
FRESH_S = 0.5

_BRIDGE = (
    ("inband_flows", "Flows that controllers see.", "flows"),
    ("inband_hidden_flows", "Flows of in-band control and fail mode.", "hidden_flows"),
    ("inband_megaflows", "Decisions that the datapath has cached.", "megaflows"),
    ("inband_learned_addresses", "MAC addresses that NORMAL has learned.", "addresses"),
)
_COUNTED = (
    ("inband_datapath_hits", "Packets that a cached decision matched.", "hits"),
    ("inband_datapath_upcalls", "Packets that came up to be decided about.", "upcalls"),
    ("inband_datapath_lost", "Packets that were lost on their way up.", "lost"),
)


class MetricsServer:
    """Answers ``GET /metrics``. ``totals`` makes the document."""

    def __init__(self, totals: Callable[[], Awaitable[TopDocument]], clock: Callable[[], float]) -> None:
        """Raises UsageError where prometheus-client is not installed."""
        try:
            import prometheus_client  # noqa: F401 - asked for now, so that it is not missed at the first question
        except ImportError:
            how = "pip install 'inband[metrics]', or apt install python3-prometheus-client"
            raise UsageError(f"metrics need prometheus-client: {how}") from None
        self._totals = totals
        self._clock = clock
        self._text = b""
        self._made_at = float("-inf")
        self._making = asyncio.Lock()
        self._clients = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises HostError."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_REQUEST_BYTES)
        except OSError as error:
            reason = error.strerror or str(error)
            raise HostError(f"listen at {host}:{port} for metrics", reason, errno=error.errno or 0) from None

    @property
    def port(self) -> int | None:
        """Where it listens, of use where any free port was asked for (0)."""
        return None if self._server is None else int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._clients >= MAX_CLIENTS:
            writer.close()
            return
        self._clients += 1
        try:
            async with asyncio.timeout(PATIENCE_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(request.split(b"\r\n", 1)[0]))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # too slow, too long or gone: there is no answer
        finally:
            self._clients -= 1
            writer.close()

    async def _answer(self, request_line: bytes) -> bytes:
        words = request_line.split(b" ")
        if len(words) != 3 or words[0] not in (b"GET", b"HEAD"):
            return _reply(b"405 Method Not Allowed", b"")
        if words[1].partition(b"?")[0] != b"/metrics":
            return _reply(b"404 Not Found", b"see /metrics\n")
        text = await self._current()
        return _reply(b"200 OK", b"" if words[0] == b"HEAD" else text)

    async def _current(self) -> bytes:
        async with self._making:
            if self._clock() - self._made_at >= FRESH_S:
                document = await self._totals()
                # In a thread, for a thousand ports take 60 ms.
                self._text, self._made_at = await asyncio.to_thread(exposition, document), self._clock()
        return self._text


def _reply(status: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n" % status
    return head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


def exposition(document: TopDocument) -> bytes:
    """The document in Prometheus's words. Names end in ``_total`` where they only grow."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Once(Collector):
        def collect(self) -> Iterator[Metric]:
            return _metrics(document)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    text: bytes = generate_latest(registry)
    return text


def _metrics(document: TopDocument) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

    yield InfoMetricFamily("inband", "The running switch.", value={"version": __version__})
    yield CounterMetricFamily("process_cpu_seconds", "Processor time of the process.", value=document["cpu_s"])
    yield GaugeMetricFamily("process_resident_memory_bytes", "Memory of it.", value=document["memory_bytes"])
    bridges = document["bridges"]
    for name, about, key in _BRIDGE:
        gauge = GaugeMetricFamily(name, about, labels=["bridge"])
        for bridge in bridges:
            gauge.add_metric([bridge["name"]], _number(bridge, key))
        yield gauge
    for name, about, key in _COUNTED:
        counter = CounterMetricFamily(name, about, labels=["bridge"])
        for bridge in bridges:
            counter.add_metric([bridge["name"]], _number(bridge, key))
        yield counter
    yield from _port_metrics(bridges)
    yield from _channel_metrics(bridges, document["time"])
    events = CounterMetricFamily("inband_counter", "Every named counter of coverage/show.", labels=["bridge", "name"])
    for bridge in bridges:
        for word, count in bridge["counters"].items():
            events.add_metric([bridge["name"], word], count)
    yield events


def _number(bridge: BridgeTotals, key: str) -> int:
    found: dict[str, object] = {**bridge}
    number = found[key]
    assert isinstance(number, int), key
    return number


def _port_metrics(bridges: list[BridgeTotals]) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    labels = ["bridge", "port"]
    up = GaugeMetricFamily("inband_port_up", "Whether the port has a link.", labels=labels)
    for bridge in bridges:
        for port in bridge["ports"]:
            up.add_metric([bridge["name"], port["name"]], int(port["link_up"]))
    yield up
    for word in COUNTED:
        counter = CounterMetricFamily(f"inband_port_{word}", "OpenFlow's counter of this name.", labels=labels)
        for bridge in bridges:
            for port in bridge["ports"]:
                counter.add_metric([bridge["name"], port["name"]], port["counters"][word])
        yield counter


def _channel_metrics(bridges: list[BridgeTotals], now: float) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    labels = ["bridge", "target"]
    connected = GaugeMetricFamily("inband_channel_connected", "Whether the controller is connected.", labels=labels)
    age = GaugeMetricFamily("inband_channel_state_seconds", "For how long it has been so.", labels=labels)
    for bridge in bridges:
        for channel in bridge["channels"]:
            about = [bridge["name"], channel["target"]]
            connected.add_metric(about, int(channel["connected"]))
            if channel["since"] is not None:
                age.add_metric(about, max(0.0, now - channel["since"]))
    yield connected
    yield age
