"""The signal flow of a show as a graph: traced, checked, and asked what a cable carries.

Pure: it is built once from a show's rows, as the wire has them, and then asked. ``graph`` reads the
rows, ``checks`` holds the rules, ``answers`` are what people ask. docs/signal.md explains it.
"""
