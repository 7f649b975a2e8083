"""Runs in the formats of other tools. What a format has no place for is left out, or in `extra`."""
