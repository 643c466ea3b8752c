"""TRL's GRPOTrainer with a method of `rl.methods` applied to its advantages.

In a TRL script two lines change: the import, and `DSGRPOTrainer(..., method="ds-grpo")` for `GRPOTrainer(...)`.

Where the term is applied. With the log-probs of the old policy at hand (several iterations per batch, vLLM's
importance sampling), once per generation batch, before TRL buffers it. On-policy TRL computes no such log-probs; then a
row that needs no other row gets its term inside the loss, from the log-probs computed there anyway: TRL reads the
advantages after them. Methods that look at entropies always get them there, at every update. Methods that need whole
groups do the same when a micro-batch is the whole generation batch of the only process; otherwise one pass without
gradient comes before. Nothing is applied in evaluation.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from trl import GRPOConfig, GRPOTrainer
from trl.models.utils import disable_gradient_checkpointing

from rl import methods
from rl.history import History
from rl.methods import Method
from rl.rollouts import CORRECT, INCORRECT, UNSCORABLE, Rollouts
from rl.stepstats import TermStatistics, distinct_correct

# A correctness function has the signature of a TRL reward function and returns True, False or None (unscorable).
Correctness = Callable[..., list[bool | None]]
# An answers function has the same signature and returns what makes two correct answers the same one.
Answers = Callable[..., list[Any]]

# What TRL's forward pass takes from a generation batch besides tokens; images and the like.
FORWARD_KEYS = (
    "pixel_values",
    "image_grid_thw",
    "num_images",
    "pixel_attention_mask",
    "spatial_shapes",
    "num_tiles",
    "image_sizes",
    "token_type_ids",
    "mm_token_type_ids",
    "image_position_ids",
)


class DSGRPOTrainer(GRPOTrainer):
    """`GRPOTrainer` for any method of `rl.methods`; all other arguments are TRL's.

    method: a name, or a `Method` from `rl.methods.get` where options matter. correctness: decides which rollouts count
    as correct, incorrect or unscorable; by default the only reward function decides (1, 0, anything else).
    answers: tells answers apart, in the metric `distinct_correct` and for methods that compare them; by default the
    completion's text.

    Logs besides TRL's metrics: `distinct_correct` (mean over groups of the number of distinct correct answers),
    `ds_share` (the part of |advantage| that the method's term makes up: sum |term| / (sum |term| + sum |base|)) and
    `ds_length_corr` (correlation of the term with completion length over rows that have one).

    Raises ValueError for an unknown method, for TRL arguments that contradict it, and for several reward functions
    without `correctness`.
    """

    model: Any  # transformers allows None, and args of other trainers
    args: Any

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: GRPOConfig | None = None,
        *rest: Any,
        method: Method | str = "ds-grpo",
        correctness: Correctness | None = None,
        answers: Answers | None = None,
        **kwargs: Any,
    ) -> None:
        self.method = methods.get(method) if isinstance(method, str) else method
        args = configured(args or GRPOConfig("ds-grpo"), self.method)
        super().__init__(model, reward_funcs, args, *rest, **kwargs)
        self._shaping = self.method.options if self.method.options and self.method.options.active else None
        if self._shaping and correctness is None and len(self.reward_funcs) != 1:
            raise ValueError(
                f"correctness=None with {len(self.reward_funcs)} reward functions: a sum of rewards does not say "
                "what is correct; pass `correctness`"
            )
        self.correctness = correctness
        self.answers = answers
        self._term_statistics = TermStatistics(self.accelerator.device)
        self._scored: dict[str, torch.Tensor] | None = None
        self.history = History() if self.method.history else None
        self._awaiting_logps: dict[str, Any] | None = None

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: list[Any], completions: list[Any], completion_ids_list: Any
    ) -> torch.Tensor:
        """As TRL's; keeps the gathered rewards, correctness and answers, and logs the distinct correct answers."""
        per_function = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        columns = {key: [row[key] for row in inputs] for key in inputs[0] if key not in _NOT_COLUMNS}
        call = {"prompts": prompts, "completions": completions, "completion_ids": completion_ids_list, **columns}
        if self.correctness is None:
            correct = correct_from_rewards(per_function)
        else:
            verdicts = _as_codes(self.correctness(**call, trainer_state=self.state), len(prompts))
            correct = self.accelerator.gather(torch.tensor(verdicts, device=per_function.device))
        rewards = (per_function * self.reward_weights.to(per_function.device)).nansum(dim=1)

        texts = completions if self.answers is None else self.answers(**call, trainer_state=self.state)
        mode, size = self._mode_and_group_size()
        everyone = gather_object([str(text) for text in texts])
        found = distinct_correct(correct.tolist(), everyone, size)
        self._metrics[mode]["distinct_correct"].append(found)
        rewards = rewards.masked_fill(per_function.isnan().all(dim=1), torch.nan)
        self._scored = {"rewards": rewards, "correct": correct, "answers": answer_ids(everyone)}
        if self.history is not None and mode == "train":
            asked = gather_object([str(prompt) for prompt in prompts])
            self._scored["seen"] = torch.tensor(self.history.look(asked, everyone))
        return per_function

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL's; applies the method, or attaches what `_compute_loss` needs to apply it."""
        output = super()._generate_and_score_completions(inputs)
        mode, size = self._mode_and_group_size()
        if self._shaping is None or mode == "eval":
            return output
        assert self._scored is not None
        rows = len(output["advantages"])
        local = slice(self.accelerator.process_index * rows, (self.accelerator.process_index + 1) * rows)
        everyone = {**self._scored, "groups": torch.arange(len(self._scored["correct"])) // size}
        mine = {key: value[local].to(output["advantages"].device) for key, value in everyone.items()}

        logps = output.get("old_per_token_logps")
        alone = self.accelerator.num_processes == 1 and self.args.steps_per_generation == 1
        if logps is None and self._shaping.whole_groups and not alone:
            logps = self._logps_without_gradient(output)
        if logps is None or self.method.entropies:
            output.update({f"{_ROWS}{key}": value for key, value in mine.items()})
        else:
            output["advantages"] = self._shaped(output, logps, mine)
        return output

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """As TRL's; when the rows still wait for their term, this very pass supplies what it is made of."""
        if not self.model.training or f"{_ROWS}correct" not in inputs:
            return super()._compute_loss(model, inputs)
        inputs = dict(inputs)  # TRL may hand out a buffered slice again: the term must not enter it
        self._awaiting_logps = inputs
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self._awaiting_logps = None

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """As TRL's; the first call of a loss hands its log-probs to the rows that wait for them."""
        found = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        inputs, self._awaiting_logps = self._awaiting_logps, None
        if inputs is not None:
            mine = {key.removeprefix(_ROWS): value for key, value in inputs.items() if key.startswith(_ROWS)}
            if self.method.entropies:
                mine["entropies"] = found[1].detach()
            old = inputs.get("old_per_token_logps")
            inputs["advantages"] = self._shaped(inputs, found[0].detach() if old is None else old, mine)
        return found

    def _shaped(self, inputs: dict[str, Any], logps: torch.Tensor, mine: dict[str, torch.Tensor]) -> torch.Tensor:
        """The method's advantages for this process's rows; groups that lie across processes are gathered first."""
        assert self._shaping is not None
        assert self.method.advantages is not None
        mask = inputs["completion_mask"]
        if "tool_mask" in inputs:
            mask = mask * inputs["tool_mask"]
        rows = Rollouts(base=inputs["advantages"], logps=logps, mask=mask, **mine)
        start, count = 0, len(logps)
        if self._shaping.whole_groups and self.accelerator.num_processes > 1:
            rows = self._gathered(rows)
            start = self.accelerator.process_index * count
        shaped = self.method.advantages(rows, self._shaping)[start : start + count, ...]
        shaped = shaped[:, : logps.shape[1]] if shaped.dim() == 2 else shaped
        self._term_statistics.add(inputs["advantages"], shaped, mask)
        return shaped

    def _gathered(self, rows: Rollouts) -> Rollouts:
        fields = {field.name: getattr(rows, field.name) for field in dataclasses.fields(rows)}
        fields = {name: value for name, value in fields.items() if value is not None}
        for name in ("logps", "mask"):  # processes pad to their own longest completion
            fields[name] = self.accelerator.pad_across_processes(fields[name].contiguous(), dim=1)
        return Rollouts(**{name: self.accelerator.gather(value.contiguous()) for name, value in fields.items()})

    def _logps_without_gradient(self, output: dict[str, Any]) -> torch.Tensor:
        """One more forward pass, as TRL does it for the old policy."""
        with torch.no_grad(), disable_gradient_checkpointing(self.model, self.args.gradient_checkpointing_kwargs):
            logps, _, _ = self._get_per_token_logps_and_entropies(
                self.model,
                torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1),
                torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1),
                output["completion_ids"].size(1),
                batch_size=self.args.per_device_train_batch_size,
                **{key: output[key] for key in FORWARD_KEYS if key in output},
            )
        return logps

    def _mode_and_group_size(self) -> tuple[str, int]:
        training = self.model.training
        size: Any = self.num_generations if training else self.num_generations_eval
        return ("train" if training else "eval"), size

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As TRL's, with what the term did since the last call."""
        if self.model.training and not self._term_statistics.empty:
            for key, value in self._term_statistics.collect(self.accelerator).items():
                self._metrics["train"][key] = [value]
        super().log(logs, start_time)


_ROWS = "rollouts_"  # begins the keys of a generation batch that `Rollouts` is made of
_NOT_COLUMNS = ("prompt", "completion", "completion_ids")


def configured(args: GRPOConfig, method: Method) -> GRPOConfig:
    """A copy of `args` with the TRL arguments that belong to `method`.

    An argument that still has TRL's default yields to the method; raises ValueError for one that contradicts it.
    """
    args = copy.copy(args)
    default = {field.name: field.default for field in dataclasses.fields(args)}
    default["epsilon_high"] = args.epsilon if args.epsilon_high is not None else None  # that is what None means
    asked = dict(method.trl)
    if method.options is not None:
        asked["scale_rewards"] = "group" if method.options.std else "none"
        asked["multi_objective_aggregation"] = "sum_then_normalize"  # the other one does not normalise by group
    for key, value in asked.items():
        if getattr(args, key) not in (default[key], value):
            raise ValueError(
                f"{key}={getattr(args, key)!r} contradicts method {method.name!r}, which asks for {value!r}"
            )
        setattr(args, key, value)
    return args


def correct_from_rewards(per_function: torch.Tensor) -> torch.Tensor:
    """Three-valued correctness (B,) of the first reward function's values: exactly 1, exactly 0, anything else."""
    reward = per_function[:, 0]
    correct = torch.full(reward.shape, UNSCORABLE, dtype=torch.long, device=reward.device)
    return correct.masked_fill(reward == 1, CORRECT).masked_fill(reward == 0, INCORRECT)


def answer_ids(answers: Sequence[str]) -> torch.Tensor:
    """(B,) integers, the same for two rows iff their answers are."""
    known: dict[str, int] = {}
    return torch.tensor([known.setdefault(answer, len(known)) for answer in answers])


def _as_codes(verdicts: list[bool | None], rows: int) -> list[int]:
    if len(verdicts) != rows:
        raise ValueError(f"correctness returned {len(verdicts)} verdicts for {rows} completions")
    codes = {True: CORRECT, False: INCORRECT, None: UNSCORABLE}
    for verdict in verdicts:
        if verdict is not None and not isinstance(verdict, bool):
            raise ValueError(f"correctness returned {verdict!r}; a verdict is True, False or None")
    return [codes[verdict] for verdict in verdicts]
