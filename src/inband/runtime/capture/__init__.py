"""``inband capture``: packets of a bridge's ports, both directions, with what the switch decided about each.

All of it but ``decisions`` runs in the command's own process: the switch does not touch a packet for it, and answers
questions about decisions at a bounded rate. So nothing is slower without a capture, and what a capture cannot
follow is lost to the capture alone.
"""
