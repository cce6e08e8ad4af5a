"""Links and interfaces: which are news for whom is dialled, and what is said of those that go."""

from __future__ import annotations

from ipaddress import ip_address

from inband.flow.ports import PortNo
from inband.host.events import AddressChanged, LinkChanged
from inband.openflow.reconnect import State
from tests.unit.switch.bench import MAC, Bench
from tests.unit.switch.fakes import HELLO


def test_the_first_that_answers_of_those_that_are_tried_side_by_side_is_used() -> None:
    bench = Bench()
    bench.pass_time(0.6)
    first, second = bench.network.dialled

    first.answer()

    assert second.is_cancelled
    assert bench.states == [State.CONNECTING]
    bench.say(bench.network.open_stream(), HELLO)
    assert bench.states == [State.ACTIVE]


def test_news_of_an_interface_elsewhere_is_none_for_an_in_band_controller() -> None:
    bench = Bench()
    dialled = len(bench.network.dialled)

    bench.pass_time(0.2)
    bench.host.say(bench.managed, LinkChanged(9, "docker0", MAC, up=True, running=True, mtu=1500))
    bench.host.say(bench.managed, AddressChanged(9, ip_address("198.51.100.7"), 24, present=True))
    bench.pass_time(0.1)

    assert len(bench.network.dialled) == dialled


def test_a_link_that_goes_and_comes_back_is_said_once_each_and_a_new_port_is_not() -> None:
    bench = Bench()
    bench.managed.bridge.add_port(PortNo(1), "eth1", MAC, link_up=False)

    for link_up in (True, True, False, False, True):
        bench.managed.link_changed(PortNo(1), link_up=link_up, mac=MAC)

    assert [str(report) for report in bench.reports] == [
        "bridge br0: port 1 (eth1) is down",
        "bridge br0: port 1 (eth1) is up again",
    ]
