"""The watcher before a kernel that is a function: what a dump that fails, or cannot be read, leaves as it was."""

from __future__ import annotations

import asyncio
import errno
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from inband.errors import WireError
from inband.host import codec, rtnetlink, watcher
from inband.host.codec import Message
from inband.host.events import HostEvent, LinkChanged, LinkRemoved, Resynchronised, RoutesChanged
from inband.host.netlink_socket import Trouble
from inband.host.state import KernelState
from inband.host.watcher import Watcher
from inband.vocabulary.addresses import Mac

LOST = OSError(errno.ENOBUFS, "no buffer space")


def link(index: int) -> bytes:
    name = codec.text(rtnetlink.IFLA_IFNAME, f"eth{index}")
    return rtnetlink.link_body(index, name, flags=rtnetlink.IFF_UP | rtnetlink.IFF_RUNNING)


def link_event(index: int) -> LinkChanged:
    return LinkChanged(index, f"eth{index}", Mac(0), up=True, running=True, mtu=0)


@dataclass
class Kernel:
    """Answers dumps of links; of anything else it has none. ``failure`` is the errno at a dump's end."""

    links: list[bytes] = field(default_factory=list)
    failure: int = 0
    dumps: int = 0

    def answer(self, request: Message) -> Iterator[Message]:
        """The messages of one dump."""
        if request.kind == rtnetlink.RTM_GETLINK:
            self.dumps += 1
            yield from (Message(rtnetlink.RTM_NEWLINK, 0, request.sequence, body) for body in self.links)
        yield Message(codec.NLMSG_DONE, 0, request.sequence, struct.pack("=i", -self.failure))


@dataclass(eq=False)
class FakeListener:
    """A listener whose socket is ``kernel``."""

    loop: asyncio.AbstractEventLoop
    trouble: Trouble
    heard: Callable[[Message], None]
    missed: Callable[[OSError | WireError], None]
    turn_ended: Callable[[], None]
    kernel: Kernel
    waiting: list[Message] = field(default_factory=list)

    def open(self, *_: object) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def send(self, requests: bytes) -> None:
        """Have answers wait."""
        for request in codec.split(requests):
            self.waiting += self.kernel.answer(request)

    def wait(self, _: float) -> None:
        """Hear what waits, as ``Listener.take`` does."""
        while self.waiting:
            try:
                self.heard(self.waiting.pop(0))
            except WireError as error:
                self.missed(error)
        self.turn_ended()


@dataclass
class Scene:
    """A started watcher, the kernel behind it, and what it has delivered since, with the links that were known then."""

    kernel: Kernel
    listener: FakeListener
    state: KernelState
    events: list[HostEvent] = field(default_factory=list)
    known: list[set[int]] = field(default_factory=list)

    def deliver(self, event: HostEvent) -> None:
        """Hear of an event."""
        self.events.append(event)
        self.known.append({link.index for link in self.state.links})

    def lose_messages(self) -> None:
        """The socket overflows, and what is asked then is answered."""
        self.listener.missed(LOST)
        self.listener.wait(0.0)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    kernel, state, trouble = Kernel([link(1), link(2)]), KernelState(), Trouble(lambda: 0.0)
    scenes: list[Scene] = []

    def listen(
        loop: asyncio.AbstractEventLoop,
        trouble: Trouble,
        heard: Callable[[Message], None],
        missed: Callable[[OSError | WireError], None],
        turn_ended: Callable[[], None],
    ) -> FakeListener:
        listener = FakeListener(loop, trouble, heard, missed, turn_ended, kernel)
        scenes.append(Scene(kernel, listener, state))
        return listener

    monkeypatch.setattr(watcher, "Listener", listen)
    loop = asyncio.new_event_loop()
    made = Watcher(lambda event: scenes[0].deliver(event), state, trouble, loop, 0)
    made.start()
    (scene,) = scenes
    assert scene.events == [link_event(1), link_event(2)]
    scene.events.clear()
    scene.known.clear()
    yield scene
    made.close()
    loop.close()


def test_after_a_loss_what_is_gone_is_said_and_known_before_everything_counts_as_told(scene: Scene) -> None:
    scene.kernel.links = [link(2)]

    scene.lose_messages()

    assert scene.events == [link_event(2), LinkRemoved(1, "eth1"), Resynchronised()]
    assert [each.index for each in scene.state.links] == [2]


def test_an_event_is_in_the_state_when_it_is_delivered_and_not_before(scene: Scene) -> None:
    scene.kernel.links = [link(2), link(3)]

    scene.lose_messages()

    assert scene.events == [link_event(2), link_event(3), LinkRemoved(1, "eth1"), Resynchronised()]
    assert scene.known == [{1, 2}, {1, 2, 3}, {2, 3}, {2, 3}]


def test_a_dump_that_ends_with_an_error_takes_nothing_away_and_is_made_again(scene: Scene) -> None:
    scene.kernel.links, scene.kernel.failure = [], errno.EINTR

    scene.lose_messages()

    assert scene.events == []
    assert [each.index for each in scene.state.links] == [1, 2]
    assert scene.kernel.dumps == 2  # the next one waits for the loop's timer


def test_a_dump_with_a_part_that_cannot_be_read_takes_nothing_away(scene: Scene) -> None:
    scene.kernel.links = [link(1), link(2)[:-5]]

    scene.lose_messages()

    assert scene.events == [link_event(1), Resynchronised()]
    assert [each.index for each in scene.state.links] == [1, 2]


def test_a_notification_that_cannot_be_read_costs_no_dump(scene: Scene) -> None:
    scene.listener.missed(WireError("rubbish"))
    scene.listener.wait(0.0)

    assert scene.kernel.dumps == 1


def test_a_thousand_rules_are_one_reason_to_look_up_routes(scene: Scene) -> None:
    for _ in range(1000):
        scene.listener.heard(Message(rtnetlink.RTM_NEWRULE, 0, 0, bytes(12)))

    scene.listener.turn_ended()

    assert scene.events == [RoutesChanged(None)]
