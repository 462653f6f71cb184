"""Kind → source. A new kind is a file, a word in `config/schema/rag_sources.py` and a line here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from intellirouter.config.schema.rag_sources import Kind, RagSource
from intellirouter.roles.rag_manager.sources.bucket import Bucket
from intellirouter.roles.rag_manager.sources.confluence.wiki import Wiki
from intellirouter.roles.rag_manager.sources.folder import Folder
from intellirouter.roles.rag_manager.sources.git import Repository
from intellirouter.roles.rag_manager.sources.source import Source
from intellirouter.roles.rag_manager.sources.web.site import Site
from intellirouter.roles.rag_manager.sources.webdav import Share
from intellirouter.transport.outgoing.door import OutgoingDoor


def _folder(section: RagSource, _door: OutgoingDoor) -> Source:
    if section.path is None:
        raise ValueError("the schema lets no folder without a path through")
    return Folder(section, section.path)


def _git(section: RagSource, _door: OutgoingDoor) -> Source:
    return Repository(section)


def _s3(section: RagSource, _door: OutgoingDoor) -> Source:
    return Bucket(section)


def _postgres(section: RagSource, _door: OutgoingDoor) -> Source:
    rows = importlib.import_module("intellirouter.roles.rag_manager.sources.rows")  # psycopg takes long
    source: Source = rows.Rows(section)
    return source


def _imap(section: RagSource, _door: OutgoingDoor) -> Source:
    mailbox = importlib.import_module(
        "intellirouter.roles.rag_manager.sources.imap.mailbox"
    )  # with the parser of mail
    source: Source = mailbox.Mailbox(section)
    return source


KINDS: Mapping[Kind, Callable[[RagSource, OutgoingDoor], Source]] = {
    "folder": _folder,
    "web": Site,
    "git": _git,
    "s3": _s3,
    "webdav": Share,
    "postgres": _postgres,
    "imap": _imap,
    "confluence": Wiki,
}


def opened(section: RagSource, door: OutgoingDoor) -> Source:
    """The source of a section, for one look."""
    return KINDS[section.kind](section, door)
