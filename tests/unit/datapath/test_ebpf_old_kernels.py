"""What Linux 6.1 asks of the program and later kernels do not (bpf/fastpath.bpf.c): seen without such a kernel."""

from __future__ import annotations

import re
from pathlib import Path

import inband
from tests.unit.datapath.bpf_functions import Function, call_chains, read_functions

OBJECT = Path(inband.__file__).with_name("datapath") / "ebpf" / "fastpath.bpf.o"
SOURCES = Path(__file__).resolve().parents[3] / "bpf"
# Of its verifier: MAX_BPF_STACK, the rounding in check_max_stack_depth, MAX_CALL_FRAMES.
MAX_STACK, ROUNDED_TO, MAX_CALLS = 512, 32, 8


def stack(functions: dict[str, Function], chain: list[str]) -> int:
    """As 6.1 counts it; a function without a stack counts too."""
    return sum(-(-max(functions[name].stack, 1) // ROUNDED_TO) * ROUNDED_TO for name in chain)


def test_functions_that_call_each_other_use_no_more_stack_than_there_is() -> None:
    functions = read_functions(OBJECT)
    chains = list(call_chains(functions, "fastpath"))
    deepest = max(chains, key=lambda chain: stack(functions, chain))

    assert len(chains) > 30, "calls were not found"
    assert all(functions[name].stack > 60 for name in ("fastpath", "decide", "learn_normally")), "stacks were not found"
    assert stack(functions, deepest) <= MAX_STACK, [f"{name}: {functions[name].stack}" for name in deepest]
    assert max(map(len, chains)) <= MAX_CALLS


def test_a_maps_key_is_a_variable() -> None:
    calls = [
        (path.name, map_name, key)
        for path in sorted(SOURCES.glob("*.[ch]"))
        for map_name, key in re.findall(r"bpf_map_\w+_elem\(&(\w+), ([^,)]+)", path.read_text())
    ]

    assert len(calls) > 30, "calls were not found"
    assert [call for call in calls if not re.fullmatch(r"&?\w+", call[2])] == []
