"""Offline work: a batch of mutations is applied once, and answered with what others did.

The route calls ``batch``. ``mutations`` reads the request, ``applier`` applies each through
``app.store``, ``records`` records the results. ``rehearsal`` plays a client for the release gate.
"""
