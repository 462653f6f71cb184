"""The one table of what may be done: each permission, which endpoints ask for it, and which scopes and built-in roles hold it.

An endpoint is refused unless its caller holds its permission, so one that has no row cannot be made (`web/endpoint.py` asks
here). The description of the API and `config/PERMISSIONS.md` are made from the same rows. A new endpoint is a word in a row.

Names read `area:action`, and `admin:area:action` where it is the node's administration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

ROLES: Mapping[str, str] = {
    "viewer": "look at what the tenant has",
    "developer": "build with it: ask models, keep documents, chains and personas",
    "operator": "run the node: models, routing, cache, switches; no keys and no people",
    "auditor": "read what was done and how the node is set up; change nothing",
    "admin": "everything",
}
"""The roles that are there without a policy file."""

SIGNED_IN = "self:read"
"""Held by whoever is known, whatever else is held."""
PEERS = "peers:ask"
"""Held by nobody: other roles have it for their errands (`errands.py`)."""

_EVERY_SCOPE = "inference chains personas audit"
_READERS = "viewer developer operator"


@dataclass(frozen=True, slots=True)
class Permission:
    """`endpoints` ask for it; `scopes` of keys and built-in `roles` hold it (`admin` holds all). All are names, with blanks between them."""

    name: str
    text: str
    endpoints: str = ""
    scopes: str = ""
    roles: str = ""


PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        "inference:chat",
        "ask models for answers, count tokens",
        "chat_completions completions responses input_tokens messages count_tokens gemini ollama_chat "
        "ollama_generate grpc_complete grpc_stream",
        "inference",
        "developer",
    ),
    Permission(
        "inference:embed",
        "ask models for embeddings, and to rank texts",
        "embeddings rerank ollama_embed ollama_embeddings rag_embed grpc_embed",
        "inference",
        "developer",
    ),
    Permission("inference:feedback", "say how good an answer was", "feedback", "inference", "developer"),
    Permission(
        "models:read",
        "see which models there are",
        "models model ollama_tags ollama_show ollama_ps ollama_version",
        "inference",
        _READERS,
    ),
    Permission(
        "conversations:read",
        "read conversations",
        "conversations conversation",
        "inference",
        "viewer developer",
    ),
    Permission(
        "conversations:write", "delete conversations", "conversation_delete", "inference", "developer"
    ),
    Permission(
        "responses:read",
        "read kept responses",
        "response response_input_items",
        "inference",
        "viewer developer",
    ),
    Permission(
        "responses:write",
        "end and delete kept responses",
        "response_delete response_cancel",
        "inference",
        "developer",
    ),
    Permission(
        "chains:read",
        "see and check chains",
        "chains_list chains_validate chains_get chains_nodes chains_queue chains_versions chains_version chains_diff chains_drawing",
        "inference",
        _READERS,
    ),
    Permission(
        "chains:write",
        "store, roll back and delete chains",
        "chains_put chains_delete chains_rollback chains_rollout chains_rollout_end",
        "chains",
        "developer",
    ),
    Permission(
        "chains:start", "start chains", "chains_start chains_event grpc_run", "inference", "developer"
    ),
    Permission(
        "runs:read",
        "see runs",
        "chains_runs chains_run chains_steps chains_run_events chains_run_drawing chains_timeline chains_approvals",
        "inference",
        _READERS,
    ),
    Permission(
        "runs:write",
        "signal, cancel, resume and fork runs",
        "chains_signal chains_cancel chains_resume chains_fork chains_approval_link",
        "inference",
        "developer",
    ),
    Permission(
        "schedules:read",
        "see schedules and triggers",
        "chains_schedules chains_schedule chains_triggers chains_trigger",
        "inference",
        _READERS,
    ),
    Permission(
        "schedules:write",
        "make, pause, trigger and delete schedules, and triggers as well",
        "chains_schedule_put chains_schedule_delete chains_schedule_pause chains_schedule_resume chains_schedule_trigger "
        "chains_trigger_put chains_trigger_delete chains_trigger_pause chains_trigger_resume",
        "chains",
        "developer",
    ),
    Permission("hooks:read", "see what is told to other programs", "chains_hooks", "inference", _READERS),
    Permission("hooks:write", "tell it again", "chains_hooks_retry", "chains", "developer"),
    Permission(
        "collections:read",
        "see collections",
        "rag_collections vector_stores_list vector_stores_get",
        "inference",
        _READERS,
    ),
    Permission(
        "collections:write",
        "make, check, rebuild and delete collections",
        "rag_create rag_drop rag_reindex rag_verify rag_rebuild vector_stores_create vector_stores_update vector_stores_delete",
        "inference",
        "developer",
    ),
    Permission(
        "sources:read",
        "see which places collections follow, and what of them failed",
        "rag_sources rag_source",
        "inference",
        _READERS,
    ),
    Permission(
        "sources:sync",
        "have such a place looked at now",
        "rag_source_sync",
        "inference",
        "developer operator",
    ),
    Permission(
        "documents:read",
        "read documents, and how their reading goes on",
        "rag_documents rag_chunks rag_jobs rag_job rag_job_events files_list files_get files_content files_read "
        "vector_store_files_list vector_store_files_get vector_store_files_content vector_store_batches_get vector_store_batches_files",
        "inference",
        "viewer developer",
    ),
    Permission(
        "documents:write",
        "bring in and delete documents",
        "rag_submit rag_drop_document rag_cancel files_create files_delete uploads_create uploads_part uploads_complete uploads_cancel vector_store_files_create "
        "vector_store_files_update vector_store_files_delete vector_store_batches_create vector_store_batches_cancel",
        "inference",
        "developer",
    ),
    Permission(
        "documents:search",
        "search documents, also by asking a model",
        "rag_retrieve rag_candidates vector_stores_search grpc_retrieve",
        "inference",
        "viewer developer",
    ),
    Permission(
        "personas:read", "see which personas there are", "personas_list personas_get", "inference", _READERS
    ),
    Permission(
        "personas:use", "use personas in requests", "personas_render grpc_resolve", "inference", "developer"
    ),
    Permission(
        "personas:write",
        "change personas, and read what they say",
        "personas_put personas_delete personas_versions personas_rollback",
        "personas",
        "developer",
    ),
    Permission("tools:use", "use tools that the node runs", "", "inference", "developer"),
    Permission(
        "records:read",
        "see the requests of the tenant",
        "admin_requests admin_requests_follow admin_requests_export admin_request admin_session admin_usage",
        _EVERY_SCOPE,
        "viewer developer operator auditor",
    ),
    Permission(
        "admin:records:read", "see the requests of every tenant", "admin_records", "audit", "operator auditor"
    ),
    Permission(
        "admin:audit:read",
        "read who did what, and check that nothing of it was changed",
        "admin_audit admin_audit_verify",
        "audit",
        "auditor",
    ),
    Permission(
        "admin:keys:read", "see keys, without their secrets", "admin_list_keys", "", "operator auditor"
    ),
    Permission(
        "admin:keys:write",
        "make, change, block and revoke keys",
        "admin_create_key admin_rotate_key admin_revoke_key admin_update_key admin_block_key admin_unblock_key",
    ),
    Permission(
        "admin:users:read",
        "see users, service accounts, teams and roles",
        "admin_list_users admin_get_user admin_list_teams admin_list_roles",
        "",
        "operator auditor",
    ),
    Permission(
        "admin:users:write",
        "make, change, block and delete users, service accounts and teams",
        "admin_create_user admin_update_user admin_set_password admin_delete_user admin_block_user admin_unblock_user admin_create_team "
        "admin_update_team admin_delete_team",
    ),
    Permission(
        "admin:spend:read",
        "see what was spent, and what is left of budgets",
        "admin_spend admin_budgets",
        "",
        "operator auditor",
    ),
    Permission("admin:targets:read", "see how targets do", "admin_targets", "", "operator auditor"),
    Permission(
        "admin:personas:read", "see how personas do", "admin_persona_outcomes", "", "operator auditor"
    ),
    Permission("admin:personas:write", "change the personas that all tenants share"),
    Permission(
        "admin:config:read",
        "see the configuration, and how backups stand",
        "admin_configuration admin_backups",
        "",
        "operator auditor",
    ),
    Permission(
        "admin:settings:read",
        "see what is set at run time, and its versions",
        "admin_settings_shown admin_settings_history admin_settings_version",
        "",
        "operator auditor",
    ),
    Permission(
        "admin:settings:write",
        "set at run time providers, models, routes, limits, budgets and switches",
        "admin_settings_put admin_settings_patch admin_settings_roll_back",
    ),
    Permission("admin:cache:read", "see how the cache does", "admin_cache_stats", "", "operator auditor"),
    Permission("admin:cache:write", "clear the cache", "admin_clear_cache", "", "operator"),
    Permission(
        "admin:models:read",
        "see which models were added and removed",
        "admin_list_changes",
        "",
        "operator auditor",
    ),
    Permission(
        "admin:models:write", "add and remove models", "admin_add_model admin_remove_model", "", "operator"
    ),
    Permission(
        "admin:edges:read",
        "see what waits for the centre, and how edges do",
        "chains_edges",
        "",
        "operator auditor",
    ),
    Permission(
        "admin:edges:write",
        "have everything forwarded to the centre once more",
        "chains_edges_resend",
        "",
        "operator",
    ),
    Permission("admin:node:write", "drain targets and the node", "admin_drain", "", "operator"),
    Permission(
        "admin:guards:read",
        "see guards, and try them on a text",
        "admin_guards_shown admin_guards_test",
        "",
        "operator auditor",
    ),
    Permission(
        "admin:alerts:read",
        "see alerts and what became of them",
        "admin_alerts_shown admin_alerts_history",
        "",
        "operator auditor",
    ),
    Permission(
        "admin:alerts:write",
        "acknowledge and silence alerts, and try channels",
        "admin_alerts_acknowledge admin_alerts_silence admin_alerts_end_silence admin_alerts_test",
        "",
        "operator",
    ),
    Permission("admin:features:read", "see switches", "admin_features_shown", "", "operator auditor"),
    Permission(
        "admin:features:write",
        "turn switches",
        "admin_features_change admin_features_take_back",
        "",
        "operator",
    ),
    Permission(
        "admin:routing:read",
        "see how routing does and what it learnt",
        "admin_routing_status admin_routing_explain admin_routing_eval admin_routing_export",
        "",
        "operator auditor",
    ),
    Permission(
        "admin:routing:write",
        "bring in and forget what routing learnt",
        "admin_routing_take admin_routing_put admin_routing_forget",
        "",
        "operator",
    ),
    Permission(
        SIGNED_IN,
        "see who one is, and sign out",
        "whoami auth_logout",
        _EVERY_SCOPE,
        "viewer developer operator auditor",
    ),
    Permission(
        PEERS,
        "ask in another role's name (other roles only)",
        "caller grpc_caller grpc_handon outcomes grpc_outcomes chains_take grpc_take",
    ),
)

PUBLIC: Mapping[str, str] = {
    "auth_login": "takes the name and password that is asked for elsewhere",
    "auth_refresh": "takes the refresh token",
    "auth_methods": "says how one signs in",
    "auth_oidc_start": "leads to the provider of identities",
    "auth_oidc_callback": "takes what the provider vouches for, in the browser that was sent there",
    "auth_oidc_device": "gives a code that means nothing until somebody signed in with it",
    "auth_token": "takes the code of somebody who signed in",
    "openapi": "the description of the API holds nothing of the installation",
    "unknown": "what is not there",
    "root": "clients look whether somebody answers",
    "console_front_door": "says what answers here",
    "console_page": "the console's files; what they show is asked for by who is signed in",
    "console_session": "says that nobody is signed in",
    "console_sign_in": "takes the key or link that is asked for elsewhere",
    "chains_approve_page": "takes a signed link, which is good for one question",
    "chains_approve": "takes a signed link, which is good for one question",
    "chains_webhook": "takes the signature that a trigger's secret makes; its address is not guessed",
    "console_sign_out": "ends the session of its own cookie",
}
"""Endpoints that ask nobody who they are, and why."""

UNFRAMED: Mapping[str, str] = {
    "health": "probes have no key",
    "live": "probes have no key",
    "ready": "probes have no key",
    "metrics": "scrapers have no key; keep the port to yourself",
    "pass_on": "the role behind it asks, in the name of who is signed in to the console",
    "hand_on": "the RagManager asks, in the name of the caller that the Router knows",
}
"""Endpoints that no frame stands around, and who asks in its place."""

PERMISSION: Mapping[str, Permission] = {row.name: row for row in PERMISSIONS}
OF_ENDPOINT: Mapping[str, Permission] = {name: row for row in PERMISSIONS for name in row.endpoints.split()}
EVERYTHING = frozenset(PERMISSION) - {PEERS}
"""What the scope and the role `admin` hold."""

_SCOPES: dict[str, frozenset[str]] = {"admin": EVERYTHING}
_ROLES: dict[str, frozenset[str]] = {"admin": EVERYTHING}
for _row in PERMISSIONS:
    for _name in _row.scopes.split():
        _SCOPES[_name] = _SCOPES.get(_name, frozenset()) | {_row.name}
    for _name in _row.roles.split():
        _ROLES[_name] = _ROLES.get(_name, frozenset()) | {_row.name}


def permission_of(endpoint: str) -> Permission | None:
    """What an endpoint asks for; None for a public one. Raises `LookupError` for one that has no row."""
    row = OF_ENDPOINT.get(endpoint)
    if row is None and endpoint not in PUBLIC:
        raise LookupError(
            f"The endpoint '{endpoint}' has no row in security/permissions.py: add its name to the permission that it "
            "asks for, or to PUBLIC with the reason."
        )
    return row


@lru_cache(maxsize=1_024)
def of_scopes(scopes: frozenset[str]) -> frozenset[str]:
    """What a key with these scopes may."""
    return frozenset().union(*(_SCOPES.get(scope, frozenset()) for scope in scopes))


def of_role(role: str) -> frozenset[str] | None:
    """What a built-in role may; None where there is none of that name."""
    return _ROLES.get(role)


def matching(patterns: Iterable[str]) -> frozenset[str]:
    """The permissions that names with `*` stand for (`*` alone: everything)."""
    return frozenset(
        name for pattern in patterns for name in EVERYTHING if name == pattern or fnmatchcase(name, pattern)
    )


def holders(permission: Permission) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The scopes and the built-in roles that hold it."""
    name = permission.name
    scopes = tuple(scope for scope in (*_EVERY_SCOPE.split(), "admin") if name in _SCOPES[scope])
    return scopes, tuple(role for role in ROLES if name in _ROLES[role])


def markdown() -> str:
    """`config/PERMISSIONS.md`: who may do what, and which endpoints ask for it."""
    lines = [
        "# Permissions",
        "",
        "- [Built-in roles](#built-in-roles)",
        "- [Who holds what](#who-holds-what)",
        "- [Endpoints that ask nobody](#endpoints-that-ask-nobody)",
        "",
        "Generated from the table that the check itself reads (`python -m scripts.reference`). How roles are given to people:",
        "[IDENTITY.md](IDENTITY.md).",
        "",
        "## Built-in roles",
        "",
        "| role | may |",
        "|---|---|",
        *(f"| `{name}` | {text} |" for name, text in ROLES.items()),
        "",
        "## Who holds what",
        "",
        "| permission | lets | scopes of keys | roles |",
        "|---|---|---|---|",
    ]
    for row in PERMISSIONS:
        scopes, roles = holders(row)
        lines.append(f"| `{row.name}` | {row.text} | {', '.join(scopes)} | {', '.join(roles)} |")
    lines += ["", "## Endpoints that ask nobody", "", "| endpoint | why |", "|---|---|"]
    lines += [f"| {name} | {why} |" for name, why in {**PUBLIC, **UNFRAMED}.items()]
    return "\n".join(lines) + "\n"
