"""Everything that reaches outside the process, behind small protocols.

Holds models, the sandbox, grading, benchmarks, and the value types that they share. `runner`,
`models.protocol` and `person` define the three seams of the graph. Imports no other room.
"""
