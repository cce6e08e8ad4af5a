"""Neighbours: what switches of this kind say to each other on a link, and what they do when one falls silent.

``hello`` is the message, ``link`` one port's state machine, ``changes`` what is passed on through the network,
``network_map`` what switches say of themselves to all, ``fabric`` all of a bridge. Sans-IO: ``handle(event, now)``
returns commands, ``next_deadline()`` says when TimePassed is due. docs/neighbours.md has the format and the rules.
"""
