"""The database of runs: one Protocol, in SQLite or PostgreSQL, and the table of runs in it.

Opened from a path or URL by `opening.open_store`.
"""
