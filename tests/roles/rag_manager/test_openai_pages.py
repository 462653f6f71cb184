"""Pages of the catalogue's lists, against the same list cut in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager import catalog, openai_catalog
from intellirouter.roles.rag_manager.openai_pages import Page, read_page

STATES = ("ready", "failed", "queued")


def filled(count: int, moments: Sequence[int] = (0,)) -> sqlite3.Connection:
    """A tenant with so many files, attached to its one store; another tenant with as many."""
    db = sqlite3.connect(":memory:")
    db.executescript(catalog.SCHEMA + openai_catalog.SCHEMA)
    for tenant in ("a", "b"):
        catalog.add_collection(db, catalog.CollectionRow(f"ir-0{tenant}", tenant, "docs", "model", 0))
        for number in range(count):
            id_, made = f"{tenant}{number:02}", moments[number % len(moments)]
            db.execute("insert into files values (?, ?, ?, 'user_data', 1, '', ?)", (id_, tenant, id_, made))
            words = "insert into documents values (?, ?, ?, '', 10, ?, null, '{}', 0)"
            db.execute(words, (f"d{id_}", f"ir-0{tenant}", id_, STATES[number % 3]))
            db.execute(
                "insert into attachments (document, file, created) values (?, ?, ?)", (f"d{id_}", id_, made)
            )
    return db


def cut(ids: list[str], page: Page) -> tuple[list[str], bool]:
    """What the API's reference says of `limit`, `order`, `after` and `before`."""
    shown = ids[::-1] if page.descending else ids
    start = shown.index(page.after) + 1 if page.after else 0
    end = shown.index(page.before) if page.before else len(shown)
    window = shown[start:end]
    backwards = page.before is not None and page.after is None
    part = window[-page.limit :] if backwards else window[: page.limit]
    return part, len(part) < len(window)


@given(
    count=st.integers(1, 12),
    moments=st.lists(st.integers(0, 3), min_size=1, max_size=5),
    limit=st.integers(1, 6),
    descending=st.booleans(),
    cursors=st.tuples(st.none() | st.integers(0, 11), st.none() | st.integers(0, 11)),
)
def test_a_page_is_a_part_of_the_list(
    count: int,
    moments: list[int],
    limit: int,
    descending: bool,
    cursors: tuple[int | None, int | None],
) -> None:
    db = filled(count, moments)
    after, before = (None if each is None else f"a{each % count:02}" for each in cursors)
    page = Page(limit, descending, after, before)
    by_age = sorted((moments[number % len(moments)], f"a{number:02}") for number in range(count))
    rows, more = read_page(db, openai_catalog.files("a", None), page)
    assert ([row["id"] for row in rows], more) == cut([id_ for _, id_ in by_age], page)
    rows, more = read_page(db, openai_catalog.attached("ir-0a", None, None), page)
    assert ([row["id"] for row in rows], more) == cut([f"a{number:02}" for number in range(count)], page)
    db.close()


def test_a_file_is_a_place_in_a_list_that_it_is_no_longer_in() -> None:
    db = filled(9)
    queued = openai_catalog.attached("ir-0a", None, "queued")
    rows, more = read_page(db, queued, Page(1, descending=False))
    assert ([row["id"] for row in rows], more) == (["a02"], True)
    db.execute("update documents set status = 'ready' where id = 'da02'")
    rows, more = read_page(db, queued, Page(5, descending=False, after="a02"))
    assert ([row["id"] for row in rows], more) == (["a05", "a08"], False)


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize("id_", ["b00", "nothing", ""])
def test_a_cursor_of_another_tenant_names_nothing(name: str, id_: str) -> None:
    db = filled(2)
    page = Page(5, True, after=id_) if name == "after" else Page(5, True, before=id_)
    for listing in (openai_catalog.files("a", None), openai_catalog.attached("ir-0a", None, None)):
        with pytest.raises(InvalidRequest) as refused:
            read_page(db, listing, page)
        assert refused.value.param == name


def test_stores_are_counted() -> None:
    db = filled(7)
    rows, more = read_page(db, openai_catalog.stores("a"), Page(5, descending=True))
    (store,) = openai_catalog.counted(db, openai_catalog.with_metadata(rows))
    assert not more
    assert (store["collection"], store["name"], store["metadata"]) == ("ir-0a", "docs", {})
    numbers = {key: store[key] for key in ("total", "completed", "failed", "in_progress", "usage")}
    assert numbers == {"total": 7, "completed": 3, "failed": 2, "in_progress": 2, "usage": 30}
    assert read_page(db, openai_catalog.stores("a"), Page(5, True, after="vs_0a")) == ([], False)
