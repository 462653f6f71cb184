"""Make the table of published model facts that the wheel carries from a JSON of the same facts.

    python -m scripts.model_facts FACTS.json [intellirouter/inference/published.tsv]

The JSON has `as_of`, `note` (whose work it is) and `models`: `vendor/model` to `mode`, `input_usd_per_mtok`,
`output_usd_per_mtok`, `cache_read_usd_per_mtok`, `cache_write_usd_per_mtok`, `max_input_tokens`, `max_output_tokens`,
`supports` and `deprecation_date`. Kinds of model that no endpoint here serves are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

MODES = ("chat", "responses", "completion", "embedding")
NUMBERS = (
    "input_usd_per_mtok",
    "output_usd_per_mtok",
    "cache_read_usd_per_mtok",
    "cache_write_usd_per_mtok",
    "max_input_tokens",
    "max_output_tokens",
)
COLUMNS = "model mode input output cached cache_write context max_output retires capabilities"
CAPABILITIES = {
    "function_calling": "tools",
    "parallel_function_calling": "parallel_tools",
    "response_schema": "json_schema",
    "reasoning": "reasoning",
    "vision": "vision",
    "pdf_input": "pdf",
    "audio_input": "audio",
    "audio_output": "speech",
    "video_input": "video",
    "prompt_caching": "prompt_cache",
    "web_search": "web_search",
    "computer_use": "computer_use",
}


def table(facts: dict[str, Any]) -> str:
    """The lines, a head of comments first, sorted by model."""
    head = [f"# as of {facts['as_of']}", f"# {facts['note']}", f"# {COLUMNS}"]
    rows = (_row(name, model) for name, model in facts["models"].items() if model.get("mode") in MODES)
    return "\n".join([*head, *sorted(rows), ""])


def _row(name: str, model: dict[str, Any]) -> str:
    numbers = ["" if model.get(key) is None else f"{model[key]:.12g}" for key in NUMBERS]
    can = {CAPABILITIES[word] for word in model.get("supports", ()) if word in CAPABILITIES}
    if model["mode"] == "embedding":
        can.add("embedding")
    return "\t".join(
        [name, model["mode"], *numbers, model.get("deprecation_date", ""), ",".join(sorted(can))]
    )


def main() -> int:
    """Write the table."""
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    home = Path(__file__).parents[1] / "intellirouter" / "inference" / "published.tsv"
    target = Path(sys.argv[2]) if len(sys.argv) == 3 else home
    target.write_text(table(json.loads(Path(sys.argv[1]).read_text())), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
