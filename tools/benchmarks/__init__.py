"""Benchmarks of small Python functions: HumanEval, MBPP and EvalPlus's larger sets of both."""
