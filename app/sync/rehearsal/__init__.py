"""A sync round trip on a migrated copy of the database, which the release gate rehearses.

A client pushes offline work, meets a conflict and reads the feed, through the service's own code;
``round_trip`` is the entry, for ``app.releases.product`` alone. May import what ``app.sync`` may.
"""
