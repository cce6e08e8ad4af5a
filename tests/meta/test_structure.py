"""Imports run one way, as the table in ARCHITECTURE.md says, and functions and files stay of a size to be read."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tools.structure import arrows_of, backward, imports_of, packages_of, table_of

ROOT = Path(__file__).parents[2]
TABLE = table_of(ROOT)
ARROWS = arrows_of(ROOT)
EVERYWHERE = "vocabulary"
"""Every package may import it, so rows do not name it."""

# Imports ------------------------------------------------------------------------------------------------------------


def test_every_package_has_a_row() -> None:
    assert sorted(TABLE) == packages_of(ROOT), "ARCHITECTURE.md: the table of folders, lowest first"


@pytest.mark.parametrize("package", TABLE)
def test_a_package_imports_what_its_row_says_and_only_from_rows_above(package: str) -> None:
    imported = {other for own, other in ARROWS if own == package} - {EVERYWHERE}

    assert ", ".join(name for name in TABLE if name in imported) == ", ".join(TABLE[package]), (
        f"src/inband/{package} imports this (left), its row in ARCHITECTURE.md says that (right): "
        "is the new import right? Then the row is to say so"
    )
    assert backward(Counter(own for own in ARROWS if own[0] == package), list(TABLE)) == []


def test_errors_and_the_vocabulary_import_nothing_else_of_the_switch() -> None:
    assert list(imports_of((ROOT / "src/inband/errors.py").read_text())) == []
    assert [other for own, other in ARROWS if own == EVERYWHERE] == []


@pytest.mark.parametrize(
    ("folder", "others"), [("src", ("lab", "tests", "bench")), ("lab", ("tests", "bench")), ("bench", ("tests",))]
)
def test_what_is_beside_the_switch_is_imported_one_way_too(folder: str, others: tuple[str, ...]) -> None:
    found = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for other in others
        for module in imports_of(path.read_text(), other)
    ]

    assert found == []


def test_tests_do_not_import_the_benchmarks() -> None:
    assert [path.name for path in (ROOT / "tests").rglob("*.py") if any(imports_of(path.read_text(), "bench"))] == []


def test_an_import_counts_in_every_form_and_place(tmp_path: Path) -> None:
    source = tmp_path / "src/inband"
    for package in ("low", "high"):
        (source / package).mkdir(parents=True)
        (source / package / "__init__.py").touch()
    (source / "high/a.py").write_text("from inband.low import b\nimport inband.low.b\nfrom inband import low, errors\n")
    (source / "low/b.py").write_text("import os\ndef f():\n    from inband.high.a import x\n")

    arrows = arrows_of(tmp_path)

    assert packages_of(tmp_path) == ["high", "low"]
    assert arrows == {("high", "low"): 3, ("low", "high"): 1}
    assert backward(arrows, ["low", "high"]) == [("low", "high")]
    assert backward(arrows, ["high", "low"]) == [("high", "low")]


# Sizes --------------------------------------------------------------------------------------------------------------

MAX_FUNCTION = 40
MAX_FILE = 500
FOLDERS = ("src", "lab", "tests", "bench", "tools")

LARGE: dict[str, tuple[int, str]] = {
    "src/inband/control/names.py": (550, "questions, answers and what they are good for are one state of one name"),
    "src/inband/datapath/userspace.py": (540, "one loop over frames, and what it looks at"),
    "src/inband/datapath/userspace.py:_drain": (42, "runs for every frame, and calls cost more than lines"),
    "src/inband/flow/text_actions.py:format_action": (42, "one case for each action"),
    "src/inband/openflow/match10.py:encode_match10": (42, "one line for each field of a struct, in its order"),
    "tests/packets/rows.py:_actions": (92, "a table of rows"),
    "tests/packets/rows.py:_plain": (41, "a table of rows"),
    "tests/system/test_ebpf_datapath.py": (600, "one rig, and tests that need a kernel, one after the other"),
    "tests/unit/cli/test_render.py:bridge": (62, "one document with every key of show"),
    "tests/unit/cli/test_render.py:test_names_are_shown_with_their_addresses_until_when_and_who_said_so": (
        52,
        "the document of four names and the text for each",
    ),
    "tests/unit/control/test_names.py": (600, "tests of names.py"),
    "tests/unit/switch/test_connections.py": (
        535,
        "one fake owner, and a test for each thing that a connection may do",
    ),
    "tests/unit/pipeline/test_tables.py": (600, "one scene, and a test for each action and instruction"),
}
"""Functions (file:name) and files that may be larger, by how many lines, and why."""


def sizes() -> dict[str, int]:
    """Lines of every file, and of every function."""
    found: dict[str, int] = {}
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))):
        name, text = str(path.relative_to(ROOT)), path.read_text()
        found[name] = len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                place = f"{name}:{node.name}"
                found[place] = max(found.get(place, 0), node.end_lineno - node.lineno + 1)
    return found


SIZES = sizes()


def limit(place: str) -> int:
    """How many lines anything may have."""
    return MAX_FUNCTION if ":" in place else MAX_FILE


def test_functions_and_files_are_of_a_size_to_be_read() -> None:
    assert len(SIZES) > 1000
    large = [
        f"{place}: {lines} lines: cut it, or name it in LARGE with a reason"
        for place, lines in SIZES.items()
        if lines > (LARGE[place][0] if place in LARGE else limit(place))
    ]

    assert large == []


@pytest.mark.parametrize("place", LARGE)
def test_what_is_said_to_be_large_still_is(place: str) -> None:
    assert SIZES[place] > limit(place), "it became smaller: take it out of LARGE"


def test_files_in_c_are_of_a_size_to_be_read() -> None:
    sizes_ = {path.name: len(re.findall("\n", path.read_text())) for path in (ROOT / "bpf").glob("*.[ch]")}

    assert {name: lines for name, lines in sizes_.items() if lines > MAX_FILE} == {}
