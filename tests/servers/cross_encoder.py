"""A small cross-encoder, made here: its logit is the number of word pairs that query and text share, less one half."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "cats", "sleep", "day", "engine", "burns", "petrol", "why")


def cross_encoder(directory: Path, *, logits: int = 1) -> Path:
    """Write `model.onnx` and `tokenizer.json`; returns the directory. With two logits the first is always 0."""
    directory.mkdir(parents=True, exist_ok=True)
    onnx.save(_model(logits), str(directory / "model.onnx"))
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def _model(logits: int) -> onnx.ModelProto:
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "tokens"]) for name in names]

    def number(name: str, values: list[int] | list[float], kind: int, shape: list[int]) -> onnx.TensorProto:
        return helper.make_tensor(name, kind, shape, values)

    constants = [
        number("last_special", [3], TensorProto.INT64, [1]),
        number("across", [1], TensorProto.INT64, [1]),
        number("down", [2], TensorProto.INT64, [1]),
        number("both", [1, 2], TensorProto.INT64, [2]),
        number("half", [0.5], TensorProto.FLOAT, [1]),
        number("nothing", [0.0], TensorProto.FLOAT, [1]),
    ]
    node = helper.make_node
    nodes = [
        # words, that is no special tokens, of the query (segment 0) and of the text (segment 1)
        node("Greater", ["input_ids", "last_special"], ["is_word"]),
        node("Cast", ["is_word"], ["word"], to=TensorProto.FLOAT),
        node("Cast", ["token_type_ids"], ["in_text"], to=TensorProto.FLOAT),
        node("Mul", ["word", "in_text"], ["of_text"]),
        node("Sub", ["word", "of_text"], ["of_query"]),
        node("Unsqueeze", ["input_ids", "down"], ["query_ids"]),
        node("Unsqueeze", ["input_ids", "across"], ["text_ids"]),
        node("Equal", ["query_ids", "text_ids"], ["is_same"]),
        node("Cast", ["is_same"], ["same"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["of_query", "down"], ["query"]),
        node("Unsqueeze", ["of_text", "across"], ["text"]),
        node("Mul", ["query", "text"], ["pair"]),
        node("Mul", ["pair", "same"], ["shared"]),
        node("ReduceSum", ["shared", "both"], ["counted"], keepdims=0),
        node("Sub", ["counted", "half"], ["fit"]),
        node("Unsqueeze", ["fit", "across"], ["column"]),
    ]
    if logits == 2:
        nodes += [
            node("Mul", ["column", "nothing"], ["zeros"]),
            node("Concat", ["zeros", "column"], ["logits"], axis=1),
        ]
    else:
        nodes.append(node("Identity", ["column"], ["logits"]))
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", logits])
    graph = helper.make_graph(nodes, "shared words", inputs, [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
