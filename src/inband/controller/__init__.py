"""A small OpenFlow controller without I/O: it misbehaves as it is told, and measures. For simulator and demo."""
