"""Which statements of a plan are dangerous: squawk's rules and our own, in one list.

``lint`` asks both. ``rules`` names our rules and what to do instead; the modules of conditions say
when a statement breaks one.
"""
