"""OpenAI's legacy Completions: one prompt, one text. Both directions, since base models speak nothing else.

Source: OpenAI API reference, "Completions". A client of it is answered by any chat model as a conversation of one turn;
a conversation goes to a target of it as a prompt. What one of the two cannot do is refused by name.
"""
