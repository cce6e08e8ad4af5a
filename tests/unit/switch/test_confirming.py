"""A change waits for its confirmation, once, and is undone when that does not come."""

from __future__ import annotations

import pytest

from inband.errors import UsageError
from inband.switch.config import BridgeConfig, SwitchConfig
from inband.switch.confirming import Confirming

BEFORE = SwitchConfig((BridgeConfig("br0"),))


def test_a_change_that_is_not_confirmed_is_due_after_its_time() -> None:
    confirming = Confirming()
    confirming.begin(BEFORE, "set br0 queue=1", 10.0, now=5.0)

    assert confirming.next_deadline() == 15.0
    assert confirming.take_due(14.9) is None
    assert confirming.take_due(15.0) is BEFORE
    assert confirming.next_deadline() is None


def test_a_confirmed_change_stays() -> None:
    confirming = Confirming()
    confirming.begin(BEFORE, "reload", 10.0, now=5.0)

    confirming.confirm(now=6.0)

    assert confirming.take_due(100.0) is None


def test_a_change_that_is_taken_back_by_hand_is_not_undone_again() -> None:
    confirming = Confirming()
    confirming.begin(BEFORE, "reload", 10.0, now=5.0)

    assert confirming.roll_back(now=6.0) is BEFORE
    assert confirming.next_deadline() is None


def test_nothing_else_may_change_meanwhile() -> None:
    confirming = Confirming()
    confirming.begin(BEFORE, "set br0 queue=1", 10.0, now=0.0)

    with pytest.raises(UsageError, match=r"set br0 queue=1.*inband confirm.*inband rollback"):
        confirming.check_free(now=1.0)


def test_a_confirmation_that_comes_too_late_or_twice_says_so() -> None:
    confirming = Confirming()
    with pytest.raises(UsageError, match="no change waits"):
        confirming.confirm(now=0.0)
    confirming.begin(BEFORE, "reload", 10.0, now=0.0)
    confirming.take_due(10.0)
    with pytest.raises(UsageError, match="too late: reload was undone 2 s ago"):
        confirming.confirm(now=12.0)
    confirming.begin(BEFORE, "reload", 10.0, now=20.0)
    confirming.confirm(now=21.0)
    with pytest.raises(UsageError, match="reload was confirmed 4 s ago already"):
        confirming.confirm(now=25.0)
