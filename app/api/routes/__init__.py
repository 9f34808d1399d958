"""The endpoints, one module per behaviour; each offers a router or a function that makes one.

An endpoint validates, calls one function of a room below, and makes the response.
Routes import nothing of each other but answer models. Only ``app.main`` and middleware come in.
"""
