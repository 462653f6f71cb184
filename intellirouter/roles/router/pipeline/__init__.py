"""What happens to a request around the model's answer: persona, conversation, retrieval, then dispatch, then storing.

`course.py` prepares one request step by step, each skipped when it is not asked for; `answering.py` puts it around
dispatch. A request that asks for nothing goes past it all for the price of one look.
"""
