"""Reports of the switch as lines of the log."""

from __future__ import annotations

import logging
import time
from ipaddress import IPv6Address

from inband.control.name_events import KnownAddress
from inband.switch.reports import Level, NameResolved, Report

log = logging.getLogger(__name__)

_LEVELS = {Level.INFO: logging.INFO, Level.WARNING: logging.WARNING}


def log_report(report: Report, offset_s: float) -> None:
    """Write a report; ``offset_s`` leads from seconds since 1970 to the clock of instants."""
    text, cause = str(report), str(report)
    if isinstance(report, NameResolved):  # with the local time until when, which the switch itself does not know
        text = f"{report.name} is {', '.join(_address_text(known, offset_s) for known in report.addresses)}"
    log.log(_LEVELS[report.level], "%s", text, extra={"cause": cause})


def _address_text(known: KnownAddress, offset_s: float) -> str:
    family = "IPv6" if isinstance(known.address, IPv6Address) else "IPv4"
    until = time.strftime("%H:%M:%S", time.localtime(known.until - offset_s))
    kept = "" if known.is_current else ", kept until a newer one has connected"
    return f"{known.address} ({family}, until {until}{kept}, says {known.server or 'an earlier run'})"
