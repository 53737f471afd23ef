"""When Python looks for objects that refer to each other in a circle: seldom while all goes well, and at once after trouble.

What never refers to itself is freed without a look. Errors are what makes circles: their tracebacks name frames, and frames hold
whole batches.
"""

import gc
import time

# By its own thresholds Python looks through every batch several times, and through all that is cached after every few batches.
# Batches in hand are 200,000 objects.
GC_THRESHOLDS = (300_000, 10, 10)
# A look through everything takes some 100 ms.
COLLECTED_AT_MOST_EVERY_S = 5.0

_collected_at = float("-inf")


def freeze_garbage() -> None:
    """At start of a process: never look again through what was imported, and seldom through the rest."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def collect_garbage() -> None:
    """After a batch that failed or a rebalance: free what circles hold, at most every few seconds."""
    global _collected_at
    now = time.monotonic()
    if now - _collected_at >= COLLECTED_AT_MOST_EVERY_S:
        _collected_at = now
        gc.collect()
