"""What to go back to when a change is not confirmed, in the state directory: a crash or a reboot undoes it too.

A reload that was undone is remembered after that as well: the file still says what cut its operator off, so a start
does not follow it until it is changed.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path

from inband.errors import UsageError
from inband.runtime.config_document import config_of, document_of
from inband.runtime.state_dir import StateDir
from inband.switch.config import SwitchConfig

log = logging.getLogger(__name__)

UNDO = "undo.json"


class Undo:
    """The file. Its methods block on the disk."""

    def __init__(self, state_dir: StateDir) -> None:
        self._state_dir = state_dir

    def keep(self, before: SwitchConfig, words: str, *, is_reload: bool) -> None:
        """A change is about to be made, and ``before`` is what to go back to."""
        digest = _digest(before.options.config_file) if is_reload else self._not_followed()
        self._state_dir.write(UNDO, {"change": words, "file": digest, "config": document_of(before)})

    def forget(self, *, follow_file: bool) -> None:
        """The change stays or was undone. A file that was undone is not to be followed unless ``follow_file``."""
        if follow_file or self._not_followed() is None:
            self._state_dir.remove(UNDO)

    def _not_followed(self) -> object:
        """The digest of a file that was read and undone, None when there is none."""
        document = self._state_dir.read(UNDO)
        return None if document is None else document.get("file")

    def config_to_start(self, config: SwitchConfig) -> SwitchConfig:
        """What a switch that is told to run ``config`` shall run: that, unless it was made but not confirmed."""
        document = self._state_dir.read(UNDO)
        if document is None:
            return config
        words, digest = document.get("change"), document.get("file")
        if digest is None:
            log.warning("`%s` was not confirmed before the switch ended: it is undone", words)
        elif digest == _digest(config.options.config_file):
            try:
                inner = document.get("config")
                before = config_of(inner if isinstance(inner, dict) else {})
            except UsageError as error:
                log.error("what was before `%s`, which was not confirmed, cannot be read: %s", words, error)
            else:
                text = (
                    "%s was not confirmed when it was read last: it is not followed until it is changed or read again"
                )
                log.warning(text, config.options.config_file)
                return replace(before, options=config.options, run_dir=config.run_dir, state_dir=config.state_dir)
        self._state_dir.remove(UNDO)
        return config


def _digest(path: Path | None) -> str | None:
    try:
        return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
