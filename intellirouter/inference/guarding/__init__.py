"""Guards before dispatch: whoever asks a model, a client, a chain or a role, asks it through them.

`guarded.py` takes a request through its guards and its answer back; `remote.py` asks those who are asked (a webhook, a judge, by
`moderation.py` a moderation endpoint, by `presidio.py` an analyzer), and `verdict.py` is what they say;
`rules.py` holds what is configured. What is found and how is in `intellirouter/guards`.
"""
