"""Which backups of a place may go, by rules like restic's `forget`. A backup's name says when it was made and how it is tagged.

intellirouter-20260331T120000.000000Z~before-upgrade.irbackup
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup import archive, snapshot
from intellirouter.ops.backup.place import File

PREFIX = "intellirouter-"
FORM = "%Y%m%dT%H%M%S.%fZ"
TAG_MARK = "~"
TAG = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
MAX_TAGS = 8
_SPAN = re.compile(r"(?:(\d{1,4})y)?(?:(\d{1,5})m)?(?:(\d{1,6})d)?(?:(\d{1,7})h)?")
_HOURS = (365 * 24, 30 * 24, 24, 1)


@dataclass(frozen=True, slots=True)
class Keep:
    """What stays: younger than `days` or `within`, the `last` ones, the last of so many hours, days, weeks, months and years
    (UTC) in which one was made, and those with one of `tags`."""

    days: float = 30
    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: timedelta = timedelta(0)
    tags: frozenset[str] = frozenset()


def name_of(made: datetime, suffix: str = archive.SUFFIX, tags: Iterable[str] = ()) -> str:
    """The name of a backup that is made now. Raises `InvalidRequest` for what is no tag."""
    marked = sorted(set(tags))
    for tag in marked:
        if not TAG.fullmatch(tag):
            raise InvalidRequest(
                f"'{tag}' is no tag: small letters, digits and dashes, 32 at most.", param="--tag"
            )
    if len(marked) > MAX_TAGS:
        raise InvalidRequest(f"A backup has {MAX_TAGS} tags at most.", param="--tag")
    return f"{PREFIX}{made:{FORM}}{''.join(TAG_MARK + tag for tag in marked)}{suffix}"


def made_at(file: File) -> datetime | None:
    """When a backup was made, by its name; None for a file that is not called like one of ours."""
    try:
        made = datetime.strptime(file.stem.partition(TAG_MARK)[0], f"{PREFIX}{FORM}").replace(tzinfo=UTC)
    except ValueError:
        return None
    return made if file.suffix in (archive.SUFFIX, snapshot.SUFFIX) else None


def tags_of(file: File) -> list[str]:
    """The tags of a backup, by its name."""
    return file.stem.split(TAG_MARK)[1:]


def span(text: str) -> timedelta:
    """`1y6m`, `10d`, `36h`: years of 365 days, months of 30. Raises `InvalidRequest`."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise InvalidRequest(f"'{text}' is no span of time: 1y6m, 10d, 36h.", param="--keep-within")
    return timedelta(
        hours=sum(int(part or 0) * hours for part, hours in zip(found.groups(), _HOURS, strict=True))
    )


def superfluous(files: Iterable[File], now: datetime, keep: Keep) -> list[File]:
    """What no rule keeps, the oldest first. The newest of all stays, and so does every file that is not called like a backup."""
    dated = [(made, file) for file in files if (made := made_at(file)) is not None]
    dated.sort(key=lambda entry: (entry[0], entry[1].name), reverse=True)
    young = max(timedelta(days=keep.days), keep.within)
    kept = {file for made, file in dated if now - made <= young or keep.tags & set(tags_of(file))}
    kept |= {file for _, file in dated[: max(1, keep.last)]}
    periods: tuple[tuple[int, Callable[[datetime], object]], ...] = (
        (keep.hourly, lambda made: (made.date(), made.hour)),
        (keep.daily, lambda made: made.date()),
        (keep.weekly, lambda made: made.isocalendar()[:2]),
        (keep.monthly, lambda made: (made.year, made.month)),
        (keep.yearly, lambda made: made.year),
    )
    for count, period in periods:
        latest: dict[object, File] = {}
        for made, file in dated:
            latest.setdefault(period(made), file)
        kept |= set(list(latest.values())[:count])
    return [file for _, file in reversed(dated) if file not in kept]
