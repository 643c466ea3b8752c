"""An autoregressive tabular language model: the theory's policy in the clothes of a transformers model.

One free logit per trajectory; the policy over trajectories is their softmax. The next-token logit at a prefix is the
log-sum-exp over the trajectories that continue it with that token, so the product of next-token probabilities along a
trajectory is the softmax, exactly. It trains and generates wherever a causal language model does, and its step can be
compared with the theorems.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

PAD, BOS, EOS = 0, 1, 2
NEVER = -1e4  # the logit of a token that continues no trajectory: probability 0, and no NaN in products


class TabularConfig(PretrainedConfig):
    """trajectories: lists of token ids, none of them PAD or BOS, each ended by its only EOS, all different."""

    model_type = "tabular-lm"

    def __init__(self, trajectories: Sequence[Sequence[int]] = ((EOS,),), **kwargs: Any) -> None:
        self.trajectories = [list(trajectory) for trajectory in trajectories]
        for trajectory in self.trajectories:
            if trajectory.count(EOS) != 1 or trajectory[-1] != EOS or {PAD, BOS} & set(trajectory):
                raise ValueError(f"trajectory {trajectory} must end with its only {EOS} and hold no {PAD} or {BOS}")
        if len({tuple(trajectory) for trajectory in self.trajectories}) != len(self.trajectories):
            raise ValueError(f"trajectories={self.trajectories} must all be different")
        self.vocab_size = 1 + max(max(trajectory) for trajectory in self.trajectories)
        self.hidden_size = self.vocab_size
        super().__init__(**{"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, **kwargs})


class _Backbone(nn.Module):
    """Hidden states that are the next-token logits; a state machine over prefixes finds them."""

    def __init__(self, config: TabularConfig) -> None:
        super().__init__()
        trajectories = [tuple(trajectory) for trajectory in config.trajectories]
        prefixes = sorted({t[:i] for t in trajectories for i in range(len(t))})
        number = {prefix: state for state, prefix in enumerate(prefixes)}  # the empty prefix is state 0
        dead = len(prefixes)
        step = torch.full((dead + 1, config.vocab_size), dead)
        through = torch.zeros(dead + 1, config.vocab_size, len(trajectories), dtype=torch.bool)
        for y, trajectory in enumerate(trajectories):
            for i, token in enumerate(trajectory):
                through[number[trajectory[:i]], token, y] = True
                step[number[trajectory[:i]], token] = number.get(trajectory[: i + 1], dead)
        step[:, BOS] = 0
        self.register_buffer("step", step, persistent=False)
        self.register_buffer("through", through, persistent=False)
        self.step: torch.Tensor
        self.through: torch.Tensor
        self.theta = nn.Parameter(torch.zeros(len(trajectories)))

    def forward(self, input_ids: torch.Tensor, **_: Any) -> BaseModelOutput:
        """input_ids: (B, S). Returns next-token logits (B, S, V) as hidden states; BOS begins anew."""
        table = self.theta.expand(self.through.shape).masked_fill(~self.through, NEVER).logsumexp(dim=-1)
        state = torch.full_like(input_ids[:, 0], self.step.shape[0] - 1)
        states = []
        for token in input_ids.unbind(dim=1):
            state = self.step[state, token]
            states.append(state)
        return BaseModelOutput(last_hidden_state=table[torch.stack(states, dim=1)])  # type: ignore[arg-type]


class TabularLM(PreTrainedModel, GenerationMixin):
    """The model. `theta` (m,) are its only trainable parameters; `lm_head` is the identity."""

    config_class = TabularConfig
    base_model_prefix = "backbone"
    main_input_name = "input_ids"

    def __init__(self, config: TabularConfig) -> None:
        super().__init__(config)
        self.backbone = _Backbone(config)
        self.lm_head = nn.Linear(config.vocab_size, config.vocab_size, bias=False)
        with torch.no_grad():
            self.lm_head.weight.copy_(torch.eye(config.vocab_size))
        self.lm_head.weight.requires_grad_(False)
        self.generation_config.use_cache = False
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: the constructor has set all weights."""

    @property
    def theta(self) -> nn.Parameter:
        """The logits of the trajectories, (m,)."""
        return self.backbone.theta

    def get_output_embeddings(self) -> nn.Module:
        """The head that TRL projects through."""
        return self.lm_head

    def prepare_inputs_for_generation(self, input_ids: Any, *_: Any, **kwargs: Any) -> dict[str, Any]:
        """All tokens, each time: there is no cache."""
        return {"input_ids": input_ids}

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any) -> CausalLMOutput:
        """input_ids: (B, S), a prompt that ends with BOS, then tokens. Returns logits (B, S, V). No mask is needed."""
        return CausalLMOutput(logits=self.lm_head(self.backbone(input_ids).last_hidden_state))


def tabular_lm(trajectories: Sequence[Sequence[int]], log_p0: Sequence[float]) -> TabularLM:
    """A model in double precision whose policy over `trajectories` is the softmax of `log_p0`."""
    model = TabularLM(TabularConfig(trajectories)).double()
    with torch.no_grad():
        model.theta.copy_(torch.tensor(log_p0, dtype=torch.float64))
    return model


def tabular_tokenizer(vocab_size: int) -> PreTrainedTokenizerFast:
    """One word per token: `<pad>`, `<bos>`, `<eos>`, then `t3`, `t4`, …"""
    words = ["<pad>", "<bos>", "<eos>", *(f"t{i}" for i in range(3, vocab_size))]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        padding_side="left",
    )
