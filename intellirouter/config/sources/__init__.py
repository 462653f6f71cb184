"""Where a secret may be kept instead of in the configuration, and how it is read from there.

Wherever the schema has a secret, the file may name a place in its stead: `reference` says how, `places` finds those of a
configuration, `keeper` reads them, keeps the last good value while a source is away, and says when to look again. One file for each
kind of source; hvac and botocore are imported by theirs only. What a source answers never stands in a message.
"""
