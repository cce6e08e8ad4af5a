"""What docstrings, comments and pages cite of the repository is there: files, and modules with what is in them.

Looked at are words that look like a file (``docs/in-band.md``, ``bpf/layout.h``) and, between double backticks, names
with dots that begin with a package or a module beside the citing one (``agent.validate``, ``letters.LETTERS``). The
pages in docs/decisions are not looked at: they tell how it was when something was decided.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/inband"
FOLDERS = ("src", "lab", "tests", "bench", "tools", "bpf", ".ci")
PYTHON = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
OTHERS = [
    *sorted((ROOT / "bpf").glob("*.[ch]")),
    ROOT / "Makefile",
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

NOT_OURS = {
    "names.json": "the switch writes it into its run directory",
    "inband.toml": "a user's",
    "switch.toml": "a user's",
    "ip-sysctl.txt": "the kernel's",
    "openflow.h": "the specification's",
    "stdbool.h": "the compiler's",
}
"""Files that are cited and not of the repository."""

OF_THE_SYSTEM = re.compile(r"build/|(linux|include|net|asm-generic|bpf(?=/bpf_))/")
"""How headers and sources of Linux and of libbpf begin, and what make builds."""

TOP = ("inband", "lab", "tests", "bench", "tools")

LOCALS = {"flow.created", "packet.cacheable", "megaflows.settle", "inband.pid"}
"""Attributes that have the name of a package before them, and a file that the switch writes."""

FILE = re.compile(r"(?<![\w/.*-])((?:[\w.-]+/)*[\w-]+\.(?:md|py|h|c|sh|toml|txt|json))\b(?![/(])")
DOTTED = re.compile(r"``([a-z_]\w*(?:\.\w+)+)``")


def prose(text: str) -> str:
    """The docstrings and comments of a module, those of attributes among them."""
    strings = [
        node.value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join([*strings, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


@cache
def file_names() -> frozenset[str]:
    """The names of all files, without their folders."""
    paths = [path for folder in (*FOLDERS, "docs", "conformance") for path in (ROOT / folder).rglob("*")]
    return frozenset(path.name for path in (*paths, *ROOT.iterdir()))


def is_there(name: str, cited_in: Path) -> bool:
    """Whether a file is there: below the root, the package or the citing folder; a bare name anywhere."""
    if "/" not in name and name in file_names():
        return True
    return any((folder / name).exists() for folder in (ROOT, ROOT / "src", PACKAGE, cited_in.parent))


def unknown_files(text: str, cited_in: Path) -> list[str]:
    """Files that are cited and are not there."""
    ours = (name for name in FILE.findall(text) if name not in NOT_OURS and not OF_THE_SYSTEM.match(name))
    return [name for name in ours if not is_there(name, cited_in)]


def unknown_names(text: str, cited_in: Path) -> list[str]:
    """Dotted names that are cited, begin with a package or module of ours, and lead nowhere."""
    return [name for name in DOTTED.findall(text) if name not in LOCALS and not _leads_somewhere(name, cited_in)]


def _leads_somewhere(name: str, cited_in: Path) -> bool:
    first = name.partition(".")[0]
    if first in TOP:
        return _is_found(name)
    known = [base for base in _bases(cited_in) if find_spec(base + first) is not None]
    return not known or any(_is_found(base + name) for base in known)


def _bases(cited_in: Path) -> Iterator[str]:
    """What may be left out in front of a name: the package, or its folder that the citing module is in."""
    yield "inband."
    if PACKAGE in cited_in.parents and cited_in.parent != PACKAGE:
        yield ".".join(("inband", *cited_in.parent.relative_to(PACKAGE).parts)) + "."


def _is_found(name: str) -> bool:
    """Whether a module, or something in one, has this name."""
    module, _, rest = name, "", ""
    while find_module(module) is None:
        module, _, last = module.rpartition(".")
        rest = f"{last}.{rest}".rstrip(".")
    found: object = import_module(module)
    for part in rest.split(".") if rest else []:
        found = getattr(found, part, None) or getattr(found, "__annotations__", {}).get(part)
    return found is not None


def find_module(name: str) -> object:
    """What there is to import, or None."""
    try:
        return find_spec(name)
    except ModuleNotFoundError:
        return None


@pytest.mark.parametrize("path", [*PYTHON, *OTHERS], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_cited_is_there(path: Path) -> None:
    text = prose(path.read_text()) if path.suffix == ".py" else path.read_text()

    assert unknown_files(text, path) == []
    assert unknown_names(text, path) == []


@pytest.mark.parametrize(
    ("text", "files", "names"),
    [
        ("see docs/in-band.md, bpf/layout.h, layout.py and state.py", [], []),
        ("see docs/gone.md and gone.md", ["docs/gone.md", "gone.md"], []),
        ("the switch writes names.json; /etc/inband.toml; linux/if.h and bpf/gone.h", ["bpf/gone.h"], []),
        ("``agent.validate`` and ``rules.wanted`` and ``asyncio.Event``", [], []),
        (
            "``agent.gone``, ``rules.gone`` and ``inband.control.gone``",
            [],
            ["agent.gone", "rules.gone", "inband.control.gone"],
        ),
    ],
)
def test_what_is_not_there_is_found(text: str, files: list[str], names: list[str]) -> None:
    here = PACKAGE / "control/engine.py"

    assert unknown_files(text, here) == files
    assert unknown_names(text, here) == names
