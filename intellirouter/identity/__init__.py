"""People, service accounts, teams and sign-ins: kept in the shared store, known to every node, and vouched for by tokens.

`store` keeps and changes records and `follower` has a node's `Directory` (security/people.py) follow them. `passwords` checks
passwords aside from the event loop; `sessions` makes, refreshes and ends sign-ins with our own tokens; `issuers` takes tokens of
others by the keys they publish; `oidc` signs people in at a provider. Nothing here knows HTTP: the Router's fronts do.
"""
