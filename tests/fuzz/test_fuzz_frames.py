"""The frame fuzzer, for a bounded time, on the same frames each time."""

from tests.fuzz.fuzz_frames import fuzz


def test_no_frame_makes_the_packet_code_raise() -> None:
    assert fuzz(seconds=3, seed=1) > 100
