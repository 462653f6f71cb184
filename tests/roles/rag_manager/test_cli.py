"""The commands that follow a folder and judge a collection, each a run of its own on one data directory."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path

import pytest

from intellirouter.cli.main import main
from tests.chains.crash import ROOT
from tests.conftest import StartNode
from tests.servers.minilm import minilm
from tests.servers.warm.process import warm_command


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
    (folder / "sub" / "bread.md").unlink()
    (folder / "cars.md").write_text("An engine burns petrol.")
    assert rag("sync", "docs", str(folder)) == "1 ready, 1 unchanged, 1 without a file"
    (folder / "prompt.md").write_text("The mark [/INST] ends [bold]what[/] is asked.")
    assert rag("sync", "docs", str(folder), "--delete") == "1 ready, 1 removed, 2 unchanged"
    assert json.loads(rag("ls", "--json"))[0]["chunks"] == 3

    (tmp_path / "unmounted").mkdir()  # a disk that is away looks like a folder without files
    main_words = ["rag", "sync", "docs", str(tmp_path / "unmounted"), "--delete", "--config", str(config)]
    with pytest.raises(SystemExit) as stop:
        main(main_words)
    held = capsys.readouterr()
    assert (stop.value.code, held.out.strip()) == (1, "3 without a file")
    assert "it lists nothing at all" in held.err
    assert "--force removes 3 documents" in held.err
    listed = json.loads(rag("ls", "docs", "--json"))
    assert [(row["name"], row["status"]) for row in listed] == [
        ("cars.md", "ready"),
        ("cats.md", "ready"),
        ("prompt.md", "ready"),
    ]

    configure(50)
    assert rag("reindex", "docs") == "3 ready"
    assert json.loads(rag("ls", "--json"))[0]["chunks"] == 4
    assert rag("verify", "docs").startswith("0 chunks without a vector, 0 ")
    found = rag("search", "docs", "mark")
    assert "[/INST]" in found
    assert "[bold]what[/]" in found

    questions = tmp_path / "questions.jsonl"
    questions.write_text(
        '{"query": "pets", "documents": ["cats.md"]}\n{"query": "engine", "documents": ["cars.md"]}\n'
    )
    stages = json.loads(rag("eval", "docs", str(questions), "--json"))
    assert stages["dense"] == {"ndcg": 1.0, "recall": 1.0, "error": 0.0, "first": 1.0}
    assert stages["lexical"] == {"ndcg": 0.5, "recall": 0.5, "error": 0.5, "first": 0.5}
    assert [miss["query"] for miss in stages["misses"]] == []
    assert stages["hybrid"] == {"ndcg": 1.0, "recall": 1.0, "error": 0.0, "first": 1.0}
    lines = [f'{{"query": "what do pets do {n}", "documents": ["cats.md"]}}' for n in range(24)]
    questions.write_text("\n".join(lines))
    assert "leave it at 0.8" in rag("tune", "docs", str(questions))
    told = json.loads(rag("tune", "docs", str(questions), "--json"))
    assert (told["now"], sum(told["questions"]), told["proven"]) == (0.8, 24, False)
    assert rag("delete", "docs", "cats.md", "cars.md") == "2 documents removed."
    assert "prompt.md" in rag("ls", "docs")
    for words, says in (
        (["docs"], "--whole"),
        (["docs", "prompt.md", "--whole"], "--whole"),
        (["docs", "prompt.md", "gone.md"], "no document 'gone.md': nothing was removed"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["rag", "delete", *words, "--config", str(config)])
        assert stop.value.code == 2
        assert says in capsys.readouterr().err
    empty = str(tmp_path / "unmounted")
    assert rag("sync", "docs", empty, "--delete", "--force") == "1 removed"
    assert rag("delete", "docs", "--whole") == "docs removed."
    assert json.loads(rag("ls", "--json")) == []


KEY = "ann's key"


async def test_the_commands_ask_a_node_that_has_the_files_open(start_node: StartNode, tmp_path: Path) -> None:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    toml = (
        f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\nmax_document_bytes = 100000\n'
        f'[[rag.sources]]\nname = "followed"\nkind = "folder"\npath = "{tmp_path}/pages/sub"\ncollection = "docs"\n'
        f'[auth]\nenabled = true\n[[auth.keys]]\nname = "ann"\nsha256 = "{digest}"\n'
    )
    node = await start_node(toml, role="RagManager")
    folder = tmp_path / "pages"
    (folder / "sub").mkdir(parents=True)
    (folder / "cats.md").write_text("Cats sleep all day.")
    (folder / "sub" / "söme bread?.md").write_text("Dough rises in a warm place.")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "INTELLIROUTER_RAG_URL": node.listening[0].url,
        "INTELLIROUTER_API_KEY": KEY,
        "COLUMNS": "200",
    }

    async def rag(*words: str, code: int | None = 0, **more: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *warm_command(),
            "rag",
            *words,
            env={name: value for name, value in {**environment, **more}.items() if value},
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await process.communicate()
        assert code in (None, process.returncode), complained.decode()
        return (said + complained).decode().strip()

    for words, nothing in (("ls", "No collection."), ("jobs", "No job.")):
        assert nothing in await rag(words)
    assert "2 ready" in await rag("ingest", "docs", "pages")
    assert "2 unchanged" in await rag("sync", "docs", "pages")
    (row,) = json.loads(await rag("sources", "ls", "--json"))
    assert (row["name"], row["documents"], row["last"]) == ("followed", 0, None)
    assert "ok: 1 ready; 1 document in docs" in await rag("sources", "sync", "followed")
    assert "ok: 1 unchanged" in await rag("sources", "sync", "followed")
    assert "no source 'none'" in await rag("sources", "show", "none", code=2)
    (folder / "sub" / "söme bread?.md").unlink()
    held = await rag("sources", "sync", "followed", code=1)
    assert "partial: 1 held" in held
    assert "--remove" in held
    assert "ok: 1 removed" in await rag("sources", "sync", "followed", "--remove")
    (folder / "large.txt").write_text("x" * 100_001)
    assert "1 failed, 1 removed, 1 unchanged" in (
        said := await rag("sync", "docs", "pages", "--delete", code=1)
    )
    assert "max_document_bytes" in said
    (row,) = json.loads(await rag("ls", "--json"))
    assert (row["name"], row["documents"]) == ("docs", 1)
    assert "Cats sleep" in await rag("search", "docs", "pets")
    assert "0 chunks without a vector, 0 " in await rag("verify", "docs")
    assert "0 vectors written" in await rag("rebuild", "docs")
    assert "1 ready" in await rag("reindex", "docs")
    assert len(told := json.loads(await rag("jobs", "--json"))) >= 2
    listed = await rag("jobs")
    assert all(row["id"] in listed for row in told)
    assert "docs/cats.md" in listed
    (tmp_path / "q.jsonl").write_text('{"query": "pets", "documents": ["cats.md"]}\n')
    assert json.loads(await rag("eval", "docs", "q.jsonl", "--json"))["hybrid"]["ndcg"] == 1.0
    assert [row["name"] for row in json.loads(await rag("ls", "docs", "--json"))] == ["cats.md"]
    assert "already" in await rag("create", "docs", code=2)
    assert "no collection 'none'" in await rag("search", "none", "pets", code=2)
    assert "--api-key" in await rag("ls", "--tenant", "b", code=2)
    assert "No API key. Give a key with --api-key" in await rag("ls", INTELLIROUTER_API_KEY="", code=1)
    assert "no RagManager answers" in await rag("ls", "--url", "http://127.0.0.1:9", code=1)

    assert "1 document removed" in await rag("delete", "docs", "cats.md")
    assert "docs removed" in await rag("delete", "docs", "--whole")
    assert "no collection 'docs'" in await rag("ls", "docs", code=2)

    # without an address: the files are open here, so whoever has them is asked, at the usual port
    data = node.loaded.settings.paths.data_dir
    (tmp_path / "node.toml").write_text(f'[paths]\ndata_dir = "{data}"\n')
    said = await rag(
        "ls", "--config", "node.toml", code=None, INTELLIROUTER_RAG_URL="", INTELLIROUTER_API_KEY="x"
    )
    assert f"{data / 'rag'} is open in a running node: asking http://127.0.0.1:8082" in said
