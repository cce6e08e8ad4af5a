"""Where the demo runs, and what it says when that is nowhere but in the simulator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from inband.demo.ways import ROOT, USER, Way, choose, probe, ways_of


def test_root_tries_its_own_namespaces_first_and_others_have_one_way() -> None:
    assert ways_of(0) == (ROOT, USER)
    assert ways_of(1000) == (USER,)


def test_the_first_way_that_works_is_taken() -> None:
    refused = {ROOT.name: "no", USER.name: ""}

    assert choose([ROOT, USER], lambda way: refused[way.name]) is USER
    assert choose([ROOT, USER], lambda way: "") is ROOT


def test_a_way_that_works_is_the_last_to_be_tried() -> None:
    tried: list[Way] = []

    def note(way: Way) -> str:
        tried.append(way)
        return ""

    choose([ROOT, USER], note)

    assert tried == [ROOT]


def test_where_none_works_the_reason_is_what_was_wrong_with_the_first() -> None:
    assert choose([ROOT, USER], lambda way: f"{way.name} is refused") == "root is refused"
    assert choose([USER], lambda way: f"{way.name} is refused") == "user is refused"


def _program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # What unshare says in a chroot, and where user namespaces are switched off.
        (
            "echo unshare: cannot change root filesystem propagation: Invalid argument >&2; exit 1",
            "unshare: cannot change root filesystem propagation: Invalid argument",
        ),
        ("echo unshare: unshare failed: No space left on device >&2; exit 1", "No space left on device"),
        ("echo PermissionError: the end of a traceback >&2; exit 1", "the end of a traceback"),
        ("exit 1", "refused"),
    ],
)
def test_the_reason_is_in_the_words_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    _program(tmp_path, "unshare", text)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert probe(ROOT).endswith(reason)


def test_without_unshare_the_reason_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert probe(ROOT) == "unshare is missing: install util-linux"


def test_without_ip_the_reason_is_that_and_not_what_comes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No namespace is made here: what stands in for `unshare` runs its command without."""
    _program(tmp_path, "unshare", 'while [ "${1#--}" != "$1" ] || [ "$1" = slave ]; do shift; done; exec "$@"')
    (tmp_path / "sh").symlink_to("/bin/sh")
    _program(tmp_path, "mount", "exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert re.search(r"\bip: .*not found", probe(ROOT))
