"""Networks of a regular shape, with a controller (h1) at the first switch."""

from __future__ import annotations

import itertools

from inband.sim.graphs import Graph


def parallel() -> Graph:
    """A controller at the first of two switches with two links between them."""
    return Graph((("s1", "h1"), ("s1", "s2"), ("s1", "s2")))


def ring(length: int) -> Graph:
    """A controller at the first switch of a ring."""
    return Graph((("s1", "h1"), *((f"s{n}", f"s{n % length + 1}") for n in range(1, length + 1))))


def mesh(count: int) -> Graph:
    """A controller at the first of switches that are all linked to each other, twice."""
    pairs = itertools.combinations(range(1, count + 1), 2)
    return Graph((("s1", "h1"), *((f"s{one}", f"s{two}") for one, two in pairs for _ in range(2))))
