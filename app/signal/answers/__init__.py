"""What people ask of the graph: trace, why, impact, what is free, and how to patch."""
