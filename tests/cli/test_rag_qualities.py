"""The table of `intellirouter rag evaluate`."""

from __future__ import annotations

import io

from rich.console import Console

from intellirouter.cli.rag import _qualities
from intellirouter.roles.rag_manager.evaluation import Quality


def test_each_stage_is_shown_with_how_far_hybrid_search_is_ahead_of_it() -> None:
    out = io.StringIO()
    found = {
        "lexical": Quality(0.5, 0.625, 0.02, 0.25),
        "dense": Quality(0.75, 0.875, 0.01, 0.5),
        "hybrid": Quality(0.725, 1.0, 0.0, 0.75),
    }
    Console(file=out, width=79).print(_qualities(found, 8))
    title, *lines = out.getvalue().splitlines()
    assert title.strip() == "8 questions"
    rows = [[cell.strip() for cell in line.strip("│┃").split("│")] for line in lines if "0." in line]
    assert rows == [
        ["lexical", "0.500", "0.625", "0.250", "+0.225 ± 0.020"],
        ["dense", "0.750", "0.875", "0.500", "-0.025 ± 0.010"],
        ["hybrid", "0.725", "1.000", "0.750", ""],
    ]
