"""Which backups of a directory may go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from intellirouter.ops.backup import archive, snapshot
from intellirouter.ops.backup.place import File

PREFIX = "intellirouter-"
FORM = "%Y%m%dT%H%M%S.%fZ"


def name_of(made: datetime, suffix: str = archive.SUFFIX) -> str:
    """The name of a backup that is made now."""
    return f"{PREFIX}{made:{FORM}}{suffix}"


def made_at(file: File) -> datetime | None:
    """When a backup was made, by its name; None for a file that is not called like one of ours."""
    try:
        made = datetime.strptime(file.stem, f"{PREFIX}{FORM}").replace(tzinfo=UTC)
    except ValueError:
        return None
    return made if file.suffix in (archive.SUFFIX, snapshot.SUFFIX) else None


def superfluous(
    files: Iterable[File],
    now: datetime,
    *,
    days: int = 30,
    daily: int = 0,
    weekly: int = 0,
    monthly: int = 0,
) -> list[File]:
    """What is older than `days`, and not the last of one of the `daily` latest days, `weekly` weeks, `monthly` months.

    The newest of all stays, and so does every file that is not called like a backup.
    """
    dated = [(made, file) for file in files if (made := made_at(file)) is not None]
    dated.sort(key=lambda entry: (entry[0], entry[1].name), reverse=True)
    kept = {file for made, file in dated if now - made <= timedelta(days=days)}
    kept |= {file for _, file in dated[:1]}
    periods: tuple[tuple[int, Callable[[datetime], object]], ...] = (
        (daily, lambda made: made.date()),
        (weekly, lambda made: made.isocalendar()[:2]),
        (monthly, lambda made: (made.year, made.month)),
    )
    for count, period in periods:
        latest: dict[object, File] = {}
        for made, file in dated:
            latest.setdefault(period(made), file)
        kept |= set(list(latest.values())[:count])
    return [file for _, file in reversed(dated) if file not in kept]
