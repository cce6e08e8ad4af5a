"""Rows of real switches with differing controllers and gateways, their addresses by DHCP, and one that takes all."""

from __future__ import annotations

import time

import pytest

from lab.behind import behind
from lab.inband import InbandSwitch, OnDatapath

pytestmark = [pytest.mark.root, pytest.mark.slow]

# The benchmark says how long it takes on an idle machine; ten processes share this one's processors.
UP_S, SILENCE_S, LEASE_S = 4.0, 1.0, 15.0
HARM_S = 1.0


@pytest.mark.parametrize("datapath", ["ebpf", "userspace"])
def test_a_row_with_differing_controllers_comes_up_and_so_does_a_switch_that_is_plugged_in(datapath: str) -> None:
    with behind(OnDatapath(datapath)) as made:
        up_s = made.connect(UP_S)
        made.order("drop")
        time.sleep(HARM_S)
        fifth, fifth_s = made.plug_in(OnDatapath(datapath), UP_S)
        silence = made.silence(3.0)

        assert up_s is not None, made.lab.story()
        assert fifth_s is not None, made.lab.story()
        assert silence <= SILENCE_S, made.lab.story()
        assert isinstance(fifth, InbandSwitch)
        notes = "\n".join(fifth.status()["notes"])
        assert "controller auto: tcp:10.0.0.101:6653 is used by a switch 3 hops away, behind" in notes


@pytest.mark.parametrize("datapath", ["ebpf", "userspace"])
def test_the_same_by_dhcp(datapath: str) -> None:
    with behind(OnDatapath(datapath), by_dhcp=True) as made:
        has_leases = made.have_addresses(LEASE_S)
        up_s = made.connect(UP_S)
        made.order("drop")
        time.sleep(HARM_S)
        _, fifth_s = made.plug_in(OnDatapath(datapath), LEASE_S)

        assert has_leases, made.lab.story()
        assert up_s is not None, made.lab.story()
        assert fifth_s is not None, made.lab.story()
        assert made.silence(3.0) <= SILENCE_S, made.lab.story()


def test_without_a_key_none_of_them_comes_up() -> None:
    with behind(OnDatapath("userspace"), has_key=False) as made:
        assert made.connect(UP_S) is None
        assert not any(each.journal.entries("features_reply") for each in made.controllers)
