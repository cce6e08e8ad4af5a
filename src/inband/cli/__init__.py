"""The ``inband`` command: thin verbs over the control socket, and ``inband run``."""
