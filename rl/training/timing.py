"""A stopwatch for training steps: seconds by part, each part without those inside it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import TrainerCallback


class Watch:
    """Seconds by name, each without those inside it that have a name of their own."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[list[Any]] = []

    def start(self, name: str) -> None:
        self._open.append([name, now(), 0.0])

    def stop(self) -> float:
        name, begun, inside = self._open.pop()
        passed = now() - begun
        self.seconds[name] = self.seconds.get(name, 0.0) + passed - inside
        if self._open:
            self._open[-1][2] += passed
        return passed

    @contextmanager
    def measuring(self, owner: Any, names: dict[str, str]) -> Iterator[None]:
        """Within the block, calls of `owner.method` count under `names[method]`."""

        def timed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                self.start(name)
                try:
                    return function(*args, **kwargs)
                finally:
                    self.stop()

            return call

        names = {method: name for method, name in names.items() if hasattr(owner, method)}
        for method, name in names.items():
            setattr(owner, method, timed(getattr(owner, method), name))
        try:
            yield
        finally:
            for method in names:
                delattr(owner, method)


def now() -> float:
    """Seconds on a clock that waits for the GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class Clock(TrainerCallback):
    """Times updates from their beginning to the end of their log, the optimizer apart."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.watch = Watch()
        self.updates: list[float] = []
        self._running = False

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        torch.manual_seed(self.seed + state.global_step)
        self._running = True
        self.watch.start("the rest")

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.watch.start("optimizer")

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.watch.stop()

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._running:  # the log at the end of training belongs to no update
            self.updates.append(self.watch.stop())
            self._running = False
