"""Train the tabular world on rollouts handed in; under torchrun each process takes its part of every batch.

Not a test: `test_trainer.py` runs it with one process and with two, and compares.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
from datasets import Dataset

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))  # its processes are not started by pytest
from bridge import World

from differential_smoothing import methods
from rl.training import distributed

# Three groups of four in twelve rows: with two processes the middle group straddles them, and only the second process
# sees a completion of four tokens, so the two pad to different lengths.
BATCHES = [
    [0, 0, 3, 4, 1, 3, 0, 0, 2, 2, 3, 4],
    [3, 1, 1, 3, 4, 4, 2, 0, 0, 2, 1, 4],
    [4, 0, 0, 3, 1, 0, 2, 3, 3, 3, 2, 3],
]
CASES = {
    "grpo": (methods.get("grpo"), "dapo", 1),
    "grpo-dr": (methods.get("grpo"), "dr_grpo", 1),
    "ds-dr": (methods.get("ds-grpo", gamma_p=0.3, gamma_n=0.2), "dr_grpo", 1),
    "ds": (methods.get("ds-grpo", gamma_p=0.3, gamma_n=0.2), "dapo", 1),
    "centered": (methods.get("ds-grpo-centered", gamma_p=0.3, gamma_n=0.2), "dr_grpo", 1),
    "reward": (methods.get("ds-grpo", gamma_p=0.3, gamma_n=0.2, apply_to="reward"), "dapo", 1),
    "centered-token": (methods.get("ds-grpo-centered", gamma_p=0.3, logprob_aggregation="token"), "dapo", 1),
    "maxrl": (methods.get("ds-grpo", gamma_p=0.3, base="maxrl"), "dapo", 1),
    "mixed-groups": (methods.get("ds-grpo", gamma_p=0.3, zero_variance_groups="zero"), "dr_grpo", 1),
    "logprob": (methods.get("logprob-bonus", gamma=0.3), "dapo", 1),
    "darling": (methods.get("darling"), "dapo", 1),
    "centered-two-iterations": (methods.get("ds-grpo-centered", gamma_p=0.3, gamma_n=0.2), "dapo", 2),
}


def train_all(folder: Path, processes: int) -> dict[str, dict[str, list[float]]]:
    """Final logits, and the logged numbers of all updates, for every case."""
    world = World()
    found = {}
    for name, (method, loss, iterations) in CASES.items():
        args = world.settings(
            folder / name,
            per_device_train_batch_size=len(BATCHES[0]) // processes,
            num_iterations=iterations,
            max_steps=len(BATCHES) * iterations,
            loss_type=loss,
            learning_rate=1.0,
            logging_strategy="steps",
            logging_steps=1,
        )
        trainer = world.trainer(args, rollout_func=world.handed_in(BATCHES), method=method)
        trainer.train()
        rows = trainer.state.log_history
        found[name] = {
            "theta": np.asarray(trainer.accelerator.unwrap_model(trainer.model).theta.detach()).tolist(),
            **{
                key: [row[key] for row in rows if key in row]
                for key in ("ds_share", "ds_length_corr", "distinct_correct", "pass@1", "pass@2", "pass@4")
            },
        }
    args = world.settings(folder / "evaluation", max_steps=1, per_device_eval_batch_size=len(BATCHES[0]) // processes)
    prompts = Dataset.from_dict({"prompt": ["<bos>"] * 3})
    rollouts = world.handed_in(BATCHES)
    logged = world.trainer(args, rollout_func=rollouts, eval_dataset=prompts, method="ds-grpo").evaluate()
    names = ("eval_pass@1", "eval_pass@2", "eval_pass@4", "eval_distinct_correct")
    found["evaluation"] = {name: [logged[name]] for name in names}
    return found


if __name__ == "__main__":
    out = Path(sys.argv[1])
    result = train_all(out, int(os.environ["WORLD_SIZE"]))
    if os.environ["RANK"] == "0":
        (out / "two.json").write_text(json.dumps(result))
    distributed.part()
