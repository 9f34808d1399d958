"""Draws the signal flow: what is on the paper, as JSON, DOT, Mermaid and SVG. No fonts are read."""
