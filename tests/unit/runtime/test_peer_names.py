"""Names in certificates against the name that is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from inband.runtime.peer_names import matches, names_in


@pytest.mark.parametrize(
    ("name", "wanted", "fits"),
    [
        ("ctl.example", "ctl.example", True),
        ("CTL.Example.", "ctl.example", True),
        ("*.example", "ctl.example", True),
        ("*.example", "a.ctl.example", False),
        ("*.example", "example", False),
        ("*", "example", False),
        ("ctl.*", "ctl.example", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("controller id:7", "controller id:7", True),
        ("ctl.example", "ctl.example.evil", False),
    ],
)
def test_a_name_fits_as_a_whole_or_by_a_star_for_one_label(name: str, wanted: str, fits: bool) -> None:
    assert matches(name, wanted) is fits


def test_the_common_name_counts_only_without_alternative_names() -> None:
    subject: dict[str, Any] = {"subject": ((("organizationName", "o"),), (("commonName", "old.example"),))}
    both = {**subject, "subjectAltName": (("DNS", "new.example"), ("IP Address", "192.0.2.1"), ("email", "a@b"))}

    assert list(names_in(subject)) == ["old.example"]
    assert list(names_in(both)) == ["new.example", "192.0.2.1"]
    assert list(names_in({})) == []
