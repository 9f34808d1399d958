"""The command line, ``python -m app``: serve, load a show, and run or ask the release gate.

``release`` declares the gate's commands, ``commands`` has the work behind each command, loaded when
it is used. May import everything; ``app.__main__`` comes in.
"""
