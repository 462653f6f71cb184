"""OpenAI's Responses, both directions, for one turn at a time.

Source: OpenAI API reference, "Responses" (request, response object, streaming events).

The dialect speaks in items, the canonical model in messages: a run of assistant items (`message`, `function_call`,
`custom_tool_call`, `reasoning`, a vendor tool's call) is one assistant message, each tool output a message of its own.
Nothing is stored here: a client sends the conversation with every request.

Thoughts of other vendors travel as `reasoning` items whose `encrypted_content` we wrote ourselves (`sealed.py`), so
that signatures come back on the next turn from any client that returns its items unchanged.
"""
