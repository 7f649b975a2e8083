"""Teach tiny models from scratch to use feedback, and print what they have learned.

    python -m learn {small,full} [--out FOLDER] [--seeds 0 1]

Stage 1 learns single instructions. Stage 2 learns dialogues: the pupil drafts in runs of the graph,
its programs run in the sandbox, feedback is given, a teacher repairs. After each stage the pupil
is measured on tasks that it has not seen. Every stage is kept in the folder, and a second start
goes on with what is missing.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from learn.lesson import learn
from learn.recipe import RECIPES
from learn.table import table


def main() -> int:
    """Teach one pupil for each seed, side by side; print their table."""
    parser = argparse.ArgumentParser(prog="python -m learn")
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--out", type=Path, default=Path("learned"), help="where all is kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="a pupil for each")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # Two pupils on a core each beat one on two.
    folders = [asked.out / asked.recipe / f"{seed}" for seed in asked.seeds]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        lessons = list(pool.map(learn, [asked.recipe] * len(folders), asked.seeds, folders))
    print(table(dict(zip(asked.seeds, lessons, strict=True))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
