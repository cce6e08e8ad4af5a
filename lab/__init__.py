"""The laboratory: real networks in network namespaces, for the system tests and for the benchmarks.

Everything here treats a switch as a black box: a process, its sockets, and what arrives at the other end of its wires.
So every scenario runs on any switch with the interface of :mod:`lab.switch`, ours or its peer, and the
figures compare like with like. Nothing is shared between two laboratories: names are random, files are in a
directory of its own, neighbour caches are cold because the namespaces are new.
"""
