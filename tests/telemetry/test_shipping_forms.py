"""The forms of shipped lines, each held against its published grammar or schema, whatever the line holds."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from intellirouter.config.redact import Redactor
from intellirouter.telemetry.addresses import without_person
from intellirouter.telemetry.shipping.entry import MARGIN, MAX_FIELD, MAX_TEXT, Entry, cleaned, entry_of
from intellirouter.telemetry.shipping.journald import fields_of
from intellirouter.telemetry.shipping.loki import MAX_LINE, pushed
from intellirouter.telemetry.shipping.otlp import exported
from intellirouter.telemetry.shipping.syslog_form import Sender, message
from intellirouter.telemetry.shipping.web import retry_after
from tests.servers.log_servers import native

NOW = 1_795_962_654_123_456_789
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FORM = Sender(3, "höst name", "intellirouter", 42, "intellirouter@32473", "0.1.0", 8192)
LOKI = {
    "type": "object",
    "required": ["streams"],
    "additionalProperties": False,
    "properties": {
        "streams": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["stream", "values"],
                "additionalProperties": False,
                "properties": {
                    "stream": {
                        "type": "object",
                        "minProperties": 1,
                        "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
                        "additionalProperties": {"type": "string", "minLength": 1},
                    },
                    "values": {
                        "type": "array",
                        "items": {
                            "type": "array",
                            "prefixItems": [
                                {"type": "string", "pattern": "^[0-9]{19}$"},
                                {"type": "string", "maxLength": MAX_LINE},
                                {"type": "object", "additionalProperties": {"type": "string"}},
                            ],
                            "minItems": 2,
                            "maxItems": 3,
                        },
                    },
                },
            },
        }
    },
}
"""The body of a push, as Loki's HTTP API describes it."""

# RFC 5424, 6: the ABNF, name by name.
_PRINT = r"[\x21-\x7e]"
_SD_NAME = r"[\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]{1,32}"
_PARAM = rf'{_SD_NAME}="(?:[^"\\\]]|\\.)*"'
RFC5424 = re.compile(
    r"<(?P<pri>\d{1,3})>1 "
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) "
    rf"(?P<host>{_PRINT}{{1,255}}) (?P<app>{_PRINT}{{1,48}}) (?P<proc>{_PRINT}{{1,128}}) (?P<msgid>{_PRINT}{{1,32}}) "
    rf"(?P<sd>(?:\[{_SD_NAME}(?: {_PARAM})*\])+)"
    r"(?: (?P<msg>.*))?",
    re.DOTALL,
)


def line(event: str = "state.away", **fields: Any) -> Entry:
    made = entry_of(
        {"event": event, "level": "warning", "logger": "tests.l", "role": "Router", **fields}, NOW
    )
    return cleaned(made, Redactor(["planted-secret-value", 'it "was" \\ quoted']))


def syslog(entry: Entry, form: Sender = FORM) -> dict[str, str]:
    data = message(entry, form)
    assert len(data) <= form.max_bytes
    found = RFC5424.fullmatch(data.decode())
    assert found, data
    return found.groupdict()


def journal(entry: Entry) -> dict[str, bytes]:
    return native(b"".join(fields_of(entry, "intellirouter")))


def otlp(*entries: Entry) -> Any:
    wire = exported(entries, {"service.instance.id": "n:1"}).SerializeToString()
    return ExportLogsServiceRequest.FromString(wire)


def loki(*entries: Entry) -> Any:
    body = json.loads(json.dumps(pushed(entries, {"service_name": "intellirouter", "host": "n"})))
    jsonschema.validate(body, LOKI)
    return body


def test_a_line_in_every_form() -> None:
    entry = line(trace_id=TRACE, span_id=SPAN, reason='gone: "a]b\\c"', tries=3, share=0.5, final=True)
    parts = syslog(entry)
    assert (parts["pri"], parts["host"], parts["app"], parts["msgid"]) == (
        "28",
        "h_st_name",
        "intellirouter-router",
        "state.away",
    )
    assert parts["time"] == "2026-11-29T14:30:54.123456Z"
    assert f'trace_id="{TRACE}"' in parts["sd"]
    assert r'reason="gone: \"a\]b\\c\""' in parts["sd"]
    assert parts["msg"] == r'state.away reason="gone: \"a]b\\c\"" tries=3 share=0.5 final=true'

    fields = journal(entry)
    assert (fields["PRIORITY"], fields["IR_TRACE_ID"], fields["IR_TRIES"]) == (b"4", TRACE.encode(), b"3")
    assert fields["MESSAGE"].startswith(b"state.away reason=")
    assert fields["SYSLOG_IDENTIFIER"] == b"intellirouter"

    (resource,) = otlp(entry).resource_logs
    assert {one.key: one.value.string_value for one in resource.resource.attributes}[
        "service.name"
    ] == "intellirouter-router"
    (scope,) = resource.scope_logs
    (record,) = scope.log_records
    assert (scope.scope.name, record.body.string_value) == ("tests.l", "state.away")
    assert (record.severity_number, record.severity_text, record.time_unix_nano) == (13, "WARN", NOW)
    assert (record.trace_id.hex(), record.span_id.hex(), record.flags) == (TRACE, SPAN, 1)
    kinds = {one.key: one.value.WhichOneof("value") for one in record.attributes}
    assert kinds == {
        "intellirouter.reason": "string_value",
        "intellirouter.tries": "int_value",
        "intellirouter.share": "double_value",
        "intellirouter.final": "bool_value",
    }

    (stream,) = loki(entry, line("later"))["streams"]
    assert stream["stream"] == {
        "service_name": "intellirouter",
        "host": "n",
        "role": "Router",
        "level": "warning",
    }
    (stamp, text, about), _ = stream["values"]
    assert (stamp, about) == (str(NOW), {"trace_id": TRACE, "span_id": SPAN})
    assert json.loads(text)["reason"] == 'gone: "a]b\\c"'


NASTY = [
    "two\nlines\nlevel=critical event=forged",
    "\x1b[31mred\x1b[0m \x07 \x9b2J",
    "a\x00b",
    "half \ud800 a pair",
    "\u202eright to left\u2066",
    '"] [forged@1 a="b"] \\',
    "x" * 1_000_000,
    "😀" * 70_000,
    "[",
    "]",
    "\\",
    '"',
    "=",
    "",
    "<0>1 - - - - - -",
]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text[:12]))
def test_what_a_stranger_writes_forges_nothing(text: str) -> None:
    entry = line(text, reason=text, **{text[:40] or "n": text})
    parts = syslog(entry)
    assert not set(parts["msg"] or "") & {
        chr(code) for code in (*range(32), *range(0x7F, 0xA0), 0x202E, 0x2066)
    }
    assert "\n" not in parts["sd"]
    fields = journal(entry)
    assert fields.get("IR_EVENT", b"").decode() == entry.event
    assert b"\x1b" not in b"".join(fields.values())
    (record,) = otlp(entry).resource_logs[0].scope_logs[0].log_records
    assert record.body.string_value == entry.event
    assert len(record.body.string_value) <= MAX_TEXT + 20
    (stream,) = loki(entry)["streams"]
    assert len(stream["values"]) == 1
    assert len(stream["values"][0][1].encode()) <= MAX_LINE


@settings(max_examples=40, deadline=None)
@given(
    st.text(),
    st.dictionaries(
        st.text(),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.binary()
        | st.lists(st.text()),
    ),
    st.integers(480, 9000),
)
def test_any_line_has_every_form(event: str, fields: dict[str, Any], most: int) -> None:
    entry = cleaned(entry_of({"event": event, **fields}, NOW), Redactor([]))
    syslog(entry, Sender(16, "", "i", 1, "x@1", "0.1", most))
    journal(entry)
    otlp(entry)
    loki(entry)


def test_a_line_has_bounds() -> None:
    entry = entry_of(
        {"event": "e", **{f"f{number}": "y" * 50_000 for number in range(500)}, "huge": 2**70}, NOW
    )
    assert entry.fields["fields_left_out"] is True
    assert sum(len(str(value)) for value in entry.fields.values()) < 250_000
    assert entry_of({"event": "e", "huge": 2**70, "n": [1, {"a": b"b"}]}, NOW).fields["huge"] == str(2**70)


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": "with planted-secret-value inside"},
        {"api_key": "whatever"},
        {"upstream_authorization": "Basic abc"},
        {"reason": "Authorization: Bearer abcdefgh12345678"},
        {"nested": {"a": ["sk-abcdefghijklmnop1234"]}},
        {"exception": "Traceback …\nredis://me:hunter2hunter2@10.0.0.1/0\nValueError: no"},
        {"reason": "planted-secret-value\nplanted-secret-value"},
        {"reason": "y" * (MAX_FIELD - 8) + "planted-secret-value"},
        {"exception": "y" * (MAX_TEXT + MARGIN - 8) + "planted-secret-value"},
        {"nested": {"a": 'it "was" \\ quoted'}},
    ],
)
def test_secrets_stand_in_no_form(fields: dict[str, Any]) -> None:
    entry = line("planted-secret-value leaked", **fields)
    everything = [
        message(entry, FORM),
        *fields_of(entry, "i"),
        otlp(entry).SerializeToString(),
        json.dumps(loki(entry)).encode(),
    ]
    for one in everything:
        for secret in (
            "planted",
            "quoted",
            "whatever",
            "Basic abc",
            "abcdefgh12345678",
            "abcdefghijklmnop",
            "hunter2",
        ):
            assert secret.encode() not in one


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [("7", 7, 7), ("", 0, 0), ("soon", 0, 0), ("-5", 0, 0), ("9" * 400, 1e8, 1e9), ("Sun, 06 Nov 1994 08:49:37 GMT", 0, 0),
     ("Fri, 31 Dec 2100 23:59:59 GMT", 1e9, 1e10), ("٣", 0, 0)],
)  # fmt: skip
def test_the_wait_that_a_server_asks_for(value: str, least: float, most: float) -> None:
    assert least <= retry_after(value) <= most


@pytest.mark.parametrize(
    ("url", "address", "authorization"),
    [
        ("http://c:4317", "http://c:4317", None),
        ("https://me:p%40ss@c:4317/x?y=1", "https://c:4317/x?y=1", "Basic bWU6cEBzcw=="),
        ("http://token@[::1]:4317", "http://[::1]:4317", "Basic dG9rZW46"),
    ],
)
def test_a_password_stands_in_no_address(url: str, address: str, authorization: str | None) -> None:
    assert without_person(url) == (address, {"authorization": authorization} if authorization else {})


def test_reading_secrets_out_of_a_long_word_takes_no_square_time() -> None:
    """Each of these was read anew from every of its letters: minutes for one line."""
    redact = Redactor(["planted-secret-value"])
    for text in ("a" * 60_000, "token" * 12_000, "://" + ":" * 60_000, "-eyJ" * 15_000):
        redact(text + " planted-secret-value")


def test_the_grammar_of_the_test_is_one() -> None:
    for wrong in (
        '<13>1 2026-11-29T14:30:54.1Z h a p m [x a="b"c"] m',
        "<13>2 - h a p m [x] m",
        '<13>1 2026-11-29T14:30:54.1Z h a p m [x a="]"] m',
    ):
        assert not RFC5424.fullmatch(wrong)
