"""The gate itself: it runs the stages of an order in turn, to one verdict.

``gate`` runs them, ``stages`` has one module for each, ``run`` what they are given and return.
May import the rest of ``app.releases`` but the status; the command line comes in.
"""
