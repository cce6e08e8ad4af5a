"""What the switch says about itself: traces, dumps and documents, with the words of docs/guide.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import frames
from lab.controllers import LabController
from lab.journal import until
from lab.net import Lab
from tests.system.switch_rig import Rig, one_line

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Lab("ihk") as lab:
        made = Rig(lab)
        LabController(made.h1)
        options = ("--bridge", "br0", "--port", "p1", "--port", "p2", "--address", "10.0.0.1/24")
        remotes = ("--controller", "tcp:10.0.0.11:6653", "--manager", "tcp:10.0.0.12:22")
        made.start(*options, *remotes, "--fail-mode", "secure")
        assert until(lambda: bool(made.controller()["connected"]), 5.0)
        assert until(lambda: all(one["next_hop_mac"] for one in made.show()["in_band"]["remotes"]), 5.0)
        yield made


def trace(rig: Rig, *packet: str) -> str:
    done = rig.inband("trace", "br0", *packet)
    assert done.returncode == 0, done.stderr
    return done.stdout


CONTROL = {
    "h": "in_port=LOCAL,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.11,tp_dst=6653",
    "i": "in_port=1,tcp,nw_src=10.0.0.11,nw_dst=10.0.0.1,tp_src=6653",
    "j": "in_port=2,arp,arp_op=1,dl_dst=ff:ff:ff:ff:ff:ff,arp_spa=10.0.0.77,arp_tpa=10.0.0.11",
    "k": "in_port=1,arp,arp_op=2,dl_src=02:00:00:00:00:99,dl_dst=02:00:00:00:00:98,arp_spa=10.0.0.11",
}


@pytest.mark.parametrize("letter", CONTROL)
def test_a_trace_names_the_letter_and_the_remote_and_what_would_be_without(rig: Rig, letter: str) -> None:
    said = trace(rig, CONTROL[letter])

    assert f"in-band rule ({letter}) for 10.0.0.11" in said
    assert "without in-band: drop" in said
    assert "verdict: drop" not in said


def test_a_trace_of_data_says_why_it_is_dropped_and_changes_nothing(rig: Rig) -> None:
    before = rig.call("inband/dump-flows", "br0").count("\n"), rig.call("fdb/show", "br0").count("\n")

    said = trace(rig, "in_port=2,icmp,dl_src=02:00:00:00:00:55,nw_src=10.0.0.12,nw_dst=10.0.0.11")

    assert "verdict: drop (no flow in table 0 matches)" in said
    assert "in-band rule" not in said
    assert "02:00:00:00:00:55" not in rig.call("fdb/show", "br0")
    assert (rig.call("inband/dump-flows", "br0").count("\n"), rig.call("fdb/show", "br0").count("\n")) == before


def test_a_frame_can_be_traced_by_its_bytes_also_when_it_is_broken(rig: Rig) -> None:
    request = frames.arp_request(rig.h1.mac("eth0"), "10.0.0.11", "10.0.0.99").hex()

    assert "for 10.0.0.11" in trace(rig, "--hex", request, "--in-port", "p1") or "rule (e)" in trace(
        rig, "--hex", request, "--in-port", "1"
    )
    assert "malformed" in trace(rig, "--hex", request[:40])


@pytest.mark.parametrize(
    "packet",
    [("in_port=9x",), ("nonsense=1",), ("tcp,nw_src=300.1.1.1",), ("--hex", "abc"), ("--hex", "zz")],
)
def test_a_packet_that_cannot_be_read_is_refused_in_a_line(rig: Rig, packet: tuple[str, ...]) -> None:
    assert one_line(rig.inband("trace", "br0", *packet))


def test_the_show_document_has_the_keys_that_tools_rely_on(rig: Rig) -> None:
    document = json.loads(rig.inband("show", "--json").stdout)

    (bridge,) = document["bridges"]
    assert _has(bridge, "name datapath datapath_id fail_mode forwarding ports controllers in_band")
    assert all(_has(port, "name number mac link_up config") for port in bridge["ports"])
    assert _has(bridge["controllers"][0], "target connected role version since last_error in_band")
    assert _has(bridge["in_band"], "enabled local_mac queue hidden_flows remotes")
    assert bridge["counters"]["miss"] > 0
    assert "megaflows" in bridge["counters"]
    keys = "address port protocol kinds next_hop next_hop_mac interface resolved_at"
    assert all(_has(remote, keys) for remote in bridge["in_band"]["remotes"])
    kinds = {(one["address"], one["port"]): one["kinds"] for one in bridge["in_band"]["remotes"]}
    assert kinds == {("10.0.0.11", 6653): ["controller"], ("10.0.0.12", 22): ["manager"]}
    # Rules for the interface's own IPv6 addresses may come while we look.
    assert until(
        lambda: rig.show()["in_band"]["hidden_flows"] == rig.call("bridge/dump-flows", "br0").count("letter="), 5
    )


def _has(document: dict[str, Any], keys: str) -> bool:
    return set(keys.split()) <= set(document)


def test_flows_are_dumped_as_text_and_as_a_document_hidden_ones_when_asked_for(rig: Rig) -> None:
    plain, hidden = rig.inband("dump-flows", "br0").stdout, rig.inband("dump-flows", "br0", "--hidden").stdout

    assert plain == ""
    assert "letter=h, remote=10.0.0.11" in hidden
    # A second after the start rules for IPv6 are added, when the bridge's address is known to be no duplicate.
    assert until(lambda: _flows_in_document(rig) == _flows_in_text(rig) > 0, 5.0)


def _flows_in_text(rig: Rig) -> int:
    return len(rig.inband("dump-flows", "br0", "--hidden").stdout.splitlines())


def _flows_in_document(rig: Rig) -> int:
    return len(json.loads(rig.inband("dump-flows", "br0", "--hidden", "--json").stdout)["flows"])


def test_show_for_people_names_what_matters(rig: Rig) -> None:
    said = rig.inband("show").stdout

    for word in ("br0", "tcp:10.0.0.11:6653", "10.0.0.12:22", "p1", "p2"):
        assert word in said


def test_every_lost_frame_is_in_a_named_counter(rig: Rig) -> None:
    rig.h2.ip("neigh replace 10.0.0.77 lladdr 02:00:00:00:00:77 dev eth0")
    before = _dropped(rig)

    rig.h2.pings("10.0.0.77", count=5, wait_s=0.2)

    assert until(lambda: _dropped(rig) >= before + 5, 1.0)


def _dropped(rig: Rig) -> int:
    """Dropped by a decision just made, and by one that was cached."""
    return rig.counter("dropped: no flow in table 0 matches") + rig.counter("dropped_by_flow")


def test_cached_decisions_are_shown_with_counts_and_the_rules_that_they_came_from(rig: Rig) -> None:
    assert until(lambda: "letter=h, remote=10.0.0.11:6653" in rig.call("inband/dump-datapath", "br0"), 5.0)

    text = rig.inband("dump-datapath", "br0").stdout
    document = json.loads(rig.inband("dump-datapath", "br0", "--json").stdout)

    to_controller = [each for each in document["megaflows"] if any("letter=h" in flow for flow in each["flows"])]
    assert document["datapath"] in ("userspace", "ebpf")
    assert to_controller[0]["actions"] == "output:1"
    assert to_controller[0]["packets"] > 0
    assert "actions:output:1\n    from table=0, letter=h, remote=10.0.0.11:6653, priority=180007," in text


def test_a_dump_of_an_unknown_bridge_names_those_there_are(rig: Rig) -> None:
    done = rig.inband("dump-datapath", "br9")

    assert done.returncode == 1
    assert "br0" in one_line(done)
