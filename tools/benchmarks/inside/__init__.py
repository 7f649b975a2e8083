"""Benchmark code that runs in the sandbox, in the process of the program under test.

It imports the standard library and `tools/grading/inside/` alone.
"""
