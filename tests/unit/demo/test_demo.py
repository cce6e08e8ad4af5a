"""The demo's story, its verdict and its picture, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from inband.controller.behaviour import DELETE_AND_DROP, FRIENDLY, HOSTILE, MUTE
from inband.controller.controller import Channel
from inband.demo.simulated import SimulatedStage
from inband.demo.story import ACTS, Act, Scene, Stage, failures, play
from inband.demo.view import print_summary, shown

SHORT = tuple(replace(act, seconds=3.0) for act in ACTS)


def played(stage: Stage, console: Console, acts: tuple[Act, ...] = SHORT) -> Scene:
    async def run() -> Scene:
        await stage.start()
        with shown(console, stage) as show:
            return await play(stage, show, acts)

    return asyncio.run(run())


def text_console(*, is_terminal: bool = False) -> tuple[Console, StringIO]:
    out = StringIO()
    return Console(file=out, width=200, force_terminal=is_terminal), out


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_story_goes_well_and_says_so(is_terminal: bool) -> None:
    console, out = text_console(is_terminal=is_terminal)

    scene = played(SimulatedStage(pace=0), console)
    print_summary(console, scene)

    assert failures(scene) == []
    assert [(act.behaviour, bool(answered)) for act, answered, _ in scene.data] == [
        (MUTE, False),
        (FRIENDLY, True),
        (DELETE_AND_DROP, False),
        (HOSTILE, False),
    ]
    assert "no channel was lost" in out.getvalue()
    assert "hidden flows" in out.getvalue()


def test_without_a_terminal_there_are_plain_lines_only() -> None:
    console, out = text_console()

    played(SimulatedStage(pace=0), console)

    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    told = [line for line in lines if line.startswith("the controller ")]
    assert told[1:] == [f"the controller {act.text}" for act in ACTS]
    assert any("s3 up (after 0.00 s" in line for line in lines)


def lose(channel: Channel) -> None:
    channel.losses.append((1.0, "connection reset by peer"))


def be_silent(channel: Channel) -> None:
    channel.longest_silence_s = 1.5


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lose, "s2 lost its channel: connection reset by peer"),
        (be_silent, "s2 was silent for 1.50 s"),
    ],
)
def test_a_channel_that_suffered_is_a_failure_and_is_printed(spoil: Callable[[Channel], None], line: str) -> None:
    console, out = text_console()
    scene = played(SimulatedStage(pace=0), console)
    channel = scene.stage.channel("s2")
    assert channel is not None

    spoil(channel)
    print_summary(console, scene)

    assert failures(scene) == [line]
    assert f"FAILED: {line}" in out.getvalue()


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (Act(MUTE, 3.0, "", has_data=True), "data did not pass while the controller was mute: 0 of 15 pings"),
        (Act(FRIENDLY, 3.0, "", has_data=False), "data passed while the controller was friendly: 15 of 15 pings"),
    ],
)
def test_data_that_does_otherwise_than_it_should_is_a_failure(act: Act, line: str) -> None:
    console, _ = text_console()

    scene = played(SimulatedStage(pace=0), console, (act,))

    assert failures(scene) == [line]


class LateAnswers(SimulatedStage):
    """While a controller forwards, each ping is counted as answered twice: as if answers to earlier ones came, too."""

    async def wait(self, seconds: float) -> None:
        await super().wait(seconds)
        self.pings.answered *= 2


def test_no_more_pings_are_said_to_be_answered_than_were_sent() -> None:
    console, _ = text_console()

    scene = played(LateAnswers(pace=0), console)

    assert any(answered for _, answered, _ in scene.data)
    assert all(answered <= sent for _, answered, sent in scene.data)


def test_a_switch_that_never_comes_up_is_a_failure() -> None:
    stage = SimulatedStage(pace=0)
    stage.started = {"s1": 0.0}

    assert failures(Scene(stage)) == ["s1 never came up"]
