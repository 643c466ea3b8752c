"""`python -m rl.sample MODEL "Make 35 from 3, 7, 8."`: what a model answers, and how often.

MODEL is a run's folder or a checkpoint. The question is put as in training, where the model's manifest says how; and if
it is a problem of the model's task, each answer is graded.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Question:
    id: str
    prompt: str


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 2 for a wrong request, with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m rl.sample", description="Answers of a model, with their shares.")
    parser.add_argument("model", type=Path, help="a run's folder, or a checkpoint")
    parser.add_argument("question")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    # after the arguments: `--help` answers without torch
    import transformers

    from rl.training.threads import one_thread

    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    one_thread()
    try:
        for line in answers(options):
            print(line)
    except (ValueError, OSError) as error:
        print(f"rl.sample: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    return 0


def answers(options: argparse.Namespace) -> list[str]:
    """One line for each distinct answer, the most frequent first: its share, whether it is correct, its text."""
    from rl.evaluation.run import model_folder
    from rl.evaluation.sampled import Sampling, complete
    from rl.models.pretrained import load_tokenizer, render_prompts

    folder = model_folder(options.model)
    how = Sampling(options.samples, options.temperature, 1.0, 0, options.max_tokens, options.seed)
    config = _config(folder)
    asked = render_prompts([Question("", options.question)], _base(config, folder), load_tokenizer(folder))
    if not asked:
        raise ValueError("the question holds one of the tokenizer's special tokens")
    [drawn] = complete(folder, [asked[0].prompt], how)
    grade = _grader(config, options.question)
    counts = Counter(one.text for one in drawn)
    return [f"{count / how.n:6.1%}  {grade(text)}{text}" for text, count in counts.most_common()]


def _config(folder: Path) -> dict[str, Any]:
    """The settings in the manifest of the model or of the run that it is the result of; empty where there is none."""
    from rl.experiments.runs import read_json

    found = (read_json(place / "manifest.json").get("config") for place in (folder, folder.parent))
    return next((config for config in found if isinstance(config, dict)), {})


def _base(config: dict[str, Any], folder: Path) -> object:
    """How prompts are put: as the manifest says; else by the chat template, if the tokenizer has one."""
    from rl.experiments.model_config import CheckpointConfig
    from rl.experiments.yaml_loader import build
    from rl.models.pretrained import load_tokenizer

    base = config.get("base", {})
    if "chat_template" in base:
        return build(CheckpointConfig, base, "base.checkpoint")
    template = bool(load_tokenizer(folder).chat_template)
    return CheckpointConfig(folder.name, "main", "float32", chat_template=template, lora=None) if template else None


def _grader(config: dict[str, Any], question: str) -> Any:
    """text → a mark for correct or not, where the question is a problem of the task; else nothing."""
    from rl import tasks
    from rl.experiments.yaml_loader import build

    settings = config.get("task", {})
    if settings.get("name") not in tasks.TASKS:
        return lambda text: ""
    task = tasks.get(settings["name"])
    splits = task.splits(build(task.config, settings, "task"))
    problem = next((one for part in splits.values() for one in part if one.prompt == question), None)
    if problem is None:
        return lambda text: ""
    return lambda text: "✓  " if task.verify(problem, text).correct else "✗  "


if __name__ == "__main__":
    sys.exit(main())
