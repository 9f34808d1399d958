"""The routes of the signal flow: what it answers, and its diagrams."""
