"""What only the Router's handlers need."""

from __future__ import annotations

from aiohttp import web

from intellirouter.config.schema.router import RouterSection
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.dispatch import Dispatch
from intellirouter.inference.limits.governor import Governor
from intellirouter.inference.limits.ledger import Ledger
from intellirouter.inference.standing import Board

CATALOG: web.AppKey[Catalog] = web.AppKey("catalog")
DISPATCH: web.AppKey[Dispatch] = web.AppKey("dispatch")
BOARD: web.AppKey[Board] = web.AppKey("board", Board)
LEDGER: web.AppKey[Ledger] = web.AppKey("ledger", Ledger)
GOVERNOR: web.AppKey[Governor] = web.AppKey("governor", Governor)
ROUTING: web.AppKey[RouterSection] = web.AppKey("routing")
