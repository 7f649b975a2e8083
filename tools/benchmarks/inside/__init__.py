"""Benchmark code that runs in the sandbox.

`callee` is in the process of the program under test; `comparer`, the examiner, is in another one.
They import the standard library, `tools/grading/inside/` and, the examiner alone, numpy.
"""
