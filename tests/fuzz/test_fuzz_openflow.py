"""The OpenFlow fuzzer, for a bounded time, on the same messages each time."""

from tests.fuzz.fuzz_openflow import fuzz


def test_no_message_makes_the_codec_raise() -> None:
    assert fuzz(seconds=4, seed=1) > 100
