"""Outputs to ports, as far as the ports' configuration lets them (OpenFlow 1.3.5, 4.5 and 7.2.1)."""

from __future__ import annotations

from inband.flow.actions import Output
from inband.flow.ports import PortNo
from inband.pipeline.context import XlateContext


def send(ctx: XlateContext, number: PortNo) -> None:
    """To one port."""
    port = ctx.switch.ports.get(number)
    if port is None:
        ctx.drop(f"there is no port {number}")
    elif not (port.sends_data or ctx.overrides_ports):
        ctx.drop(f"port {port.name} is configured not to forward")
    else:
        ctx.program.output(Output(number))


def flood(ctx: XlateContext, *, everywhere: bool = False) -> None:
    """To every port but the one it came from; data not to ports closed to it (``everywhere``: OFPP_ALL)."""
    sent = False
    for port in ctx.switch.ports:
        may_send = port.sends_data if everywhere else port.floods_data
        if port.number != ctx.in_port and (may_send or ctx.overrides_ports):
            ctx.program.output(Output(port.number))
            sent = True
    if not sent:
        ctx.drop("no other port takes it")
