"""A GRPO script of one's own with differential smoothing: against plain TRL, the two marked lines changed.

python examples/own_trl_script.py MODEL DATASET.jsonl OUTPUT   (columns: prompt, answer)
"""

import sys

from datasets import load_dataset
from trl import GRPOConfig

from differential_smoothing.trl import DSGRPOTrainer  # 1: was `from trl import GRPOTrainer`


def exact(completions, answer, **_):
    """1 for the right answer, 0 for a wrong one: these rewards also say what is correct."""
    return [float(text.strip() == right) for text, right in zip(completions, answer)]


model, data, output = sys.argv[1:4]
args = GRPOConfig(output, max_steps=2, num_generations=4, per_device_train_batch_size=8, max_completion_length=8,
                  use_cpu=True, bf16=False, report_to="none", logging_steps=1)  # fmt: skip
rows = load_dataset("json", data_files=data, split="train")
trainer = DSGRPOTrainer(model, exact, args, rows, method="ds-grpo")  # 2: was `GRPOTrainer(model, exact, args, rows)`
trainer.train()
trainer.save_model(output)
