"""The processes of one run: what one of them decides, all know; where there is only one, nothing happens here."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from accelerate.utils import broadcast_object_list

T = TypeVar("T")


def processes() -> int:
    """How many processes this run has, as their launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def part() -> None:
    """Wait for one another, then close what connects the processes: one that just ends can take the others down."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def decided(main: bool, decide: Callable[[], T]) -> T:
    """What `decide` returns in the main process, in every process; likewise the error, if it raises one."""
    outcome: list[Any] = [None, None]
    if main:
        try:
            outcome[0] = decide()
        except (ValueError, OSError, RuntimeError) as error:
            outcome[1] = error
    broadcast_object_list(outcome)
    if outcome[1] is not None:
        raise outcome[1]
    return outcome[0]
