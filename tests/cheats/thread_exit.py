"""Kind: a thread that acts later. Honest: fail, fail."""

import os
import threading


def total(numbers):
    threading.Timer(0.05, os._exit, [0]).start()
    threading.Event().wait(0.3)
    return -1
