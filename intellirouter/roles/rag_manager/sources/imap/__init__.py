"""Messages of an IMAP server: `mailbox.py` is the source, `session.py` what is said to the server, by blocking calls in one thread.

Source: RFC 3501 (IMAP4rev1), RFC 4616 (PLAIN), RFC 6154 (special-use folders).
"""
