"""TRL's GRPOTrainer with a method of `differential_smoothing.methods` applied to its advantages.

In a TRL script two lines change: the import, and `DSGRPOTrainer(..., method="ds-grpo")` for `GRPOTrainer(...)`. A
subclass of one's own takes `DifferentialSmoothingMixin` as its first base.

Where the term is applied: last, on the advantages as all other classes left them. With the log-probs of the old policy
at hand (several iterations per batch, vLLM's importance sampling), once per generation batch, when TRL has buffered it.
On-policy TRL computes no such log-probs; then a row that needs no other row gets its term inside the loss, from the
log-probs computed there anyway: TRL reads the advantages after them. Methods that look at entropies, and those that
give the loss other log-probs, always act there, at every update. Methods that need whole groups do the same when a
micro-batch is the whole generation batch of the only process; otherwise, and for a subclass with a loss of its own, one
pass without gradient comes before. Nothing is applied in evaluation. A step whose rows did not get the term that they
waited for is an error.
"""

from __future__ import annotations

import dataclasses
import random
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import gather_object
from trl import GRPOConfig, GRPOTrainer
from trl.models.utils import disable_gradient_checkpointing

from differential_smoothing import methods
from differential_smoothing.config import DSGRPOConfig as DSGRPOConfig
from differential_smoothing.config import as_method, configured
from differential_smoothing.correctness import (
    AnswerKey,
    Correctness,
    answer_ids,
    codes_of,
    correct_from_rewards,
    one_each,
)
from differential_smoothing.methods import Method
from differential_smoothing.rollouts import Rollouts
from differential_smoothing.training.answer_counts import AnswerCounts
from differential_smoothing.training.generation import neutral_generation_config, non_neutral_settings
from differential_smoothing.training.metrics import TermStatistics, group_metrics
from differential_smoothing.training.monitor import TermMonitor
from differential_smoothing.training.replay import ReplayPool
from differential_smoothing.training.resampling import joined, mixed_groups, picked, rows_of

if TYPE_CHECKING:
    _AnyGRPOTrainer = GRPOTrainer
else:
    _AnyGRPOTrainer = object

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


class DifferentialSmoothingMixin(_AnyGRPOTrainer):
    """Any method of `differential_smoothing.methods` for any trainer that derives from `GRPOTrainer`; it comes first:

        class MyTrainer(DifferentialSmoothingMixin, TheirTrainer): ...

    Arguments are the trainer's, and `args`: a `DSGRPOConfig`, which has the options of the term as fields; or TRL's
    own, and `method`: a name, or a `Method` from `methods.get` where options matter. correctness: decides which
    rollouts count as correct, incorrect or unscorable; by default the only reward function decides (1, 0, anything
    else), and of several the one that is named. answer_key: tells answers apart, in the metric `distinct_correct` and
    for methods that compare them; by default the completion's text.

    Rollouts are drawn with the settings of `args` alone; a checkpoint's own (penalties, min_p, …) stay off. A trainer
    with a loss of its own gets the term beforehand, at the price of one forward pass; with `token` its loss must take
    advantages of shape (B, T).

    Logs besides TRL's metrics (`frac_reward_zero_std` among them), as means over groups: `pass@k` for k = 1, 2, 4, … up
    to the group size, unbiased, and `distinct_correct`, the number of distinct correct answers; with the prefix `eval_`
    in evaluation, over `num_generations_eval` rollouts. In training `ds_term` and `ds_base` (mean size per row of the
    method's term and of the advantage without it), `ds_share` (the part of |advantage| that the term makes up:
    sum |term| / (sum |term| + sum |base|)) and `ds_length_corr` (correlation of the term with completion length over
    rows that have one). `log_completions` shows the advantages with the term.

    Raises ValueError for an unknown method, for TRL arguments that contradict it, for several reward functions without
    `correctness`, and in training for rewards from which it cannot be told what is correct.
    """

    model: Any  # transformers allows None, and args and data of other trainers
    args: Any
    train_dataset: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        order = cls.__mro__
        if GRPOTrainer not in order or order.index(DifferentialSmoothingMixin) > order.index(GRPOTrainer):
            raise TypeError(
                f"{cls.__name__}: DifferentialSmoothingMixin must come before a trainer that derives from GRPOTrainer, "
                "as in `class MyTrainer(DifferentialSmoothingMixin, TheirTrainer)`"
            )

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: GRPOConfig | None = None,
        *rest: Any,
        method: Method | str | None = None,
        correctness: Correctness | str | None = None,
        answer_key: AnswerKey | None = None,
        **kwargs: Any,
    ) -> None:
        if method is not None and isinstance(args, DSGRPOConfig):
            raise ValueError("method: its options stand in the arguments, a DSGRPOConfig; give one of both")
        if method is None:
            method = args.method() if isinstance(args, DSGRPOConfig) else "ds-grpo"
        self.method = as_method(method, kwargs)
        args = configured(args or GRPOConfig("ds-grpo"), self.method)
        super().__init__(model, reward_funcs, args, *rest, **kwargs)
        if self._judges and correctness is None and len(self.reward_funcs) != 1:
            raise ValueError(
                f"correctness=None with {len(self.reward_funcs)} reward functions: a sum of rewards does not say "
                f"what is correct; pass `correctness`, a function or one of {', '.join(self.reward_func_names)}"
            )
        self.correctness = correctness
        self._deciding = self._column(correctness) if isinstance(correctness, str) else 0
        self.answer_key = answer_key
        self._term_statistics = TermStatistics(self.accelerator.device)
        self._monitor = TermMonitor(self.method, self.reward_func_names[self._deciding])
        self._scored: dict[str, torch.Tensor] | None = None
        self.answer_counts = AnswerCounts() if self.method.answer_counts else None
        self.replay = ReplayPool(args.seed) if self.method.replay is not None else None
        self._check_sampling()
        self._prompt_ids: list[list[int]] = []  # of this process's rows, in the batch being made
        self._awaiting_logps: dict[str, Any] | None = None
        self._waiting = False  # whether rows of this step still wait for their term
        self._generated = False  # whether the batch that TRL has buffered is a new one
        self._shown: dict[int, float] | None = None  # for `log_completions`: advantages with the term, by row
        extra = args.generation_kwargs if isinstance(args.generation_kwargs, dict) else {}
        asked = non_neutral_settings({**vars(args), **extra})
        if self.method.active and asked:
            listed = ", ".join(f"{name}={value!r}" for name, value in asked.items())
            warnings.warn(
                f"{listed}: rollouts come from another distribution than the policy's, and {self.method.name} reads "
                "log-probabilities of the policy, truncated or penalized by nothing",
                stacklevel=2,
            )

    @property
    def _judges(self) -> bool:
        """Whether it must be known which rollouts are correct."""
        return self.method.active or self.method.replay is not None

    @property
    def _stores(self) -> list[AnswerCounts | ReplayPool]:
        """What is kept from batch to batch, and saved with checkpoints."""
        return [one for one in (self.answer_counts, self.replay) if one is not None]

    def _check_sampling(self) -> None:
        name, size = self.method.name, self._mode_and_group_size()[1]
        if self.method.replay is not None:
            if self.method.replay >= size:
                raise ValueError(f"{name!r}: replay={self.method.replay} must be below num_generations={size}")
            if self.use_vllm or self.tools or self.rollout_func is not None:
                raise ValueError(
                    f"{name!r} replays tokens: it takes rollouts of one turn by transformers, without use_vllm, tools "
                    "and rollout_func"
                )
        if self.method.rounds is not None and self.accelerator.num_processes > 1:
            raise ValueError(f"{name!r} draws groups again on one process alone")

    @property
    def _own_loss(self) -> bool:
        """Whether a class besides TRL's and this one has a loss: it may read advantages and log-probs in any order."""
        known = {DifferentialSmoothingMixin, *GRPOTrainer.__mro__}
        return any({"compute_loss", "_compute_loss"} & vars(kind).keys() for kind in set(type(self).__mro__) - known)

    def _column(self, name: str) -> int:
        if name not in self.reward_func_names:
            raise ValueError(
                f"correctness={name!r}: no such reward function; {methods.nearest(name, self.reward_func_names)}"
            )
        return self.reward_func_names.index(name)

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        """As TRL's, without what the checkpoint's own generation settings would add; with replayed rollouts.

        The last rows of each group are given up for successes that earlier batches found, as far as there are any.
        """
        mode, size = self._mode_and_group_size()
        with neutral_generation_config(self.accelerator.unwrap_model(self.model)):
            drawn = super()._generate_single_turn(*args, **kwargs)
        if self.replay is None or self.method.replay is None or mode == "eval":
            return drawn
        self._prompt_ids = [list(prompt) for prompt in args[0]]
        completions, *rest = drawn
        completions = list(completions)
        start = self.accelerator.process_index * len(completions)
        for row, prompt in enumerate(self._prompt_ids):
            number = size - 1 - (start + row) % size  # among the group's rows, from behind
            replayed = self.replay.draw(prompt, self.method.replay)
            if number < len(replayed):
                completions[row] = replayed[number]
        return (completions, *rest)

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: list[Any], completions: list[Any], completion_ids_list: Any
    ) -> torch.Tensor:
        """As TRL's; keeps the gathered rewards, correctness and answers, and logs what they say of each group."""
        per_function = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        call: dict[str, Any] = {key: [row[key] for row in inputs] for key in inputs[0] if key not in _NOT_COLUMNS}
        call |= {"prompts": prompts, "completions": completions, "completion_ids": completion_ids_list}
        call |= {"trainer_state": self.state, "log_extra": self._log_completion_extra, "log_metric": self._log_metric}
        if self.environments is not None:
            call["environments"] = self.environments
        mode, size = self._mode_and_group_size()
        correct = self._judged(per_function, call, len(prompts))
        texts = completions
        if self.answer_key is not None:
            texts = one_each("answer_key", self.answer_key(**call), len(prompts))
        answers = gather_object([str(text) for text in texts])
        for name, value in group_metrics(correct.tolist(), answers, size).items():
            self._metrics[mode][name].append(value)

        rewards = (per_function * self.reward_weights.to(per_function.device)).nansum(dim=1)
        rewards = rewards.masked_fill(per_function.isnan().all(dim=1), torch.nan)
        self._scored = {"rewards": rewards, "correct": correct, "answers": answer_ids(answers)}
        if self.answer_counts is not None and mode == "train":
            asked = gather_object([str(prompt) for prompt in prompts])
            self._scored["seen"] = torch.tensor(self.answer_counts.look(asked, answers))
        if self.replay is not None and mode == "train":
            rows = gather_object([*zip(self._prompt_ids, completion_ids_list)])
            self.replay.add([prompt for prompt, _ in rows], [one for _, one in rows], correct.tolist())
        return per_function

    def _judged(self, per_function: torch.Tensor, call: dict[str, Any], rows: int) -> torch.Tensor:
        """Three-valued correctness of the gathered rows, by the user's function or by the deciding reward."""
        rewards = None
        if callable(self.correctness):
            codes = codes_of(one_each("correctness", self.correctness(**call), rows))
            correct = self.accelerator.gather(torch.tensor(codes, device=per_function.device))
        else:
            rewards = per_function[:, self._deciding]
            correct = correct_from_rewards(rewards)
        if self.method.active and self.model.training:
            self._monitor.check_outcomes(correct, rewards)
        return correct

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL's; attaches what the method needs to know of each row."""
        mode, size = self._mode_and_group_size()
        if self.method.rounds is not None and mode == "train":
            output = self._until_mixed(inputs, size)
        else:
            output = super()._generate_and_score_completions(inputs)
        self._generated = mode == "train"
        self._shown = None
        if not self.method.active or mode == "eval":
            return output
        assert self._scored is not None
        rows = len(output["advantages"])
        start = self.accelerator.process_index * rows
        everyone = {**self._scored, "groups": torch.arange(len(self._scored["correct"])) // size}
        device = output["advantages"].device
        output.update({f"{_ROWS}{key}": value[start : start + rows].to(device) for key, value in everyone.items()})
        if self.log_completions and self.method.rounds is None:  # else the log has more rows than the batch
            self._shown = {}
            output[_NUMBER] = torch.arange(start, start + rows, device=device)

        alone = self.accelerator.num_processes == 1 and self.args.steps_per_generation == 1
        if self.method.reference:
            output[f"{_ROWS}reference"] = output["ref_per_token_logps"]
        if not (self.method.entropies or self.method.surrogate):
            if "old_per_token_logps" in output:
                output[f"{_ROWS}logps"] = output["old_per_token_logps"]
            elif self._own_loss or (self.method.whole_groups and not alone):
                output[f"{_ROWS}logps"] = self._logps_without_gradient(output)
        return output

    def _until_mixed(self, inputs: list[dict[str, Any]], size: int) -> dict[str, Any]:
        """A generation batch of groups whose rewards differ: what is missing is drawn again with other prompts.

        Which, is decided by seed, step and round. After the last round groups without spread fill the batch.
        """
        assert self.method.rounds is not None
        wanted, problems = len(inputs) // size, self.train_dataset
        parts: list[dict[str, Any]] = []
        spare: list[dict[str, Any]] = []
        missing = wanted
        for number in range(self.method.rounds):
            if number:
                chance = random.Random(f"{self.args.seed} {self._step} {number}")
                chosen = chance.sample(range(len(problems)), missing)
                inputs = [dict(problems[index]) for index in chosen for _ in range(size)]
            output = super()._generate_and_score_completions(inputs)
            assert self._scored is not None
            output.update({f"{_SCORED}{key}": value for key, value in self._scored.items()})
            groups = mixed_groups(self._scored["rewards"], size)
            flat = torch.tensor([one for one in range(missing) if one not in groups.tolist()], dtype=torch.long)
            parts += [picked(output, rows_of(groups, size))] if len(groups) else []
            spare += [picked(output, rows_of(flat, size))] if len(flat) else []
            missing -= len(groups)
            if not missing:
                break
        if missing:
            rest = joined(spare, self._tokenizer.pad_token_id)
            parts.append(picked(rest, torch.arange(missing * size)))
        whole = joined(parts, self._tokenizer.pad_token_id)
        keys = [key for key in whole if key.startswith(_SCORED)]
        self._scored = {key.removeprefix(_SCORED): whole.pop(key) for key in keys}
        self._metrics["train"]["resampled_rounds"].append(float(number + 1))
        self._metrics["train"]["unmixed_groups"].append(missing / wanted)
        return whole

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """As TRL's; a new batch whose log-probs are known gets its term here, after everybody else's changes."""
        inputs = super()._prepare_inputs(generation_batch)
        if not self.model.training or not self.method.active:
            return inputs
        if self._generated and f"{_ROWS}logps" in inputs:
            slices: Any = self._buffered_inputs
            self._shape_all(slices)
        self._generated = False
        self._waiting = f"{_ROWS}correct" in inputs
        return inputs

    def _shape_all(self, slices: list[dict[str, Any]]) -> None:
        """Apply the method to the whole generation batch of this process, which TRL has cut into slices."""
        keys = [key for key in slices[0] if key.startswith(_ROWS) or key in _SHAPED_FROM]
        whole = {key: torch.cat([part[key] for part in slices]) for key in keys}
        mine = {key.removeprefix(_ROWS): whole[key] for key in keys if key.startswith(_ROWS)}
        shaped = self._shaped(whole, mine.pop("logps"), mine)
        for part, advantages in zip(slices, shaped.split([len(part["advantages"]) for part in slices])):
            part["advantages"] = advantages
            for key in [key for key in part if key.startswith(_ROWS)]:
                del part[key]

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As TRL's. Raises RuntimeError if the rows of this step did not get the term that they waited for."""
        loss = super().training_step(*args, **kwargs)
        if self._waiting:
            raise RuntimeError(
                f"{type(self).__name__}: this step's loss did not apply {self.method.name!r}, which reads the "
                "entropies of the loss's own pass; let `_compute_loss` call super()._compute_loss(model, inputs)"
            )
        return loss

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
        inputs, self._awaiting_logps = self._awaiting_logps, None
        mine = {key.removeprefix(_ROWS): value for key, value in (inputs or {}).items() if key.startswith(_ROWS)}
        if inputs is not None and self.method.surrogate is not None:
            found = self._from_laws(inputs, mine, *args, **kwargs)
        else:
            found = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        if inputs is not None:
            self._waiting = False
            if self.method.entropies:
                mine["entropies"] = found[1].detach()
            old = inputs.get("old_per_token_logps")
            inputs["advantages"] = self._shaped(inputs, found[0].detach() if old is None else old, mine)
        return found

    def _from_laws(
        self,
        inputs: dict[str, Any],
        mine: dict[str, torch.Tensor],
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        **others: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """The loss's log-probs as the method makes them from whole laws, and the entropies; TRL keeps no logits.

        Raises ValueError for what the pass would leave out: images, and the auxiliary loss of mixtures of experts.
        """
        left_out = [key for key in FORWARD_KEYS if inputs.get(key) is not None]
        left_out += ["router_aux_loss_coef"] if others.get("compute_aux_loss") else []
        if left_out:
            raise ValueError(
                f"{', '.join(left_out)}: {self.method.name!r} is for models of text alone, without experts"
            )
        assert self.method.surrogate is not None
        with self.accelerator.autocast():
            logits = model(input_ids=input_ids, attention_mask=attention_mask).logits
        laws = (logits[:, -logits_to_keep - 1 : -1].float() / self.temperature).log_softmax(dim=-1)
        tokens = input_ids[:, -logits_to_keep:]
        logps = laws.detach().gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        rows = Rollouts(base=inputs["advantages"], logps=logps, mask=_counting(inputs), **mine)
        entropies = -(laws.exp() * laws.clamp(min=torch.finfo(laws.dtype).min)).sum(dim=-1)
        return self.method.surrogate(rows, laws, tokens, self.method.options), entropies, None

    def _shaped(self, inputs: dict[str, Any], logps: torch.Tensor, mine: dict[str, torch.Tensor]) -> torch.Tensor:
        """The method's advantages for this process's rows; groups that lie across processes are gathered first."""
        if self.method.advantages is None:
            return inputs["advantages"]
        mask = _counting(inputs)
        rows = Rollouts(base=inputs["advantages"], logps=logps, mask=mask, **mine)
        start, count = 0, len(logps)
        if self.method.whole_groups and self.accelerator.num_processes > 1:
            rows = self._gathered(rows)
            start = self.accelerator.process_index * count
        rows = self.method.on_base(rows)
        shaped = self.method.advantages(rows, self.method.options)[start : start + count, ...]
        shaped = shaped[:, : logps.shape[1]] if shaped.dim() == 2 else shaped
        self._term_statistics.add(rows.base[start : start + count], shaped, mask)
        if self._shown is not None:
            flat = shaped if shaped.dim() == 1 else (shaped * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
            self._shown.update(zip(inputs[_NUMBER].tolist(), flat.tolist()))
        return shaped

    def _gathered(self, rows: Rollouts) -> Rollouts:
        fields = {field.name: getattr(rows, field.name) for field in dataclasses.fields(rows)}
        fields = {name: value for name, value in fields.items() if value is not None}
        for name in [name for name, value in fields.items() if value.dim() == 2]:
            # processes pad to their own longest completion
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
            found = self._term_statistics.collect(self.accelerator)
            self._monitor.check_size(found["ds_term"], found["ds_base"])
            for key, value in found.items():
                self._metrics["train"][key] = [value]
        if self.model.training and self._shown is not None:
            advantages: Any = self._logs["advantages"]
            for row, advantage in gather_object([*self._shown.items()]):
                advantages[row] = advantage
        super().log(logs, start_time)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """As TRL's, with the answers and successes of earlier batches where the method keeps them.

        Raises ValueError amid a generation batch then: TRL draws it again on resume, and it would count twice.
        """
        lasts = self.args.steps_per_generation * self.num_iterations
        if self._stores and self._step % lasts:
            keeps = "counts earlier answers" if self.answer_counts is not None else "keeps earlier successes"
            raise ValueError(
                f"step {self.state.global_step}: {self.method.name!r} {keeps}, and a checkpoint amid a "
                f"generation batch would count some twice; let save_steps be a multiple of the {lasts} micro-steps "
                f"that one lasts (gradient_accumulation_steps={self.args.gradient_accumulation_steps} make a step)"
            )
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            for store in self._stores:
                store.save(Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """As TRL's, likewise. Raises ValueError for a checkpoint that lacks them."""
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            for store in self._stores:
                store.load(Path(checkpoint))


class DSGRPOTrainer(DifferentialSmoothingMixin, GRPOTrainer):
    """`GRPOTrainer` with a method of `differential_smoothing.methods`; see `DifferentialSmoothingMixin`."""


def _counting(inputs: dict[str, Any]) -> torch.Tensor:
    """(B, T), true on the tokens that count."""
    mask = inputs["completion_mask"]
    return mask * inputs["tool_mask"] if "tool_mask" in inputs else mask


_ROWS = "rollouts_"  # begins the keys of a generation batch that `Rollouts` is made of
_SCORED = "scored_"  # begins the keys of what is known of each row, while groups are drawn again
_NUMBER = "row_number"  # of a row in the whole generation batch
_SHAPED_FROM = ("advantages", "completion_mask", "tool_mask", _NUMBER)
_NOT_COLUMNS = ("prompt", "completion", "completion_ids")
