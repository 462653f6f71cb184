"""What strangers send is bounded here: documents (YAML, JSON, JSON Schema), patterns, expressions' work, names.

- `fuel`: a budget of work, counted and not timed, so that the same input ends the same way on every machine.
- `values`: size and depth of plain JSON data.
- `patterns`: regular expressions in linear time (RE2).
- `schemas`: JSON Schema without remote references, its work counted.
- `yamls`: YAML as JSON with comments, without aliases.
- `aside`: a few threads for work that is too long for the event loop, shared evenly between those who ask.
- `names`: how long a name or an id may be.
- `table`: every cache, parser, pattern and name of the package with its bound; a test reads it.

It imports nothing of ours but `errors`.
"""
