"""Anthropic's Messages: the dialect of Claude, the anthropic SDKs and Claude Code.

Source: Anthropic API reference, "Messages" (request, message object, streaming events), and the published types of its
Python SDK.

Where it differs from the canonical form: the system prompt is a field, not a turn; tool results are blocks of a user
turn; `input_tokens` excludes what was read from or written to the prompt cache, while ours includes it; thinking is
signed and must come back unchanged.
"""
