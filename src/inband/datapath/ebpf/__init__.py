"""The eBPF datapath: known flows never leave the kernel. ``datapath.EbpfDatapath`` is its front door."""
