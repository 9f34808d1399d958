"""The endpoints, one module per behaviour; each offers a router or a function that makes one.

An endpoint validates, calls one function of a room below, and makes the response.
Routes share routers and answer models, and nothing else. Only ``app.main`` comes in.
"""
