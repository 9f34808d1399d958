"""Offline work: a batch of mutations is applied once, and answered with what others did.

The route calls ``batch``. ``mutations`` reads the request, ``apply`` applies each mutation through
``app.store``, ``runs`` records the results. ``rehearsal`` plays a client for the release gate.
"""
