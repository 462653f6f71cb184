"""Approvals: runs that wait for a person.

inbox   who is asked for what, and since when
links   addresses that let whoever has them answer one wait, signed
page    the form as a web page, from a JSON Schema, and back
"""
