"""A running switch without its sockets and timers: the same in the process and in the simulator."""
