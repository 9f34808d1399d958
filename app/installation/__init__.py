"""What belongs to the whole installation and to no show: equipment, formats, settings and lists.

Everybody sees the same; there is no change log of it. It may import ``app.equipment`` (the
catalogue that ships), ``app.sql`` and below. ``app.api`` and the gate come in.
"""
