"""Where the local embedding model lies. Nothing is fetched here: a model that is missing is an error that says what to run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from intellirouter.errors import ConfigError

LOCAL_MODEL = "all-MiniLM-L6-v2"
FILES = ("model.onnx", "tokenizer.json")


def model_directory(data_dir: Path, model: str) -> Path:
    """Where `intellirouter models pull` puts it."""
    return data_dir / "models" / model


def find_model(data_dir: Path, model: str, configured: Path | None) -> Path:
    """The model's directory: as configured, else of this node, else Chroma's own cache. Raises `ConfigError`."""
    if configured is not None:
        if not complete(configured):
            raise ConfigError(f"rag.embedding_model_path: {configured} must hold {' and '.join(FILES)}.")
        return configured
    if model != LOCAL_MODEL:
        raise ConfigError(
            f"rag.embedding_model: '{model}' is unknown here; {LOCAL_MODEL} runs locally, and a provider's is named provider/model."
        )
    own = model_directory(data_dir, model)
    chroma = Path.home() / ".cache" / "chroma" / "onnx_models" / model / "onnx"
    for directory in (own, chroma):
        if complete(directory):
            return directory
    raise ConfigError(
        f"The embedding model {model} is not on this node. Run: intellirouter models pull {model}   "
        f"(or set rag.embedding_model_path to a directory with {' and '.join(FILES)})."
    )


def complete(directory: Path) -> bool:
    """It holds the files of a model."""
    return all((directory / file).is_file() for file in FILES)


def keep(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a model, each whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        partial = directory / f"{name}.partial"
        partial.write_bytes(data)
        partial.replace(directory / name)
