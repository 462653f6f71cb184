"""Sources: places that a collection follows by itself (`[[rag.sources]]`).

source     the interface: what there is, each with a mark of its version, and the bytes of one by name
kinds      kind → source
folder, web/, git, bucket, webdav, rows, imap/, confluence/  the kinds
seen       in the catalogue: what was seen with which mark, and how the last look went
syncing    one look: fetch what is new or changed, hand it to ingestion, remove what is gone
timetable  when each is looked at, one look of a source at a time
api        `/rag/v1/sources`

A source that does not answer, or tells of less than everything, removes nothing. What is brought in is a document like any other:
ingestion reads it in its process, seals and bounds it. A source is looked at on the node its collection is on.
"""
