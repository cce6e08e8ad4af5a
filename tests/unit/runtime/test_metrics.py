"""Metrics: Prometheus reads them, the dashboard asks for nothing else, and no client can do harm."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from inband.errors import HostError, UsageError
from inband.runtime.metrics import MAX_CLIENTS, MAX_REQUEST_BYTES, MetricsServer, exposition
from inband.runtime.top import COUNTED, TopDocument
from tests.unit.cli.test_top import later

DASHBOARD = Path(__file__).parents[3] / "docs/grafana.json"
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def named(document: TopDocument) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Samples by name."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(exposition(document).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_the_totals_are_exposed_with_bridge_port_and_controller() -> None:
    document = later()
    document["bridges"][0]["counters"]["miss"] = 7

    samples = named(document)

    port = {"bridge": "br0", "port": "eth1"}
    assert samples["inband_port_rx_packets_total"] == [(port, 300.0)]
    assert samples["inband_port_up"] == [(port, 1.0)]
    assert {f"inband_port_{word}_total" for word in COUNTED} <= samples.keys()
    about = {"bridge": "br0", "target": "tcp:192.0.2.1:6653"}
    assert samples["inband_channel_connected"] == [(about, 1.0)]
    assert samples["inband_channel_state_seconds"] == [(about, 102.0)]
    assert samples["inband_datapath_hits_total"] == [({"bridge": "br0"}, 210.0)]
    assert samples["inband_hidden_flows"] == [({"bridge": "br0"}, 11.0)]
    assert samples["inband_counter_total"] == [({"bridge": "br0", "name": "miss"}, 7.0)]
    assert samples["process_resident_memory_bytes"] == [({}, 50 << 20)]


def test_a_name_with_quotation_marks_is_still_one_label() -> None:
    document = later()
    document["bridges"][0]["name"] = 'br"0\\'

    assert named(document)["inband_flows"] == [({"bridge": 'br"0\\'}, 5.0)]


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = {
        word
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for word in re.findall(r"\b(?:inband|process)_\w+", target["expr"])
    }

    assert len(asked) > 10
    assert asked <= named(later()).keys()


class Asking:
    """A server on a port of its own, for one test."""

    def __init__(self) -> None:
        self.made = 0
        self.now = 0.0

    async def totals(self) -> TopDocument:
        self.made += 1
        await asyncio.sleep(0)
        return later()

    async def answers(self, *requests: bytes, end: bool = True) -> list[bytes]:
        server = MetricsServer(self.totals, lambda: self.now)
        await server.start("127.0.0.1", 0)
        assert server.port is not None
        answers = []
        for request in requests:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request)
            if end:
                writer.write_eof()
            answers.append(await reader.read())
            writer.close()
        server.close()
        return answers


def test_prometheus_is_answered_and_a_document_is_made_once_for_many() -> None:
    asking = Asking()

    first, second = asyncio.run(asking.answers(GET, b"GET /metrics?x=1 HTTP/1.0\r\n\r\n"))

    head, _, body = first.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body == second.partition(b"\r\n\r\n")[2]
    assert asking.made == 1


def test_who_asks_while_a_document_is_made_gets_that_one() -> None:
    asking = Asking()

    async def scenario() -> None:
        server = MetricsServer(asking.totals, lambda: 0.0)
        await server.start("127.0.0.1", 0)
        clients = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(4)]
        for _, writer in clients:
            writer.write(GET)
        for reader, writer in clients:
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
        server.close()

    asyncio.run(scenario())
    assert asking.made == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"HTTP/1.1 405"),
        (b"\r\n\r\n", b"HTTP/1.1 405"),
        (b"GET /metr", b""),
        (b"\0" * (MAX_REQUEST_BYTES + 1), b""),
    ],
)
def test_what_is_no_question_for_metrics_is_turned_away(request_: bytes, status: bytes) -> None:
    asking = Asking()

    (answer,) = asyncio.run(asking.answers(request_))

    assert answer.startswith(status)
    assert bool(answer) == bool(status)
    assert asking.made == 0


def test_no_more_clients_are_held_than_may_be() -> None:
    async def scenario() -> bytes:
        server = MetricsServer(Asking().totals, lambda: 0.0)
        await server.start("127.0.0.1", 0)
        silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MAX_CLIENTS)]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        answer = await reader.read()
        for _, each in [*silent, (reader, writer)]:
            each.close()
        server.close()
        return answer

    assert asyncio.run(scenario()) == b""


def test_a_place_that_is_taken_is_refused_in_words() -> None:
    async def scenario() -> None:
        first, second = (MetricsServer(Asking().totals, lambda: 0.0) for _ in range(2))
        await first.start("127.0.0.1", 0)
        try:
            await second.start("127.0.0.1", first.port or 0)
        finally:
            first.close()

    with pytest.raises(HostError, match="for metrics"):
        asyncio.run(scenario())


def test_without_prometheus_client_there_are_none_and_it_is_said_how_to_have_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(UsageError, match=r"inband\[metrics\]"):
        MetricsServer(Asking().totals, lambda: 0.0)
