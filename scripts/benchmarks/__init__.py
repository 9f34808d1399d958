"""Measures Signalbook beside other ways to serve the same rows from the same PostgreSQL.

A server to compare with is one entry in ``contenders``, a kind of request is one in
``workloads.WORKLOADS``.
"""
