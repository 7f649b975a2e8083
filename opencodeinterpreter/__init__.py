"""OpenCodeInterpreter: generate, execute, critique, judge, refine."""
