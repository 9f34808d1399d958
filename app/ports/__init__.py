"""What a device owns, read and written as one whole list: its ports.

It may import ``app.store``, the formats of ``app.installation``, and what is below. ``app.api``
comes in.
"""
