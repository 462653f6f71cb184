"""Pages of a Confluence wiki: `wiki.py` is the source, `api.py` what is asked in either version of its API, `storage.py` its format of pages as HTML.

Source: Atlassian, "The Confluence Cloud REST API" (v2) and "Confluence Data Center REST API" (v1), "Confluence storage format".
"""
