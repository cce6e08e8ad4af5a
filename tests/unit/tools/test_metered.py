"""The measure of a meter is right for what TCP makes of one: bursts, and pauses in which the bucket fills."""

from __future__ import annotations

import pytest

from lab.metered import Sample, between_empty_buckets

RATE = 2e9
TICK_S = 0.005


def received(depth: float, offered: float, pause_s: float, seconds: float) -> list[Sample]:
    """What passes a bucket that is full at first. Whoever finds it empty pauses."""
    tokens, got, sends_until, samples = depth, 0.0, 0.0, [(0.0, 0)]
    for tick in range(1, int(seconds / TICK_S)):
        now = tick * TICK_S
        tokens = min(depth, tokens + RATE * TICK_S)
        if now >= sends_until:
            passes = min(tokens, offered * TICK_S)
            tokens, got = tokens - passes, got + passes
            sends_until = now + pause_s if tokens <= 0 else sends_until
        samples.append((now, int(got / 8)))
    return samples


@pytest.mark.parametrize("seconds", [3.9, 4.0, 4.1, 4.2])
def test_what_is_left_in_the_bucket_at_the_end_is_not_missing(seconds: float) -> None:
    assert between_empty_buckets(received(RATE, 4e9, 0.2, seconds), RATE) == pytest.approx(RATE, rel=0.01)


def test_what_a_bucket_is_too_small_for_is_missing() -> None:
    measured = between_empty_buckets(received(RATE / 20, 4e9, 0.2, 4.0), RATE)

    assert measured < 0.5 * RATE


@pytest.mark.parametrize("times", [0.9, 1.1])
def test_another_rate_shows(times: float) -> None:
    slower = [(now * times, bytes_) for now, bytes_ in received(RATE, 4e9, 0.2, 4.0)]

    assert between_empty_buckets(slower, RATE) == pytest.approx(RATE / times, rel=0.02)
