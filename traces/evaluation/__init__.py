"""The evaluation of the loop on a benchmark: its folder, scoring, results, audit and report."""
