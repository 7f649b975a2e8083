"""Grading's code that runs in the sandbox: the candidate's side and the examiner's.

It imports the standard library, pytest (the examiner alone) and itself.
"""
