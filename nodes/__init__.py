"""The roles of the loop, one file per role, and their prompts.

Also holds what the roles share: the record of a run, the graph's channels, settings and limits.
May import `tools` alone.
"""
