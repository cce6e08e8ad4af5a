"""Where the classes for Mininet are: a file that Mininet reads (`mn --custom $(inband mininet)`) and scripts import.

Mininet runs with the system's Python, which this package need not be installed for: so the file is complete by itself,
and talks to the switch by its command, its control socket and its management socket.
"""

from __future__ import annotations

from pathlib import Path

CUSTOM_FILE = Path(__file__).with_name("inband_mininet.py")
