"""The legs of paths: cables from port to port, which a write looks up and holds to the rules."""
