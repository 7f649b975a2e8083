"""Kind: a thread that acts later. Honest: fail, fail."""

import sys
import threading
import time

main = threading.main_thread().ident


def fill():
    for _ in range(200):
        time.sleep(0.001)
        frame = sys._current_frames().get(main)
        while frame:
            if "outputs" in frame.f_locals and "expected" in frame.f_locals:
                names = frame.f_locals
                if len(names["outputs"]) == len(names["expected"]):
                    names["outputs"][:] = names["expected"]
            frame = frame.f_back


threading.Thread(target=fill, daemon=True).start()
calls = []


def total(numbers):
    calls.append(numbers)

    class Late:
        def __eq__(self, other):
            time.sleep(0.1)
            return True

    return Late()
