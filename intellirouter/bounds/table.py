"""Every cache, reader of foreign documents and pattern of the package, with what bounds it. `tests/bounds/test_table.py` walks the
source: what is not here fails there, and so does what is here and nowhere else.

A pattern of Python's `re` goes back over its text. So each is over a text with a bound, or is written so that it reads on in one
direction; what a stranger writes as a pattern goes to RE2 (`patterns.py`) and never to `re`.
"""

from __future__ import annotations

from collections.abc import Mapping

_CONFIGURATION = "the operator's own files, at a start, a reload or a command"
_NAME = "a name of at most 256 characters (bounds.names), or one of the catalogue"
_ANSWER = "one answer of a provider, within router.max_response_bytes"
_DOCUMENT = (
    "one document in the parsing process or a thread, within rag.max_document_bytes, parse_timeout_seconds"
)
_HEADER = "a header of at most 8190 bytes"
_QUERY = "a query or a form's field of a request, within server.max_body_bytes"

_PATTERNS: Mapping[str, str] = {
    _CONFIGURATION: "commit.py config/checking.py config/env.py config/lines.py config/misspelt.py config/unwise.py config/orchestrator_yaml.py config/reference.py config/rules.py "
    "cli/init_files.py cli/reference.py config/schema/auth.py config/schema/log_outlets.py config/schema/section.py config/schema/server.py alerts/channels/apprise_child.py cli/alerts.py ops/backup/looking.py ops/backup/retention.py config/schema/chain_engine.py config/toml_text.py config/weak_secrets.py config/shown.py ops/backup/outside.py "
    "transport/bucket.py ops/units.py web/openapi.py memory/bus.py inference/published.py providers/address.py",
    _NAME: "chat/anthropic_messages/models.py chat/openai_chat/other_parts.py chat/gemini/thinking.py chat/openai_chat/models.py chat/fit/takes.py chat/fit/settings.py inference/learning/tiers.py chat/fit/output.py "
    "providers/openai.py providers/takes.py memory/conversations.py memory/responses.py roles/rag_manager/catalog.py "
    "roles/rag_manager/ingest.py chat/anthropic_messages/blocks.py chat/gemini/parts.py security/people.py identity/tokens.py chains/schema.py",
    "the last 2,000 characters of what git complains of": "roles/rag_manager/sources/git.py",
    "one line of an IMAP server's answer, at most a million characters, in one direction and in a thread": "roles/rag_manager/sources/imap/session.py",
    "the number of a page, at most 100 characters": "roles/rag_manager/sources/confluence/wiki.py",
    _ANSWER: "roles/rag_manager/embedding/provider.py roles/rag_manager/assist/expansion.py chat/gemini/errors.py chat/sse.py chat/halves.py chat/json_array.py inference/rescue/ending.py inference/rescue/joint.py "
    "inference/rescue/opening.py inference/concealing.py inference/groups/answers.py inference/groups/judging.py inference/groups/validation.py inference/rescue/scripts.py roles/router/pipeline/citing.py",
    "10,000 characters of a vendor's message": "chat/failure.py",
    "one name of at most 64 characters in the answer of a service that guards": "inference/guarding/verdict.py",
    "an address of at most 8,000 characters, or a part of one": "transport/outgoing/places.py",
    _DOCUMENT: "roles/rag_manager/chunking.py roles/rag_manager/lexical.py roles/rag_manager/terms.py "
    "roles/rag_manager/resemblance.py roles/rag_manager/feedback.py roles/rag_manager/parsing/charset.py roles/rag_manager/parsing/markdown.py "
    "roles/rag_manager/parsing/html.py roles/rag_manager/parsing/grid.py roles/rag_manager/parsing/mail.py "
    "roles/rag_manager/parsing/books.py roles/rag_manager/parsing/cards.py roles/rag_manager/parsing/formats.py "
    "roles/rag_manager/parsing/pdf.py roles/rag_manager/parsing/tables.py roles/rag_manager/parsing/cells.py",
    _HEADER: "telemetry/tracing/span.py transport/fast/connection.py transport/fast/request.py web/application.py web/door.py web/endpoint.py web/whole.py",
    "2 MiB of a page in one direction, and 4,000 characters of one tag": "roles/rag_manager/sources/web/links.py",
    "one JSON body of a request, in one direction, a megabyte at a time": "bounds/json_values.py",
    _QUERY: "roles/rag_manager/openai_forms.py roles/rag_manager/rewriting.py roles/rag_manager/embedding/vocabulary.py roles/rag_manager/shape.py roles/rag_manager/relevance.py records/conditions.py roles/router/admin.py roles/router/auth_oidc.py roles/router/records_query.py chat/context.py roles/chain_engine/definitions.py roles/chain_engine/listening.py roles/chain_engine/api_triggers.py",
    "what is written down: records.max_content_bytes, or a line of the log": "records/redaction.py config/redact.py",
    "a line that is shipped, cut to MAX_SIZE (telemetry/shipping/entry.py)": "telemetry/shipping/entry.py telemetry/shipping/journald.py telemetry/shipping/syslog_form.py",
    "the request that is learned from, cut by inference/learning/question.py": "inference/learning/features.py inference/learning/question.py "
    "inference/offline.py",
    "one schema of at most 256,000 characters": "bounds/patterns.py",
    "the id of one file of a request, of one length": "roles/router/own_files.py",
    "the type of one tool of a request, within server.max_body_bytes and read once to its end and back": "chat/openai_chat/other_parts.py",
    "one template of at most 1,000,000 characters, in one direction": "chains/places.py",
    "a file of the product": "chains/examples.py",
    "one session of a row, at most 256 characters (records.named)": "roles/chain_engine/edges/adopting.py",
    "the path of one step": "chains/trial.py chains/drawing/marks.py",
    "10,000 characters of one template, which do not repeat its braces": "roles/chain_engine/triggers/firing.py",
    "one scalar of a definition of at most 1,000,000 characters, in one direction": "chains/source.py",
    "100,000 characters of a text at a time, every repeat with an end or in one direction; a long text in a thread": "guards/detectors/address.py guards/joining.py guards/places.py "
    "guards/detectors/email.py guards/detectors/injection.py guards/detectors/national.py guards/detectors/numbers.py guards/detectors/phone.py "
    "guards/detectors/secrets.py guards/detectors/unseen.py guards/detectors/words.py guards/escapes.py guards/folding.py guards/placeholders.py guards/scan.py",
}
_CACHES: Mapping[str, str] = {
    "the names of fields that the source writes": "chat/gemini/parts.py",
    "one value a process or a role": "ops/backup/locks.py identity/passwords.py guards/detectors/injection.py guards/detectors/language.py guards/keeping.py app/api.py app/grpc_peers.py bounds/schemas.py commit.py config/schema/section.py config/weak_secrets.py "
    "inference/learning/prior.py roles/rag_manager/parsing/ocr.py roles/router/console/pages.py",
    "as many as there are entries in the configuration or the catalogue": "inference/standing.py inference/limits/gate.py "
    "roles/rag_manager/cluster/placement.py providers/takes.py chat/anthropic_messages/models.py chat/gemini/thinking.py "
    "chat/openai_chat/models.py",
    "a number of entries, said where it is made": "web/addresses.py identity/tokens.py ops/backup/sftp.py inference/plan.py providers/openai.py guards/detectors/national.py guards/detectors/phone.py guards/folding.py chat/fit/schemas.py inference/contenders.py inference/learned.py inference/limits/guess.py "
    "inference/limits/purses.py peers/authority.py roles/persona_layer/shelves.py roles/chain_engine/outside.py roles/chain_engine/triggers/firing.py security/fence.py security/permissions.py telemetry/flood.py "
    "roles/rag_manager/retrieval.py roles/rag_manager/assist/expansion.py bounds/patterns.py security/keeping.py roles/router/pipeline/persona_guards.py",
    "entries and what they weigh (bounds.kept)": "bounds/kept.py bounds/schemas.py chains/expr.py chains/made.py "
    "inference/cache/store.py memory/outage/shadow.py transport/fast/connect.py",
    "vectors of 12 texts for each of 8 models, and a number for each of 1,000 collections": "roles/rag_manager/relevance.py",
    "64 MB of what was read of indexes, of 64 collections; the words of one question at least": "roles/rag_manager/word_scores.py",
    "a few pieces for each job under way, which wait for them": "roles/rag_manager/turns.py",
    "64 pieces of work for each owner": "bounds/aside.py",
    "one archive, while it is restored": "ops/backup/recall.py",
}
_READERS: Mapping[str, str] = {
    "RE2: 1,000 characters, one megabyte while it searches": "bounds/patterns.py",
    "size, depth and counted work; nothing is fetched": "bounds/keywords.py",
    "200,000 events, 60 deep, no aliases": "bounds/yamls.py",
    "6,000 tokens, 2,000 nodes, counted work": "chains/expr.py chains/places.py chains/sandbox.py",
    "a text of at most 1,000,000 characters, in a thread": "chains/source.py",
    "a text of at most 256 KiB": "roles/persona_layer/source.py",
    _CONFIGURATION: "cli/config_settings.py config/env.py config/toml_text.py",
    "128 MiB unpacked, of 64 MiB that an admin sends": "inference/learning/packed.py",
    "our own files": "roles/rag_manager/embedding/convert.py",
    _DOCUMENT: "roles/rag_manager/parsing/books.py roles/rag_manager/parsing/html.py "
    "roles/rag_manager/parsing/office.py roles/rag_manager/parsing/tables.py roles/rag_manager/parsing/cells.py",
    "one answer of the operator's server within outgoing.max_bytes, in a thread; none that defines entities": "roles/rag_manager/sources/webdav.py",
    "written, not read": "roles/router/admin_records.py cli/audit.py config/orchestrator_yaml.py",
}


def _listed(kind: str, groups: Mapping[str, str]) -> dict[str, str]:
    return {f"{kind} {file}": bound for bound, files in groups.items() for file in files.split()}


BOUNDS: Mapping[str, str] = {
    **_listed("pattern", _PATTERNS),
    **_listed("cache", _CACHES),
    **_listed("reader", _READERS),
}
"""`kind file`, and what bounds it."""

SEPARATED: frozenset[str] = frozenset()
"""Patterns in which a repeat stands in a repeat, `file:name`, where something that neither takes stands between."""
