"""The rules of signal flow, with their numbers and where these come from."""
