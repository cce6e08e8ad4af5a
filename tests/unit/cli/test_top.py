"""``inband top``: rates between two documents, and the picture of them."""

from __future__ import annotations

import io
import json
from copy import deepcopy

import pytest
from rich.console import Console

from inband.cli.main import main
from inband.cli.top import picture, with_rates
from inband.runtime.top import COUNTED, TopDocument
from tests.unit.cli.fake_switch import fake_switch

BEFORE: TopDocument = {
    "time": 1000.0,
    "cpu_s": 1.0,
    "memory_bytes": 50 << 20,
    "bridges": [
        {
            "name": "br0",
            "datapath": "ebpf",
            "forwarding": "controller",
            "ports": [{"name": "eth1", "number": 1, "link_up": True, "counters": dict.fromkeys(COUNTED, 100)}],
            "channels": [{"target": "tcp:192.0.2.1:6653", "connected": True, "role": "master", "since": 900.0}],
            "flows": 5,
            "hidden_flows": 11,
            "megaflows": 3,
            "addresses": 2,
            "hits": 10,
            "upcalls": 4,
            "lost": 0,
            "counters": {},
        }
    ],
}


def later() -> TopDocument:
    """Two seconds later."""
    document = deepcopy(BEFORE)
    document["time"], document["cpu_s"] = 1002.0, 1.1
    bridge = document["bridges"][0]
    bridge["hits"], bridge["upcalls"] = 210, 5
    bridge["ports"][0]["counters"] |= {"rx_packets": 300, "rx_bytes": 2_500_100, "tx_dropped": 0}
    return document


def text(document: TopDocument) -> str:
    file = io.StringIO()
    console = Console(file=file, width=80)
    console.print(picture(with_rates(BEFORE, document), console))
    return file.getvalue()


def test_rates_are_per_second_and_never_negative() -> None:
    document = with_rates(BEFORE, later())

    assert (document["seconds"], document["cpu"]) == (2.0, 0.05)
    assert document["bridges"][0]["rates"] == {"hits": 100.0, "upcalls": 0.5, "lost": 0.0}
    rates = document["bridges"][0]["ports"][0]["rates"]
    assert (rates["rx_packets"], rates["tx_packets"], rates["tx_dropped"]) == (100.0, 0.0, 0.0)


def test_a_bridge_or_port_that_is_new_has_no_rates_yet() -> None:
    before = deepcopy(BEFORE)
    before["bridges"] = []

    document = with_rates(before, later())

    assert document["bridges"][0]["rates"]["hits"] == 0.0
    assert set(document["bridges"][0]["ports"][0]["rates"].values()) == {0.0}


def test_the_picture_fits_a_terminal_and_has_ports_channels_and_flows() -> None:
    said = text(later())

    assert "CPU 5.0%  memory 50 MB  over 2.0 s" in said
    assert "bridge br0 (ebpf), forwarding: controller" in said
    assert "flows 5 and 11 hidden, cached 3, addresses 2" in said
    assert "packets/s: known 100, upcalls 0, lost 0" in said
    assert "tcp:192.0.2.1:6653 connected for 102 s, master" in said
    assert [line.split() for line in said.splitlines() if line.startswith("eth1")] == [
        ["eth1", "up", "100", "10.0M", "0", "0", "0", "0"]
    ]
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize(
    ("width", "row"),
    [
        (80, ["a-long-name-15c", "up", "100", "10.0M", "0", "0", "0", "0"]),
        (64, ["a-long-name-15c", "up", "100", "10.0M", "0", "0"]),
        (40, ["a-long-name-15c", "up", "10.0M", "0"]),
        (22, ["a-long-name-15c", "up"]),
    ],
)
def test_a_narrow_terminal_has_fewer_columns_and_whole_names(width: int, row: list[str]) -> None:
    before, document = deepcopy(BEFORE), later()
    for each in (before, document):
        each["bridges"][0]["ports"][0]["name"] = "a-long-name-15c"
    console = Console(file=io.StringIO(), width=width)

    with console.capture() as captured:
        console.print(picture(with_rates(before, document), console))

    lines = captured.get().splitlines()
    assert [line.split() for line in lines if line.startswith("a-long")] == [row]
    assert max(map(len, lines)) <= width


def test_what_a_peer_named_cannot_write_to_the_terminal() -> None:
    document = later()
    document["bridges"][0]["channels"][0]["target"] = "tcp:\x1b[2J"

    assert "\x1b" not in text(document)


def test_once_is_one_document_over_one_interval(capsys: pytest.CaptureFixture[str]) -> None:
    with fake_switch() as switch:
        switch.answers["top"] = json.dumps(BEFORE)

        code = main(["--run-dir", str(switch.run_dir), "top", "--once", "--json", "--every", "0.1"])

    assert code == 0
    assert json.loads(capsys.readouterr().out)["bridges"][0]["rates"]["hits"] == 0.0
    assert switch.asked == [["top"], ["top"]]


def test_once_for_people_is_one_picture(capsys: pytest.CaptureFixture[str]) -> None:
    with fake_switch() as switch:
        switch.answers["top"] = json.dumps(BEFORE)

        assert main(["--run-dir", str(switch.run_dir), "top", "--once", "--every", "0.1"]) == 0

    assert capsys.readouterr().out.count("bridge br0") == 1
