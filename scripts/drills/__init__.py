"""The drill: an older database of five shows goes from adoption to the last contract."""
