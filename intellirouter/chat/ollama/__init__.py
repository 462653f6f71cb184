"""Ollama's native API: chat, generate, and newline-delimited JSON streams.

Source: Ollama's API documentation (`docs/api.md`). Where it differs from the canonical form: sampling settings live in
`options`, pictures are base64 beside the text, tool calls have objects as arguments and often no ids, and a call stops
with the reason `stop`.
"""
