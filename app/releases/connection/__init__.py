"""Connections for whoever asks a database a few things, and what a failing server means.

``open_connection`` opens one outside any pool. ``server_faults`` tells errors of the server, the
network or the disk from errors of a revision. Imports only ``verdict``.
"""
