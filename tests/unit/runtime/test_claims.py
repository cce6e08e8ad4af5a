"""Claims: one live switch per interface, and none after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from inband.errors import UsageError
from inband.runtime.claims import Claims

NAME = f"ihh{os.getpid()}"[:15]

HOLDER = """
import sys, time
from inband.runtime.claims import Claims
claims = Claims()
claims.take(sys.argv[1])
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture
def claims() -> Iterator[Claims]:
    mine = Claims()
    yield mine
    mine.close()


def test_an_interface_of_another_live_process_is_refused_until_that_is_killed(claims: Claims) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, NAME], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"

        for _ in range(150):  # more than the backlog of 128: asking who it is must never block
            with pytest.raises(
                UsageError, match=rf"interface {NAME} is in use by (a live switch \(pid {holder.pid}\)|an)"
            ):
                claims.take(NAME)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close() if holder.stdout else None

    claims.take(NAME)


def test_one_process_may_claim_again_what_it_has_and_give_it_back(claims: Claims) -> None:
    claims.take(NAME)
    claims.take(NAME)
    with pytest.raises(UsageError, match="in this process"):
        Claims().take(NAME)

    claims.release(NAME)
    claims.release(NAME)

    other = Claims()
    other.take(NAME)
    other.close()
