"""The HTTP routes, one module per behaviour."""
