"""Equipment: what devices there are to choose from, and which ports their makers give them.

``catalogue`` holds a readable file for each category; ``device_catalogue`` reads and checks them.
May import ``rules``. Nothing comes in yet but the tests, which hold every entry to the checks.
"""
