"""When a bridge stands alone, by what its connections say."""

from __future__ import annotations

from collections.abc import Callable

from inband.agent.fail_mode import Forwarding
from inband.openflow.messages import RoleRequest
from inband.switch.config import FailMode
from inband.switch.reports import Connected, ConnectFailed, StandaloneEntered, StandaloneLeft
from inband.vocabulary.openflow import Role
from tests.unit.switch.bench import Bench
from tests.unit.switch.fakes import wire


def test_standalone_begins_after_three_probe_intervals_and_ends_with_a_controller() -> None:
    bench = Bench(fail_mode=FailMode.STANDALONE)
    forwarding: list[Forwarding] = []

    def manage() -> None:
        bench.say(bench.session(), wire(RoleRequest(Role.EQUAL)))

    acts: tuple[Callable[[], None], ...] = (lambda: bench.pass_time(14.9), lambda: bench.pass_time(0.2), manage)
    for act in acts:
        act()
        forwarding.append(bench.managed.connections.fail_mode.forwarding)

    assert forwarding == [Forwarding.SECURE, Forwarding.STANDALONE, Forwarding.CONTROLLER]
    assert [type(report) for report in bench.reports] == [
        ConnectFailed,
        StandaloneEntered,
        Connected,
        StandaloneLeft,
    ]
