"""Devices, ports, cables and channels of a show, and the paths that connections state."""
