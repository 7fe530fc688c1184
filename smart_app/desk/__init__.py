"""The desk: what a biller reads and does, one page a module."""
