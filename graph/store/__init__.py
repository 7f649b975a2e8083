"""The database of runs: one Protocol, implemented in SQLite and PostgreSQL; the table of runs.

Opened from a path or URL by `opening.open_store`.
"""
