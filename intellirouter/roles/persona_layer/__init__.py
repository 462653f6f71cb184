"""The PersonaLayer: system prompts and personas as versioned files.

`persona.py` says what a persona is, `source.py` reads one, `library.py` keeps them all with their history, `resolver.py`
makes one ready for a request, `api.py` is the role's HTTP.
"""
