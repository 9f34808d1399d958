"""A release tried on a copy of the live database before anything is changed there.

``rehearsal`` is the order of events and ``checks`` what is checked. ``copies`` makes the copy with
PostgreSQL's own programs, which reach the server through ``tool_socket``.
"""
