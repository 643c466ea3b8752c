"""A GRPO script of one's own with differential smoothing: against plain TRL, the three marked lines changed.

python examples/own_trl_script.py MODEL DATASET.jsonl OUTPUT   (columns: prompt, answer)
"""

import sys

from datasets import load_dataset

from differential_smoothing.trl import DSGRPOConfig, DSGRPOTrainer  # 1: was `from trl import GRPOConfig, GRPOTrainer`


def exact(completions, answer, **_):
    """1 for the right answer, 0 for a wrong one: these rewards also say what is correct."""
    return [float(text.strip() == right) for text, right in zip(completions, answer)]


model, data, output = sys.argv[1:4]
settings = {"max_steps": 2, "num_generations": 4, "per_device_train_batch_size": 8, "max_completion_length": 8}
settings |= {"use_cpu": True, "bf16": False, "report_to": "none", "logging_steps": 1}
args = DSGRPOConfig(output, gamma_p=0.05, gamma_n=0.01, **settings)  # 2: was `args = GRPOConfig(output, **settings)`
rows = load_dataset("json", data_files=data, split="train")
trainer = DSGRPOTrainer(model, exact, args, rows)  # 3: was `trainer = GRPOTrainer(model, exact, args, rows)`
trainer.train()
trainer.save_model(output)
