"""Every recorded exchange of a provider that an adapter claims, understood as the vendor sent it."""

from __future__ import annotations

import sys
from collections import defaultdict

import pytest

from tests.providers.recorded.check import check
from tests.providers.recorded.mangled import check_mangled
from tests.providers.recorded.rows import FOLDER, Row, rows
from tests.providers.recorded.table import shown, tallied

pytestmark = pytest.mark.skipif(
    not FOLDER.exists(), reason="the recorded vendor traffic is not beside this clone"
)
CLAIMED = 1_011


def by_endpoint() -> dict[str, list[Row]]:
    """The claimed rows by provider and path."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows() if FOLDER.exists() else ():
        if row.claim is not None:
            found[f"{row.provider} {row.endpoint} as {row.claim.kind}"].append(row)
    return dict(found)


ROWS = by_endpoint()


@pytest.mark.parametrize("endpoint", sorted(ROWS))
def test_every_recorded_exchange_is_understood_as_the_vendor_sent_it(endpoint: str) -> None:
    for row in ROWS[endpoint]:
        try:
            check(row)
        except (Exception, pytest.fail.Exception) as error:
            raise AssertionError(f"{row.id} of {row.source}: {error!r}") from error


def test_no_row_is_left_out_in_silence() -> None:
    tally = tallied(rows())
    sys.stdout.write(f"\n{shown(tally)}\n")  # `pytest -s` shows it
    assert sum(line.claimed for line in tally) == CLAIMED
    assert all(line.reason for line in tally if not line.claimed)


def test_a_mangled_answer_is_read_or_is_its_vendors_fault() -> None:
    for row in (row for found in ROWS.values() for row in found if row.status < 400):
        try:
            check_mangled(row, 0)
        except Exception as error:
            raise AssertionError(f"{row.id} of {row.source}: {error!r}") from error
