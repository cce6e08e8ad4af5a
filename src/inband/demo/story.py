"""The story of the demo, whatever stage it is played on: real namespaces or the simulator.

Three switches in a row, a controller at one end, and data hosts at both. All start with nothing. The controller
is mute, then friendly, then does its worst, twice; the channels must not notice, and data must pass only while it is
friendly.

Invariants: the verdict is about what was measured, never about what was expected to be so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from inband.controller.behaviour import DELETE_AND_DROP, FRIENDLY, HOSTILE, MUTE, Behaviour
from inband.controller.controller import Channel
from inband.vocabulary.instant import Instant

# A channel that is silent for longer is a failure of the demo; on a quiet machine it is 0.1 to 0.2 s.
MAX_SILENCE_S = 1.0
# Starting three interpreters on a busy machine takes a while; what the switches do after that does not.
START_S = 30.0
# Flows take a moment to arrive, and ARP asks once a second: only then data has to pass, or not.
SETTLE_S = 1.5
STEP_S = 0.2


@dataclass(frozen=True, slots=True)
class Act:
    """A part of the story: how the controller behaves, for how long, and whether data may pass meanwhile."""

    behaviour: Behaviour
    seconds: float
    text: str
    has_data: bool


ACTS = (
    Act(MUTE, 4.0, "is mute: it answers, asks for echoes, and installs nothing", has_data=False),
    Act(FRIENDLY, 4.0, "is friendly: one flow, everything NORMAL", has_data=True),
    Act(DELETE_AND_DROP, 5.0, "deletes every flow and drops everything at priority 65535", has_data=False),
    Act(HOSTILE, 6.0, "deletes and drops, and sets every port and LOCAL down, no-receive, no-forward", has_data=False),
)


@dataclass(slots=True)
class Pings:
    """Echo requests between the data hosts."""

    sent: int = 0
    answered: int = 0


class Stage(Protocol):
    """Where the story is played."""

    title: str
    pings: Pings
    started: dict[str, Instant]
    """When each switch was started, in the order of their distance from the controller."""

    async def start(self) -> None:
        """Build the network and start the switches, all at once; raises HostError."""

    async def wait(self, seconds: float) -> None:
        """Let time pass."""

    async def close(self) -> None:
        """Leave nothing behind."""

    def now(self) -> Instant:
        """The clock of everything here."""

    def behave(self, behaviour: Behaviour) -> None:
        """Tell the controller how to behave."""

    def channel(self, switch: str) -> Channel | None:
        """What the controller knows of a switch."""

    def hidden_flows(self, switch: str) -> int | None:
        """How many hidden flows a switch has (None: not known yet)."""


@dataclass(slots=True)
class Scene:
    """What a spectator sees. ``data`` has for each act that is over the (answered, sent) pings after it had settled.

    ``recent`` are the totals of answered pings at each step of the last second, oldest first.
    """

    stage: Stage
    act: Act | None = None
    data: list[tuple[Act, int, int]] = field(default_factory=list)
    recent: deque[int] = field(default_factory=lambda: deque([0], maxlen=round(1 / STEP_S)))

    @property
    def data_passes(self) -> bool:
        """Whether a ping of the last second was answered."""
        return self.stage.pings.answered > self.recent[0]


Show = Callable[[Scene], None]
"""Shows a scene; called often."""


async def play(stage: Stage, show: Show, acts: tuple[Act, ...] = ACTS) -> Scene:
    """Play the story on a stage that was started. What came of it is for ``failures``."""
    scene = Scene(stage)
    if not await _all_are_up(scene, show):
        return scene
    for channel in _channels(stage):
        channel.forget_silence(stage.now())
    for act in acts:
        scene.act = act
        stage.behave(act.behaviour)
        await _pass_time(scene, show, SETTLE_S)
        sent, answered = stage.pings.sent, stage.pings.answered
        await _pass_time(scene, show, act.seconds - SETTLE_S)
        sent = stage.pings.sent - sent
        # The first answer may be to a ping from before.
        scene.data.append((act, min(stage.pings.answered - answered, sent), sent))
    return scene


def failures(scene: Scene) -> list[str]:
    """What went wrong, one line each."""
    stage, found = scene.stage, list[str]()
    for name in stage.started:
        channel = stage.channel(name)
        if channel is None:
            found.append(f"{name} never came up")
            continue
        found += [f"{name} lost its channel: {reason}" for _, reason in channel.losses]
        silence_s = channel.silence_s(stage.now())
        if silence_s > MAX_SILENCE_S:
            found.append(f"{name} was silent for {silence_s:.2f} s")
    for act, answered, sent in scene.data:
        if act.has_data is not bool(answered):
            did = "passed" if answered else "did not pass"
            found.append(f"data {did} while the controller was {act.behaviour.name}: {answered} of {sent} pings")
    return found


async def _all_are_up(scene: Scene, show: Show) -> bool:
    stage = scene.stage
    deadline = stage.now() + START_S
    while stage.now() < deadline:
        channels = _channels(stage)
        if len(channels) == len(stage.started) and all(channel.is_up for channel in channels):
            return True
        await _pass_time(scene, show, STEP_S)
    return False


async def _pass_time(scene: Scene, show: Show, seconds: float) -> None:
    end = scene.stage.now() + seconds
    while (left := end - scene.stage.now()) > 1e-6:
        await scene.stage.wait(min(STEP_S, left))
        scene.recent.append(scene.stage.pings.answered)
        show(scene)


def _channels(stage: Stage) -> list[Channel]:
    found = (stage.channel(name) for name in stage.started)
    return [channel for channel in found if channel is not None]
