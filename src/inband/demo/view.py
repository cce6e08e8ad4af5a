"""What the spectator sees: a live table on a terminal, plain lines elsewhere, and the summary at the end of both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from inband.demo.story import MAX_SILENCE_S, Scene, Show, Stage, failures

PLAIN_EVERY_S = 2.0
_TITLES = ("switch", "channel", "up after its start", "echo", "longest silence", "hidden flows")
_WAITING = "is there; the switches start with an empty table and fail mode secure"


@contextmanager
def shown(console: Console, stage: Stage) -> Iterator[Show]:
    """A function that shows scenes on this console while the story is played."""
    console.print(f"c --- s1 --- s2 --- s3: {stage.title}; hosts h1 at s1 and h2 at s3, h1 pings h2", highlight=False)
    if console.is_terminal:
        with Live(console=console, refresh_per_second=8, transient=True) as live:
            yield lambda scene: live.update(_picture(scene))
    else:
        yield _Lines(console).show


def print_summary(console: Console, scene: Scene) -> None:
    """What was measured and whether it is good."""
    console.print(_table(scene))
    for act, answered, sent in scene.data:
        console.print(f"data while {act.behaviour.name}: {answered} of {sent} pings answered", highlight=False)
    wrong = failures(scene)
    for line in wrong:
        console.print(f"FAILED: {line}", style="red", highlight=False)
    if not wrong:
        console.print(
            f"The controller did its worst; no channel was lost or silent for more than {MAX_SILENCE_S:g} s.",
            style="green",
            highlight=False,
        )


def _picture(scene: Scene) -> RenderableType:
    what = Text.assemble("the controller ", (scene.act.text if scene.act else _WAITING, "bold"))
    return Group(what, _table(scene), Text.assemble("data, h1 to h2: ", _data(scene)))


def _data(scene: Scene) -> Text:
    count = f"{scene.stage.pings.answered} of {scene.stage.pings.sent} pings answered"
    return Text(f"passes, {count}", "green") if scene.data_passes else Text(f"does not pass, {count}", "yellow")


def _table(scene: Scene) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for title in _TITLES:
        table.add_column(title, no_wrap=True)
    for name in scene.stage.started:
        table.add_row(*_row(scene.stage, name))
    return table


def _row(stage: Stage, name: str) -> Iterator[Text]:
    channel = stage.channel(name)
    yield Text(name)
    if channel is None:
        yield Text("not yet up", "yellow")
        return
    yield Text("up", "green") if channel.is_up else Text("LOST", "red")
    yield Text(f"{channel.up_at - stage.started[name]:.2f} s")
    yield Text("-" if channel.echo_s is None else f"{channel.echo_s * 1000:.1f} ms")
    silence_s = channel.silence_s(stage.now())
    yield Text(f"{silence_s:.2f} s", "red" if silence_s > MAX_SILENCE_S else "")
    count = stage.hidden_flows(name)
    yield Text("-" if count is None else str(count))


def _sentence(stage: Stage, name: str) -> str:
    cells = [cell.plain for cell in _row(stage, name)]
    if len(cells) < len(_TITLES):
        return " ".join(cells)
    name, state, up_after, echo, silence, hidden = cells
    return f"{name} {state} (after {up_after}, echo {echo}, longest silence {silence}, {hidden} hidden flows)"


class _Lines:
    """One line per act, and one about all channels every two seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: object = self
        self._next = 0.0

    def show(self, scene: Scene) -> None:
        stage = scene.stage
        if scene.act is not self._told:
            self._told = scene.act
            self._say(f"the controller {scene.act.text if scene.act else _WAITING}")
        if stage.now() >= self._next:
            self._next = stage.now() + PLAIN_EVERY_S
            rows = "; ".join(_sentence(stage, name) for name in stage.started)
            self._say(f"  {rows}; data {_data(scene).plain}")

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)
