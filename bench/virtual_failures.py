"""Failures in a simulated network: for how long is each channel silent, when a link goes down or a switch is killed.

Who loses a path is known beforehand: before a failure the frames on the link, or on the switch's links, are looked at
for a moment. The channels that pass there get an echo each ECHO_S from then on; the others go on with one each
CALM_ECHO_S, and for those counts what they are silent for beyond the pace of the former. So a large network costs what
fails in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from random import Random
from typing import TypeVar

from inband.controller.controller import Channel
from inband.packet.frame import Frame
from inband.sim.graphs import Edge, GraphNetwork, reachable
from inband.sim.host import Host
from inband.sim.link import Link, Nic

ECHO_S, CALM_ECHO_S = 0.01, 0.1
# Until each switch knows by which ports its control leaves, and after a repair until hellos are as before.
SETTLE_S, WATCH_S, REPAIRED_S = 2.5, 0.5, 1.0
# Of an IPv4 frame without a tag.
_SOURCE, _DESTINATION = slice(26, 30), slice(30, 34)
_SEED = 1
_T = TypeVar("_T")


class Failures:
    """Lets links and switches of a network that is up fail, one after the other, and come back."""

    def __init__(self, made: GraphNetwork) -> None:
        self._made = made
        ends = (name for edge in made.graph.edges for name in edge)
        nics = (nic for link in made.links for nic in (link.one, link.two))
        self._links_of: dict[str, list[Link]] = {}
        for name, nic in zip(ends, nics, strict=True):
            assert nic.link is not None
            self._links_of.setdefault(name, []).append(nic.link)

    def links(self, sample: int) -> list[tuple[Edge, Link]]:
        """Links between switches without which every switch reaches every controller, ``sample`` at most."""
        graph = self._made.graph
        pairs = zip(graph.edges, self._made.links, strict=True)
        fit = [
            (edge, link)
            for edge, link in pairs
            if edge in graph.between_switches and self._is_whole([each for each in graph.edges if each != edge])
        ]
        return _some(fit, sample)

    def switches(self, sample: int) -> list[str]:
        """Switches with two links or more, without which all others reach every controller, ``sample`` at most."""
        inner = [name for name in self._made.graph.switches if len(self._links_of[name]) > 1]
        return _some([name for name in inner if self._is_whole(self._made.graph.edges, {name})], sample)

    def cut(self, link: Link) -> tuple[float, float]:
        """Take a link down, and bring it up again; the longest silence after each, seconds."""
        return self._outage([link], link.cut, link.mend, without=None)

    def kill(self, name: str) -> tuple[float, float]:
        """Kill a switch's process, and start it again; likewise, of the other switches."""
        switch = self._made.switches[name]
        return self._outage(self._links_of[name], switch.kill, switch.start, without=switch.only.datapath_id)

    def _is_whole(self, edges: Sequence[Edge], without: Collection[str] = ()) -> bool:
        """Whether every switch that is left reaches every controller."""
        graph = self._made.graph
        return len(reachable(edges, graph.hosts[0], without)) == len(graph.switches) + len(graph.hosts) - len(without)

    def _outage(
        self, links: list[Link], fail: Callable[[], None], repair: Callable[[], None], *, without: int | None
    ) -> tuple[float, float]:
        net = self._made.net
        watched = [each for each in self._channels() if each[1].datapath_id != without]
        affected = self._passing(links)
        for ends, channel in watched:
            channel.echo_interval_s = ECHO_S if ends in affected else None
        net.run(CALM_ECHO_S)  # the next echo was planned before
        silences = []
        for act, seconds in ((fail, WATCH_S), (repair, WATCH_S)):
            for _, channel in watched:
                channel.forget_silence(net.now)
            act()
            net.run(seconds)
            silences.append(max(self._silence(channel) for _, channel in watched))
        for _, channel in watched:
            channel.echo_interval_s = None
        net.run(REPAIRED_S)
        return silences[0], silences[1]

    def _silence(self, channel: Channel) -> float:
        """How long a channel was silent; where echoes are rare, their pause is no silence."""
        excess = 0.0 if channel.echo_interval_s is not None else CALM_ECHO_S - ECHO_S
        return channel.silence_s(self._made.net.now) - excess

    def _channels(self) -> Iterator[tuple[bytes, Channel]]:
        """Every channel with both of its addresses, the lower one first."""
        for controller in self._made.controllers.values():
            theirs = _address(controller.host)
            for name, channel in self._made.net.channels(controller).items():
                yield b"".join(sorted((theirs, _address(self._made.switches[name].host)))), channel

    def _passing(self, links: list[Link]) -> set[bytes]:
        """Between which addresses frames cross the links in a moment."""
        seen: set[bytes] = set()

        def tap(_: Nic, frame: Frame) -> None:
            seen.add(b"".join(sorted((frame.data[_SOURCE], frame.data[_DESTINATION]))))

        for link in links:
            link.taps.append(tap)
        self._made.net.run(2 * CALM_ECHO_S)
        for link in links:
            link.taps.remove(tap)
        return seen


def _address(host: Host) -> bytes:
    return next(iter(host.eth0.addresses)).packed


def _some(each: list[_T], sample: int) -> list[_T]:
    return each if len(each) <= sample else Random(_SEED).sample(each, sample)
