"""HTTP plumbing every role shares: application factory, errors, bodies, server-sent events, probes."""
