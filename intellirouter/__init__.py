"""IntelliRouter: a self-hosted LLM platform in one wheel.

The floors of this house, top to bottom; a module imports only from floors below its own
(`scripts/check` holds this):

    cli                                   one file per command
    app                                   which roles, which components, start and stop
    roles, ops                            the four services; backup, restore, diagnose
    web, peers, inference, chains         HTTP plumbing; role-to-role clients; dispatch; run interpreter
    transport                             bytes to and from an upstream
    providers, memory, vectors, security, telemetry
                                          vendor dialects as pure functions; state; indexes; keys; logs and metrics
    chat                                  the canonical request, response and deltas, and their wire formats
    config                                typed settings
    errors                                every way this can fail
"""

__version__ = "0.1.0"
