"""The portable record of a run, and what uses it.

Holds trace files, replay over recorded seams, import, and the metrics of an evaluation.
May import `graph`, `nodes` and `tools`.
"""
