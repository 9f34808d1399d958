"""The drill: takes an older database of five shows from adoption to the last contract."""
