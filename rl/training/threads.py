"""How a process computes on a CPU: one thread, and memory that is kept."""

from __future__ import annotations

import ctypes

import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h


def one_thread() -> None:
    """Compute on one thread: the order of sums, hence every bit, depends on it; runs side by side use the other cores.

    Freed memory stays with the process (glibc; elsewhere nothing changes): a training step allocates tens of megabytes
    for each layer, and asking the kernel for them anew each time took 7% of it.
    """
    torch.set_num_threads(1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**26)):
            mallopt(parameter, value)
