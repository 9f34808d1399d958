"""The adoption drill: carries a large older database to head while both services write."""
