"""Fuzz by coverage: ``python -m tests.fuzz [NAME]... [--seconds N]``, all targets one after the other without a name.

    --fresh            begin with the inputs that Git keeps, not with what was found here before
    --replay FILE...   run these inputs once, without a fuzzer: how a crash is looked at
    --minimise         put into the corpus what was found here, as few inputs as reach the same
    --seed             make the seeds the corpus; what was found is kept where it was

A crash ends the target with exit code 1; its input is named, and how to run it again. Without atheris (it has wheels
for x86_64 and Python 3.11 to 3.13) there is no fuzzing; kept inputs run all the same.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.fuzzing import CORPUS, NAMES, REGRESSIONS, WORK, Target, empty_folder, load

# What libFuzzer calls a hang, and what it calls too much memory: far above what a machine under load needs.
TIMEOUT_S, MEMORY_MB = 20, 1000
# Whose branches guide the fuzzer: ours, of libraries those that read what strangers send, and choices for a shell.
GUIDES = ("inband", "dns", "tomllib", "tests.fuzz.target_lease_script")


def main() -> int:
    """Do what the command line says; 1 when a defect was found."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", metavar="NAME", help=f"targets: {', '.join(NAMES)}")
    options.add_argument("--seconds", type=int, default=60, help="for each target")
    options.add_argument("--fresh", action="store_true", help="begin with the inputs that Git keeps alone")
    options.add_argument("--replay", nargs="+", type=Path, help="run these inputs once")
    options.add_argument("--minimise", action="store_true", help="renew the corpus from what was found")
    options.add_argument("--seed", action="store_true", help="put the seeds into the corpus")
    options.add_argument("--libfuzzer", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    given = options.parse_args()
    names = given.names or NAMES
    if unknown := set(names) - set(NAMES):
        options.error(f"there is no target {', '.join(unknown)}: there are {', '.join(NAMES)}")
    logging.disable(logging.CRITICAL)  # what the switch says of rubbish
    if given.libfuzzer is not None:
        _run_libfuzzer(names[0], given.libfuzzer)
    if given.replay:
        return _replay(names[0], given.replay)
    if given.seed:
        return sum(_write_seeds(name, load(name)) for name in names)
    if given.minimise:
        return max(map(_minimise, names))
    return max(_fuzz(name, given.seconds, fresh=given.fresh) for name in names)


def _replay(name: str, inputs: list[Path]) -> int:
    target = load(name)
    for path in inputs:
        target.check(path.read_bytes())
    print(f"{name}: {len(inputs)} inputs, nothing raised")
    return 0


def _write_seeds(name: str, target: Target) -> int:
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (folder / _name_of(data)).write_bytes(data)
    return 0


def _name_of(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()[:12]


def _fuzz(name: str, seconds: int, *, fresh: bool) -> int:
    """Fuzz in a process of its own: libFuzzer ends the one it is in."""
    new, found = WORK / name / ("fresh" if fresh else "corpus"), WORK / name / "found"
    if fresh:
        shutil.rmtree(new, ignore_errors=True)
    for folder in (new, found):
        folder.mkdir(parents=True, exist_ok=True)
    old = [str(folder / name) for folder in (CORPUS, REGRESSIONS) if (folder / name).is_dir()]
    limits = [f"-max_total_time={seconds}", f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MB}"]
    began = time.time()
    code = _start(name, [*limits, f"-artifact_prefix={found}/", "-print_final_stats=1", str(new), *old])
    crashes = [path for path in found.iterdir() if path.stat().st_mtime >= began]
    for path in crashes:
        print(f"{name}: run it again with `python -m tests.fuzz {name} --replay {path}`, then keep it under a name in")
        print(f"    {REGRESSIONS / name}")
    if code and not crashes:
        print(f"{name}: the fuzzer itself ended with {code}: its words are above")
    return 1 if code else 0


def _minimise(name: str) -> int:
    """Let libFuzzer choose: of what reaches something new the smallest."""
    new, corpus = WORK / name / "corpus", CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    with empty_folder(WORK / name / "minimised") as chosen:
        # Without counters: how often a branch was taken would need some hundred inputs more.
        flags = ["-set_cover_merge=1", "-use_counters=0", f"-timeout={TIMEOUT_S}"]
        if _start(name, [*flags, str(chosen), str(corpus), str(new)]):
            return 1
        for path in corpus.iterdir():
            path.unlink()
        for path in chosen.iterdir():
            data = path.read_bytes()
            (corpus / _name_of(data)).write_bytes(data)
    sizes = [path.stat().st_size for path in corpus.iterdir()]
    print(f"{name}: {len(sizes)} inputs, {sum(sizes)} bytes")
    return 0


def _command(name: str) -> list[str]:
    return [sys.executable, "-m", "tests.fuzz", name, "--libfuzzer"]


def _start(name: str, arguments: list[str]) -> int:
    return subprocess.run([*_command(name), *arguments], check=False).returncode


def _run_libfuzzer(name: str, arguments: list[str]) -> None:
    """Never returns. To merge, libFuzzer starts itself anew, by a shell: as its first argument is spelled."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: there are no wheels of it for this machine; kept inputs run without it")
    with atheris.instrument_imports(include=list(GUIDES)):
        target = load(name)
    flags = [f"-max_len={target.max_bytes}", f"-dict={_write_words(name, target)}"]
    atheris.Setup([" ".join(_command(name)), *flags, *arguments], target.check)
    atheris.Fuzz()


def _write_words(name: str, target: Target) -> Path:
    """A dictionary as libFuzzer reads it."""
    path = WORK / name / "words"
    path.parent.mkdir(parents=True, exist_ok=True)
    spelled = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    path.write_text("".join(f'"{word}"\n' for word in spelled))
    return path


if __name__ == "__main__":
    sys.exit(main())
