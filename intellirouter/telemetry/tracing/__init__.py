"""Traces: a request's way through the roles, as spans.

`span.py` is what the code that works uses, and imports no OpenTelemetry; `otlp.py` records and exports, and is imported only where
a node is told where to. Trace context travels between the roles as W3C Trace Context has it. A span never holds what a user or a
model wrote, nor a secret.
"""
