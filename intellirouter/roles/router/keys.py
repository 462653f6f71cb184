"""What only the Router's handlers need."""

from __future__ import annotations

from aiohttp import web

from intellirouter.config.schema.router import RouterSection
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.dispatch import Dispatch
from intellirouter.inference.standing import Board

CATALOG: web.AppKey[Catalog] = web.AppKey("catalog")
DISPATCH: web.AppKey[Dispatch] = web.AppKey("dispatch")
BOARD: web.AppKey[Board] = web.AppKey("board", Board)
ROUTING: web.AppKey[RouterSection] = web.AppKey("routing")
