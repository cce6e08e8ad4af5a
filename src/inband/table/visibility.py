"""What hidden means: the one place that tells in-band control's flows from everybody else's.

A hidden flow is never in statistics, never matched by a controller's command, never evicted, never expired and outside
every limit (in-band.md, "What hidden means"). Whether a flow is hidden is decided by the type of its priority alone.

Two kinds of flow are hidden. Those of in-band control have a one-letter origin and carry the control channel: they
also override what a controller says of ports. The flow that makes the bridge a learning switch in fail mode standalone
is hidden too, but its packets are data, and port configuration holds for them.
"""

from __future__ import annotations

from inband.flow.flow import Flow

DNS_LETTERS = ("m", "n")
"""Rules that decide only for packets whose payload ``pipeline.dns_hook`` lets pass."""


def is_visible(flow: Flow) -> bool:
    """Whether a controller can see, count, change and delete this flow."""
    return not flow.is_hidden


def overrides_port_config(flow: Flow) -> bool:
    """Whether packets of this flow pass ports that the controller has closed: in-band control's flows only."""
    return flow.is_hidden and flow.origin is not None and len(flow.origin.letter) == 1


def depends_on_payload(flow: Flow) -> bool:
    """Whether a flow's match does not say all: it is one of DNS_LETTERS of in-band control."""
    return flow.is_hidden and flow.origin is not None and flow.origin.letter in DNS_LETTERS
