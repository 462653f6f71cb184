"""What only the Router's handlers need."""

from __future__ import annotations

from aiohttp import web

from intellirouter.config.schema.router import RouterSection
from intellirouter.inference.answering import Answering
from intellirouter.inference.cache.store import ResponseCache
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.discovery import Discovery
from intellirouter.inference.guarding.guarded import Guarded
from intellirouter.inference.guarding.rules import Guards
from intellirouter.inference.learned import Learned
from intellirouter.inference.limits.governor import Governor
from intellirouter.inference.limits.ledger import Ledger
from intellirouter.inference.plan import Planner
from intellirouter.inference.registry import Registry
from intellirouter.inference.school import School
from intellirouter.inference.standing import Board
from intellirouter.inference.switches import Switches
from intellirouter.memory.conversations import Conversations
from intellirouter.memory.responses import Responses
from intellirouter.roles.router.kept_content import ContentPolicy
from intellirouter.roles.router.pipeline.outcomes import Outcomes

CATALOG: web.AppKey[Catalog] = web.AppKey("catalog")
DISCOVERY: web.AppKey[Discovery] = web.AppKey("discovery", Discovery)
GUARDS: web.AppKey[Guards] = web.AppKey("guards", Guards)
DISPATCH: web.AppKey[Guarded] = web.AppKey("dispatch")
BOARD: web.AppKey[Board] = web.AppKey("board", Board)
LEARNED: web.AppKey[Learned] = web.AppKey("learned", Learned)
SWITCHES: web.AppKey[Switches] = web.AppKey("switches", Switches)
SCHOOL: web.AppKey[School] = web.AppKey("school", School)
PLANNER: web.AppKey[Planner] = web.AppKey("planner", Planner)
LEDGER: web.AppKey[Ledger] = web.AppKey("ledger", Ledger)
GOVERNOR: web.AppKey[Governor] = web.AppKey("governor", Governor)
CACHE: web.AppKey[ResponseCache] = web.AppKey("cache", ResponseCache)
REGISTRY: web.AppKey[Registry] = web.AppKey("registry", Registry)
ANSWERING: web.AppKey[Answering] = web.AppKey("answering")
"""Dispatch with the pipeline around it: what the fronts ask."""
CONVERSATIONS: web.AppKey[Conversations] = web.AppKey("conversations", Conversations)
RESPONSES: web.AppKey[Responses] = web.AppKey("responses", Responses)
OUTCOMES: web.AppKey[Outcomes] = web.AppKey("outcomes", Outcomes)
CONTENT: web.AppKey[ContentPolicy] = web.AppKey("content", ContentPolicy)
"""What of requests and answers the record keeps."""
ROUTING: web.AppKey[RouterSection] = web.AppKey("routing")
