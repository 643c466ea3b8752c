"""The base model: tokenizer, supervised draws, training that learns, the cache, and the checkpoint as others see it."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_base import BASE, TASK
from transformers import AutoModelForCausalLM, AutoTokenizer

from repro.manifest import ROOT, missing_fields
from rl import pretrain
from rl.experiments.bases import base_folder
from rl.experiments.config import load
from rl.models import from_scratch
from rl.models.supervised import IGNORED, Examples
from rl.tasks import countdown

CONFIG = SimpleNamespace(scale="cpu", task=TASK, base=BASE)


@pytest.fixture(scope="module")
def tokenizer():
    return from_scratch.make_tokenizer(countdown.vocabulary(TASK))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return from_scratch.base_model(CONFIG, 0, tmp_path_factory.mktemp("out"))


def test_every_symbol_is_one_token_and_texts_survive(tokenizer):
    for problem in countdown.splits(TASK)["validation"]:
        for strings in countdown.solutions(problem).values():
            for text in [problem.prompt, *strings]:
                ids = tokenizer(text)["input_ids"]
                assert len(ids) == len(text.split())
                assert tokenizer.unk_token_id not in ids
                assert tokenizer.decode(ids) == text
                assert tokenizer(text.replace(" : ", ":"))["input_ids"] == ids


def test_examples_do_not_depend_on_the_processes_that_enumerate_them(tokenizer):
    problems = countdown.splits(TASK)["train"]
    one, two = (Examples.build(countdown.TASK, problems, tokenizer, BASE, workers) for workers in (1, 2))
    assert all(torch.equal(getattr(one, name), getattr(two, name)) for name in ("tokens", "labels", "cumulated"))


def test_blanks_within_expressions_do_not_matter_but_neighboring_numbers_never_fuse(tokenizer):
    assert tokenizer("(1+12)*3")["input_ids"] == tokenizer("( 1 + 12 ) * 3")["input_ids"]
    assert tokenizer.decode(tokenizer("1 2")["input_ids"]) == "1 2"
    assert tokenizer("77 ?")["input_ids"] == [tokenizer.unk_token_id] * 2
    assert tokenizer.decode([*tokenizer("1 + 2")["input_ids"], tokenizer.eos_token_id], skip_special_tokens=True) == (
        "1 + 2"
    )


def test_examples_hold_prompt_solution_and_end(tokenizer):
    problems = countdown.splits(TASK)["train"][:20]
    examples = Examples.build(countdown.TASK, problems, tokenizer, BASE)
    rows = iter(range(len(examples.tokens)))
    for problem in problems:
        for strings in countdown.solutions(problem).values():
            for text in strings:
                row = next(rows)
                ids = examples.tokens[row].tolist()
                end = ids.index(tokenizer.eos_token_id)
                assert tokenizer.decode(ids[:end]) == f"{problem.prompt} {text}"
                assert set(ids[end + 1 :]) <= {tokenizer.pad_token_id}
                labels = [label for label in examples.labels[row].tolist() if label != IGNORED]
                assert tokenizer.decode(labels[:-1]) == text
                assert labels[-1] == tokenizer.eos_token_id
    assert next(rows, None) is None


@pytest.mark.parametrize("skew", [0.0, 1.5])
def test_draws_follow_the_skew(tokenizer, skew):
    problems = countdown.splits(TASK)["train"][:5]
    examples = Examples.build(countdown.TASK, problems, tokenizer, dataclasses.replace(BASE, skew=skew))
    expected = []
    for problem in problems:
        strings = [text for form in countdown.solutions(problem).values() for text in form]
        weights = [np.exp(-skew * countdown.effort(text, BASE.effort)) for text in strings]
        expected += [weight / sum(weights) / len(problems) for weight in weights]
    tokens, _ = examples.draw(40_000, torch.Generator().manual_seed(0))
    rows = (tokens[:, None] == examples.tokens).all(-1).double().mean(0).numpy()
    assert len(rows) == len(expected)
    assert np.abs(rows - expected).max() < 6 * np.sqrt(0.25 / 40_000)
    if skew:  # negative control: even draws are told apart
        even = np.concatenate(
            [
                [1 / 5 / sum(map(len, countdown.solutions(p).values()))]
                for p in problems
                for _ in [s for f in countdown.solutions(p).values() for s in f]
            ]
        )
        assert np.abs(rows - even).max() > 6 * np.sqrt(0.25 / 40_000)


def test_training_learns(tokenizer):
    examples = Examples.build(countdown.TASK, countdown.splits(TASK)["train"], tokenizer, BASE)
    torch.manual_seed(0)
    model = from_scratch.make_model(BASE, tokenizer, examples.width)
    short = from_scratch.supervise(model, examples, dataclasses.replace(BASE, steps=6, warmup=5, learning_rate=1e-9), 0)
    assert from_scratch.supervise(model, examples, BASE, 0) < 0.7 * short


def gem(logits: torch.Tensor, labels: torch.Tensor, b: float) -> torch.Tensor:
    """−log p(y) + sum_v q log p(v) by token, q = softmax(z / b) without gradient; the mean over tokens that count."""
    laws = logits.log_softmax(-1)
    q = (logits.detach() / b).softmax(-1)
    own = laws.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return (-own + (q * laws).sum(-1))[labels != IGNORED].mean()


def test_gem_has_the_gradient_of_its_paper():
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 5, requires_grad=True)
    labels = torch.randint(5, (3, 4)).index_fill(1, torch.tensor([1]), IGNORED)
    for b in (0.3, 0.7, 1.0):
        base = dataclasses.replace(BASE, loss="gem", gem_beta=b)
        found, wanted = (
            torch.autograd.grad(loss, logits)[0]
            for loss in (from_scratch.supervised_loss(logits, labels, base), gem(logits, labels, b))
        )
        torch.testing.assert_close(found, wanted)
    plain = from_scratch.supervised_loss(logits, labels, BASE)
    assert torch.equal(plain, from_scratch.supervised_loss(logits, labels, base)), "b = 1 is cross-entropy"


@pytest.mark.parametrize(("loss", "power"), [("cross-entropy", 1.0), ("gem", 0.5)])
def test_gem_flattens_what_it_learns(loss, power):
    """On one prompt with answers of 8, 1 and 1 tenths: p goes to their power, normalized."""
    labels = torch.tensor([[0] * 8 + [1, 2]])
    logits = torch.zeros(3, requires_grad=True)
    base = dataclasses.replace(BASE, loss=loss, gem_beta=0.5)
    step = torch.optim.SGD([logits], lr=1.0)
    for _ in range(400):
        step.zero_grad()
        from_scratch.supervised_loss(logits.expand(1, 10, 3), labels, base).backward()
        step.step()
    wanted = np.array([0.8, 0.1, 0.1]) ** power
    np.testing.assert_allclose(logits.detach().softmax(-1).numpy(), wanted / wanted.sum(), atol=1e-3)


def test_gem_makes_another_base_and_leaves_older_ones_where_they_lie(tmp_path):
    config = load(ROOT / "rl" / "experiments" / "cpu" / "countdown-saturated.yaml")
    assert base_folder(config, 10, tmp_path).name == "countdown-1b1b0fe0455e987d"
    assert set(config.record()["base"]).isdisjoint({"loss", "gem_beta"})
    other = load(ROOT / "rl" / "experiments" / "cpu" / "countdown-saturated.yaml", ["base.loss=gem"])
    assert base_folder(other, 10, tmp_path) != base_folder(config, 10, tmp_path)
    assert other.record()["base"] == {**config.record()["base"], "loss": "gem", "gem_beta": 0.7}
    for name, value in (("loss", "focal"), ("gem_beta", 0.0), ("gem_beta", 1.1)):
        with pytest.raises(ValueError, match=f"{name}={value!r}"):
            dataclasses.replace(BASE, **{name: value})


def test_a_run_that_diverges_is_named(tokenizer):
    examples = Examples.build(countdown.TASK, countdown.splits(TASK)["train"], tokenizer, BASE)
    model = from_scratch.make_model(BASE, tokenizer, examples.width)
    with torch.no_grad():
        model.model.embed_tokens.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match="matrix_learning_rate="):
        from_scratch.supervise(model, examples, BASE, 0)


def test_checkpoint_loads_as_any_other(made):
    model = AutoModelForCausalLM.from_pretrained(made)
    tokenizer = AutoTokenizer.from_pretrained(made)
    assert model.config.model_type == "qwen2"
    assert (made / "model.safetensors").exists()
    assert not list(made.glob("*.bin"))
    assert not list(made.glob("*.pt"))
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    problem = countdown.splits(TASK)["heldout"][0]
    inputs = tokenizer([problem.prompt], return_tensors="pt")
    torch.manual_seed(0)
    made_tokens = model.generate(**inputs, do_sample=True, max_new_tokens=8, num_return_sequences=16)
    texts = tokenizer.batch_decode(made_tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert all(countdown.verify(problem, text).correct in (True, False) for text in texts)


def test_tokenizer_is_the_same_when_others_load_it_and_save_it_again(made, tokenizer, tmp_path):
    # AutoTokenizer would make Qwen's tokenizer of it, which splits 12 into 1 and 2.
    text = "3 12 ( 10 ) - 1 : 11"
    loaded = AutoTokenizer.from_pretrained(made)
    loaded.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((made / "config.json").read_bytes())
    for other in (loaded, AutoTokenizer.from_pretrained(tmp_path)):
        assert other(text)["input_ids"] == tokenizer(text)["input_ids"]
        assert other.decode(other(text)["input_ids"]) == text
        assert other.padding_side == "left"
        assert (other.eos_token_id, other.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)


def test_manifest_is_whole(made):
    found = json.loads((made / "manifest.json").read_text())
    assert missing_fields(found) == []
    assert found["config"] == {"task": dataclasses.asdict(TASK), "base": BASE.record()}
    assert found["parameters"] == sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(made).parameters())


def test_a_second_call_finds_it_and_another_config_does_not(made, monkeypatch):
    out = made.parent.parent
    monkeypatch.setattr(from_scratch, "supervise", lambda *_: pytest.fail("trained again"))
    assert from_scratch.base_model(CONFIG, 0, out) == made
    others = {
        from_scratch.base_folder(CONFIG, 1, out),
        from_scratch.base_folder(
            SimpleNamespace(scale="cpu", task=TASK, base=dataclasses.replace(BASE, skew=0.5)), 0, out
        ),
        from_scratch.base_folder(
            SimpleNamespace(scale="cpu", task=dataclasses.replace(TASK, seed=1), base=BASE), 0, out
        ),
    }
    assert made not in others
    assert len(others) == 3


def test_the_same_settings_make_the_same_weights(made, tmp_path):
    again = from_scratch.base_model(CONFIG, 0, tmp_path)
    assert (again / "model.safetensors").read_bytes() == (made / "model.safetensors").read_bytes()


def test_a_failed_run_leaves_nothing(tmp_path, monkeypatch):
    quick = SimpleNamespace(scale="cpu", task=TASK, base=dataclasses.replace(BASE, steps=1, warmup=0))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(from_scratch, "write_json", full)
    with pytest.raises(OSError, match="No space"):
        from_scratch.base_model(quick, 0, tmp_path)
    assert list((tmp_path / "bases").iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("layers", 0),
        ("width", 30),
        ("warmup", 60),
        ("learning_rate", 0.0),
        ("matrix_learning_rate", -1.0),
        ("batch", 0),
    ],
)
def test_bad_settings_are_named(field, value):
    with pytest.raises(ValueError, match=f"{field}="):
        dataclasses.replace(BASE, **{field: value})


def test_command_says_what_is_wrong_in_one_line(tmp_path, capsys):
    assert pretrain.main([str(tmp_path / "missing.yaml"), "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "missing.yaml" in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_command_prints_the_folder(tmp_path, capsys):
    settings = [f"task.{field}={value}" for field, value in dataclasses.asdict(TASK).items() if field != "name"]
    settings += [f"base.{field}={value}" for field, value in dataclasses.asdict(BASE).items() if field != "steps"]
    arguments = [str(ROOT / "rl/experiments/cpu/countdown.yaml"), "--seed", "3", "--out", str(tmp_path)]
    for setting in [*settings, "base.steps=6"]:
        arguments += ["--set", setting]
    assert pretrain.main(arguments) == 0
    folder = capsys.readouterr().out.strip()
    assert AutoModelForCausalLM.from_pretrained(folder).config.hidden_size == BASE.width
