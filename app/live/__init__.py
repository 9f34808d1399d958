"""Live push: what was written reaches those who watch, in every process, in order and once."""
