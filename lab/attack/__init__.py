"""Strangers who wear a switch down: each a process that goes on until it is told to stop, and then says what it did.

They run in the switch's own namespace, as any user of its machine might, at a low priority: they play other
machines, so what they compute must not be taken from the switch. ``peers`` has what they share.
"""
