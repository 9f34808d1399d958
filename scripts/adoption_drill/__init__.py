"""The adoption drill: a large older database carried to head while everybody writes."""
