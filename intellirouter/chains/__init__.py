"""Chain definitions and the interpreter that runs them.

source     text (YAML, TOML, JSON) → a plain document, and the line of every key
schema     the one JSON Schema of a definition
described  the words of the schema, for editors
check      a document → a `Chain`, or every problem with its line and path
expr       expressions and templates: Jinja2, cut down to plain JSON values
plan       how many recorded results each body may need; which chains call which
interpreter  walks a `Chain`; does no I/O: effects, concurrency and waiting are its host's
agent      the loop of a model and its tools
steps/     what each kind of step with an effect does
runtime/   the hosts: in this process, or durable on DBOS
drawing/   pictures of definitions and runs
compare    what differs between two definitions
examples   the chains that come with the product
trial      cases that test a chain, with stubs for whatever it asks
ports      what steps need from the outside
"""
