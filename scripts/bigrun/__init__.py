"""The big run: an older database of a million rows carried to head while everybody writes."""
