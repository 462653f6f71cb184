"""What is measured and what it is measured beside, each pinned to a core and stopped by its own process id."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

KEY = "sk-bench-0123456789abcdef0123456789abcdef"
CORES = sorted(os.sched_getaffinity(0))
GATEWAY_CORE, LOAD_CORE = CORES[0], CORES[-1]
STREAM_CHUNKS = 200

COMPLETION = (
    '{"id":"chatcmpl-abc123","object":"chat.completion","created":1699896916,"model":"gpt-4o-mini","choices":[{"index":0,'
    '"message":{"role":"assistant","content":"Hello! How can I help you today? I am here to answer questions and to be as '
    "useful as possible. Just tell me what you need, and we will look at it together, step by step, until it is done."
    '","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":82,'
    '"completion_tokens":17,"total_tokens":99,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},'
    '"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default",'
    '"system_fingerprint":null}'
)


EMBEDDED_INPUTS, DIMENSIONS = 100, 256


def embeddings_body() -> bytes:
    """An answer of vectors for `EMBEDDED_INPUTS` texts, as floats."""
    draw = random.Random(7)
    rows = [
        {
            "object": "embedding",
            "index": index,
            "embedding": [round(draw.gauss(0, 0.06), 9) for _ in range(DIMENSIONS)],
        }
        for index in range(EMBEDDED_INPUTS)
    ]
    usage = {"prompt_tokens": 800, "total_tokens": 800}
    return json.dumps({"object": "list", "data": rows, "model": "gpt-4o-mini", "usage": usage}).encode()


def stream_body() -> bytes:
    """A streamed completion of `STREAM_CHUNKS` text chunks."""
    chunk = (
        'data: {{"id":"chatcmpl-abc123","object":"chat.completion.chunk","created":1699896916,"model":"gpt-4o-mini",'
        '"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}\n\n'
    )
    events = [chunk.format(delta='{"role":"assistant","content":""}', finish="null")]
    events += [
        chunk.format(delta=f'{{"content":" word{index}"}}', finish="null") for index in range(STREAM_CHUNKS)
    ]
    events.append(chunk.format(delta="{}", finish='"stop"'))
    events.append(
        'data: {"id":"chatcmpl-abc123","object":"chat.completion.chunk","created":1699896916,"model":"gpt-4o-mini",'
        '"choices":[],"usage":{"prompt_tokens":82,"completion_tokens":200,"total_tokens":282}}\n\n'
    )
    events.append("data: [DONE]\n\n")
    return "".join(events).encode()


@dataclass(frozen=True, slots=True)
class Running:
    """A server under measurement."""

    port: int
    pid: int

    def url(self, path: str) -> str:
        """An absolute URL of it."""
        return f"http://127.0.0.1:{self.port}{path}"

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stopped meanwhile, children included: it shares a core with whoever is measured."""
        pids = (self.pid, *children_of(self.pid))
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def rss_bytes(self) -> int:
        """Resident memory, children included."""
        return sum(_rss(pid) for pid in (self.pid, *children_of(self.pid)))

    def cpu_seconds(self) -> float:
        """User and system time so far, children included."""
        return sum(_cpu(pid) for pid in (self.pid, *children_of(self.pid)))

    def loop_seconds(self) -> float:
        """Time on a processor of the thread that answers, which is the first."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()[0]) / 1e9


def children_of(pid: int) -> list[int]:
    """Process ids."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pinned(command: list[str], core: int) -> list[str]:
    """The command on one core, where there are two and `taskset`."""
    if len(CORES) < 2 or shutil.which("taskset") is None:
        return command
    return ["taskset", "-c", str(core), *command]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, path: str, server: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Return at the first answer. Raises `RuntimeError` when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1).close()
            return
        time.sleep(0.005)
    raise RuntimeError(f"no answer on port {port} (see the log in the working directory)")


@contextlib.contextmanager
def process(
    command: list[str], core: int, port: int, ready: str, directory: Path, name: str, seconds: float = 30
) -> Iterator[Running]:
    """A server on a core, from its first answer at the path `ready` until the end of the block."""
    with (directory / f"{name}.log").open("wb") as log:
        started = subprocess.Popen(
            pinned(command, core), stdout=log, stderr=subprocess.STDOUT, cwd=Path.cwd(), env=_environment()
        )
        try:
            wait_for(port, ready, started, seconds)
            yield Running(port, started.pid)
        finally:
            started.terminate()
            started.wait(30)


def _environment() -> dict[str, str]:
    """Ours without provider keys, so that nothing but the canned upstream is found."""
    return {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "HF_TOKEN"))}


_NGINX = """
worker_processes 1; daemon off; pid {directory}/{name}.pid; error_log {directory}/{name}.err;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 100000000; client_max_body_size 64m; client_body_buffer_size 4m;
  client_body_temp_path {directory}/{name}.body; proxy_temp_path {directory}/{name}.proxy;
  fastcgi_temp_path {directory}/{name}.f; uwsgi_temp_path {directory}/{name}.u; scgi_temp_path {directory}/{name}.s;
  {upstream}
  server {{ listen 127.0.0.1:{port} backlog=4096; {locations} }}
}}
"""


@contextlib.contextmanager
def nginx(directory: Path, name: str, core: int, locations: str, upstream: str = "") -> Iterator[Running]:
    """An nginx of one worker process."""
    port = free_port()
    file = directory / f"{name}.conf"
    file.write_text(
        _NGINX.format(directory=directory, name=name, port=port, locations=locations, upstream=upstream)
    )
    command = ["nginx", "-c", str(file), "-e", str(directory / f"{name}.err")]
    with process(command, core, port, "/v1/models", directory, name) as running:
        yield running


@contextlib.contextmanager
def canned_upstream(directory: Path) -> Iterator[Running]:
    """A provider that answers at once: nginx, or a few lines of Python where it is missing."""
    if shutil.which("nginx") is None:
        with python_upstream(directory) as running:
            yield running
        return
    text = stream_body().decode()
    pieces = [text[start : start + 3000] for start in range(0, len(text), 3000)]  # nginx bounds one string
    file = directory / "files" / "v1" / "embeddings"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(embeddings_body())
    directory.chmod(0o755)  # nginx's worker reads as another user where its master is root
    variables = "".join(f"set $part{index} '{piece}';" for index, piece in enumerate(pieces))
    whole = "".join(f"${{part{index}}}" for index in range(len(pieces)))
    locations = (
        f"location = /v1/chat/completions {{ default_type application/json; return 200 '{COMPLETION}'; }}"
        f'location = /stream/v1/chat/completions {{ default_type text/event-stream; {variables} return 200 "{whole}"; }}'
        # A file is served to GET only; as the page of its own error it is served to POST too.
        f"location = /v1/embeddings {{ root {directory}/files; default_type application/json; error_page 405 =200 $uri; }}"
        """location / { default_type application/json; return 200 '{"object":"list","data":[]}'; }"""
    )
    with nginx(directory, "upstream", LOAD_CORE, locations) as running:
        yield running


@contextlib.contextmanager
def python_upstream(directory: Path) -> Iterator[Running]:
    """The same in Python, which can also stream slowly."""
    port = free_port()
    command = [sys.executable, "-m", "scripts.benchmarks.upstream", str(port)]
    with process(command, LOAD_CORE, port, "/v1/models", directory, "python-upstream") as running:
        yield running


@contextlib.contextmanager
def nginx_proxy(directory: Path, upstream: Running) -> Iterator[Running]:
    """nginx as a plain reverse proxy with kept connections: what the machine can do."""
    pool = f"upstream provider {{ server 127.0.0.1:{upstream.port}; keepalive 256; keepalive_requests 100000000; }}"
    locations = (
        'location / { proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; }'
    )
    with nginx(directory, "proxy", GATEWAY_CORE, locations, pool) as running:
        yield running


@contextlib.contextmanager
def relay(directory: Path, upstream: Running) -> Iterator[Running]:
    """The parts of a gateway with nothing between them."""
    port = free_port()
    command = [sys.executable, "-m", "scripts.benchmarks.relay", str(port), upstream.url("")]
    with process(command, GATEWAY_CORE, port, "/v1/models", directory, "relay") as running:
        yield running


def router_toml(port: int, upstream: Running, directory: Path, *, policy: bool) -> str:
    """With `policy`, what a paying installation has on: keys, limits, budgets; prices, access log, metrics always."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    providers = "".join(
        f'[[model_registry.providers]]\nname = "{name}"\nkind = "openai_compatible"\n'
        f'endpoint = "{upstream.url(path)}"\nmodels = ["gpt-4o-mini"]\napi_key = "sk-upstream"\n'
        f'[[model_registry.models]]\nname = "{model}"\ntargets = ["{name}/gpt-4o-mini"]\n'
        "price = { input = 0.15, output = 0.6 }\n"
        for name, path, model in (
            ("canned", "/v1", "chat"),
            ("streaming", "/stream/v1", "stream"),
            ("slow", "/slow/v1", "slow"),
        )
    )
    return (
        f'environment = "production"\n[server]\nhost = "127.0.0.1"\nport = {port}\n'
        f'[telemetry]\nlog_file = "{directory}/access.log"\n[paths]\ndata_dir = "{directory}/data"\n'
        + (policy_toml(digest) if policy else "")
        + providers
    )


def policy_toml(digest: str) -> str:
    """A key, its limits and its budget, none of which is ever reached."""
    return (
        f'[auth]\nenabled = true\n[[auth.keys]]\nname = "bench"\nsha256 = "{digest}"\n'
        "[limits.each_key]\nrequests_per_minute = 1000000000\ntokens_per_minute = 1000000000000\n"
        "[budgets.keys.bench]\nmonth = 1000000000.0\n"
    )


@contextlib.contextmanager
def router(
    directory: Path,
    upstream: Running,
    *,
    extra: str = "",
    workers: int = 1,
    policy: bool = True,
    module: Sequence[str] = ("intellirouter",),
) -> Iterator[Running]:
    """IntelliRouter's Router, run by the module with these arguments before its own."""
    port = free_port()
    file = directory / "router.toml"
    file.write_text(router_toml(port, upstream, directory, policy=policy) + extra)
    command = [sys.executable, "-m", *module, "run", "--role", "Router", "--config", str(file)]
    if workers > 1:
        command += ["--workers", str(workers)]
    with process(command, GATEWAY_CORE, port, "/health/ready", directory, "router") as running:
        yield running
