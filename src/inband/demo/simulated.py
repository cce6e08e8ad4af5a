"""The demo's stage in the simulator: for systems that allow no namespaces, and for a look without privileges."""

from __future__ import annotations

import asyncio

from inband.controller.behaviour import Behaviour
from inband.controller.controller import Channel
from inband.demo.story import Pings
from inband.sim import topologies
from inband.sim.host import PingSeries
from inband.vocabulary.instant import Instant


class SimulatedStage:
    """Three simulated switches. ``pace`` is how many real seconds a virtual one takes (0: as fast as it goes)."""

    title = "three switches in the simulator"

    def __init__(self, pace: float = 1.0) -> None:
        self.pings = Pings()
        self.started: dict[str, Instant] = {}
        self._pace = pace
        self._made = topologies.row(3)
        self._series: PingSeries | None = None

    async def start(self) -> None:
        """As ``Stage.start``."""
        net, switches = self._made.net, self._made.switches
        near, far = net.host("h1", "10.0.0.201/24"), net.host("h2", "10.0.0.202/24")
        net.link(near, switches[0])
        net.link(far, switches[-1])
        net.start()
        self.started = {switch.name: net.now for switch in switches}
        self._series = near.pinging("10.0.0.202")

    async def wait(self, seconds: float) -> None:
        """As ``Stage.wait``."""
        self._made.net.run(seconds)
        if self._series is not None:
            self.pings.sent, self.pings.answered = self._series.sent, self._series.answered
        await asyncio.sleep(seconds * self._pace)

    async def close(self) -> None:
        """As ``Stage.close``."""

    def now(self) -> Instant:
        """Virtual time."""
        return self._made.net.now

    def behave(self, behaviour: Behaviour) -> None:
        """As ``Stage.behave``."""
        self._made.controller.behave(behaviour)

    def channel(self, switch: str) -> Channel | None:
        """As ``Stage.channel``."""
        return self._made.controller.channel(self._made.net.switches[switch].only.datapath_id)

    def hidden_flows(self, switch: str) -> int | None:
        """As ``Stage.hidden_flows``."""
        return len(self._made.net.switches[switch].only.hidden_flows)
