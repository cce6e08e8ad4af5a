"""A path narrower than the links at its ends: nothing large gets stuck, though no ICMP reaches the switch."""

from __future__ import annotations

import time

import pytest

from lab import special
from lab.addressing import IPV4, IPV6, Addressing
from lab.scene import scene
from lab.switch import SwitchMaker

pytestmark = pytest.mark.root


@pytest.mark.parametrize("on", [IPV4, IPV6], ids=lambda on: on.name)
def test_large_messages_pass_a_narrow_path_under_a_hostile_controller(make: SwitchMaker, on: Addressing) -> None:
    with scene(make, lambda lab: special.narrow_path(lab, on), "drop") as stage:
        stage.connect()
        assert stage.all_up(10.0)
        time.sleep(1.0)  # no more of what the kernel might have heard before the first harm

        silence = stage.withstand("echo 20000")

        assert stage.lost() == 0
        assert silence < 1.5
