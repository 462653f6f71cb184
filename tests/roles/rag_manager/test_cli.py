"""The commands that follow a folder and judge a collection, each a run of its own on one data directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intellirouter.cli.main import main
from tests.servers.minilm import minilm


def test_sync_reindex_and_eval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "node.toml"
    data = tmp_path / "data"

    def configure(size: int) -> None:
        config.write_text(
            f'[paths]\ndata_dir = "{data}"\n[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\n'
            f"chunk_size = {size}\nchunk_overlap = 0\n"
        )

    def rag(*words: str) -> str:
        try:
            main(["rag", *words, "--config", str(config)])
        except SystemExit as stop:
            assert not stop.code, capsys.readouterr().err
        return capsys.readouterr().out.strip()

    configure(1000)
    folder = tmp_path / "pages"
    (folder / "sub").mkdir(parents=True)
    (folder / "cats.md").write_text("Cats sleep all day. They hunt at night. Milk is not good for them.")
    (folder / "sub" / "bread.md").write_text("Dough rises in a warm place.")
    assert rag("sync", "docs", str(folder)) == "2 ready"
    assert rag("sync", "docs", str(folder)) == "2 unchanged"
    (folder / "sub" / "bread.md").unlink()
    (folder / "cars.md").write_text("An engine burns petrol.")
    assert rag("sync", "docs", str(folder)) == "1 ready, 1 unchanged, 1 without a file"
    assert rag("sync", "docs", str(folder), "--delete") == "1 removed, 2 unchanged"
    assert json.loads(rag("ls", "--json"))[0]["chunks"] == 2

    configure(50)
    assert rag("reindex", "docs") == "2 ready"
    assert json.loads(rag("ls", "--json"))[0]["chunks"] == 3
    assert rag("verify", "docs").startswith("0 chunks without a vector, 0 ")

    questions = tmp_path / "questions.jsonl"
    questions.write_text(
        '{"query": "pets", "documents": ["cats.md"]}\n{"query": "engine", "documents": ["cars.md"]}\n'
    )
    stages = json.loads(rag("eval", "docs", str(questions), "--json"))
    assert stages["dense"] == {"ndcg": 1.0, "recall": 1.0}
    assert stages["lexical"] == {"ndcg": 0.5, "recall": 0.5}
    assert stages["hybrid"] == {"ndcg": 1.0, "recall": 1.0}
