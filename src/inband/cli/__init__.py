"""The command line: thin commands over the control socket, and ``inband run``."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the process's command line; the entry point of the ``inband`` script.

    Ctrl-C while Python still imports modules should end the command without a traceback.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from inband.cli.main import main as run

    return run(sys.argv[1:])
