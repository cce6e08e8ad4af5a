"""Names: what the kernel would take, and what we make of a bridge's name."""

from __future__ import annotations

import pytest

from inband.errors import UsageError
from inband.host.interfaces import inner_name
from inband.host.requests import check_interface_name


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "a:b", "sixteencharacter", "tab\t", "äöüäöüäö"])
def test_a_name_the_kernel_refuses_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be an interface"):
        check_interface_name(name)


@pytest.mark.parametrize("name", ["br0", "fifteen-charact", "ü"])
def test_a_name_the_kernel_takes_is_taken(name: str) -> None:
    check_interface_name(name)


@pytest.mark.parametrize("bridge", ["br0", "br-a-long-one", "fifteen-charact"])
def test_the_inner_end_has_a_name_the_kernel_takes(bridge: str) -> None:
    check_interface_name(inner_name(bridge))


def test_bridges_with_long_names_have_different_inner_ends() -> None:
    assert inner_name("fifteen-charac1") != inner_name("fifteen-charac2")
