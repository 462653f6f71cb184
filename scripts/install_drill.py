#!/usr/bin/env python
"""Install IntelliRouter into a fresh Debian tree and look at what is there: `sudo python scripts/install_drill.py [--tree DIR]`.

Makes a Debian 12 tree with debootstrap (which must be installed, as must util-linux's unshare), runs `packaging/install.sh` in it on a
wheel of this checkout, and checks what an operator relies on: the units by systemd's own checker, the user, owners and modes, the
command, every shipped configuration, a node that answers as the service's user, a backup, a second run that changes nothing, and
both ways of removal. Prints a line for each and ends with exit code 1 when one does not hold. About three minutes.

pip in the tree uses the indexes that pip on this machine is configured with.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MIRROR = "http://deb.debian.org/debian"
RELEASE = "bookworm"
PACKAGES = "python3,python3-venv,ca-certificates,systemd,curl"
CHECKOUT = "/root/checkout"
BASE = "/opt/intellirouter"

INSTALLED = f"""
getent passwd intellirouter | grep -q /usr/sbin/nologin
{BASE}/bin/intellirouter --version
systemd-analyze verify --man=no intellirouter-{{router,orchestrator,rag-manager,persona-layer}}.service
systemd-analyze verify --man=no intellirouter-backup@router.timer intellirouter-backup@router.service
test "$(stat -c '%a %U:%G' {BASE}/config)" = '750 root:intellirouter'
test "$(stat -c '%a %U:%G' {BASE}/config/router.toml)" = '640 root:intellirouter'
test "$(stat -c '%a %U' {BASE}/env/router.env)" = '600 root'
test "$(stat -c '%a %U' {BASE}/data)" = '700 intellirouter'
test "$(stat -c '%a %U' {BASE}/logs/router)" = '750 intellirouter'
test "$(stat -c '%a %U' /var/backups/intellirouter)" = '700 intellirouter'
systemd-tmpfiles --create --dry-run intellirouter.conf 2>/dev/null || systemd-tmpfiles --create intellirouter.conf
systemd-sysusers intellirouter.conf
"""
VALIDATED = "".join(
    f"set -a; . {BASE}/env/{name}.env; {BASE}/bin/intellirouter validate-config --config {BASE}/config/{name}.toml\n"
    for name in ("router", "orchestrator", "rag-manager", "persona-layer")
)
NODE = f"""
runuser -u intellirouter -- {BASE}/bin/intellirouter run --role All --config /root/node.toml >/tmp/node.log 2>&1 & \
node=$!; for _ in $(seq 150); do curl -fs http://127.0.0.1:18080/health/ready && break; sleep 0.2; done; \
curl -fsS http://127.0.0.1:18080/v1/chat/completions -H 'content-type: application/json' \
-d '{{"model":"offline","messages":[{{"role":"user","content":"Hello"}}]}}' | grep -q choices; \
answered=$?; kill $node; wait $node; exit $answered
runuser -u intellirouter -- {BASE}/bin/intellirouter backup --incremental --to /var/backups/intellirouter/router --config /root/node.toml
runuser -u intellirouter -- {BASE}/bin/intellirouter backup prune /var/backups/intellirouter/router
"""
AGAIN = f"""
echo '# mine' >> {BASE}/config/router.toml
bash {CHECKOUT}/packaging/install.sh --wheel {CHECKOUT}/*.whl > /tmp/again
! grep -q wrote /tmp/again
grep -q '# mine' {BASE}/config/router.toml
"""
REMOVED = f"""
bash {CHECKOUT}/packaging/install.sh --source {CHECKOUT} --uninstall
test ! -e {BASE}/venv && test -e {BASE}/config/router.toml && test -d {BASE}/data
test -z "$(ls /etc/systemd/system | grep intellirouter)"
bash {CHECKOUT}/packaging/install.sh --source {CHECKOUT} --uninstall --purge
test ! -e {BASE} && ! getent passwd intellirouter
test -d /var/backups/intellirouter/router
"""


class Tree:
    """A Debian tree to run commands in, with mounts that end with each command."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._binds = [Path(place) for place in _pip_places() if Path(place).exists()]
        for place in self._binds:
            inside = path / place.relative_to("/")
            if place.is_dir():
                inside.mkdir(parents=True, exist_ok=True)
            else:
                inside.parent.mkdir(parents=True, exist_ok=True)
                inside.touch()

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A line of shell in the tree, as root, with its own process and mount table."""
        mounts = [f"mount --bind /dev {shlex.quote(str(self.path / 'dev'))}"]
        mounts += [
            f"mount --bind {shlex.quote(str(place))} {shlex.quote(str(self.path / place.relative_to('/')))}"
            for place in self._binds
        ]
        inner = f"exec chroot {shlex.quote(str(self.path))} /bin/bash -c {shlex.quote(command)}"
        words = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            f"--mount-proc={self.path / 'proc'}",
        ]
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return subprocess.run(
            [*words, "bash", "-c", " && ".join([*mounts, inner])],
            env={**kept, "PATH": path, "HOME": "/root", "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )


def _pip_places() -> list[str]:
    """Files and folders that pip's configuration on this machine names."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    words = done.stdout.replace("'", " ").replace("=", " ").split()
    words += [word for name, value in os.environ.items() if name.startswith("PIP_") for word in value.split()]
    found = {word.removeprefix("file://") for word in words if word.startswith(("/", "file:///"))}
    return sorted({str(Path(*Path(word).parts[:3])) for word in found} | {"/etc/pip.conf"})


def main() -> int:
    """Make, install, look, remove."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path, help="a tree that debootstrap made before, to be changed")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("debootstrap and chroot need root")
    with tempfile.TemporaryDirectory(prefix="install-drill-") as scratch:
        path = arguments.tree or Path(scratch) / "tree"
        if arguments.tree is None:
            print(f"making a tree of Debian {RELEASE} …", flush=True)
            words = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(path), MIRROR]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        _bring(path)
        return _look(Tree(path))


def _bring(path: Path) -> None:
    """What an operator would copy to the node: the wheel, packaging and configuration."""
    checkout = path / CHECKOUT.lstrip("/")
    shutil.rmtree(checkout, ignore_errors=True)
    for folder in ("packaging", "config"):
        shutil.copytree(ROOT / folder, checkout / folder)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(checkout),
        str(ROOT),
    ]
    subprocess.run(build, check=True)
    data = '"/opt/intellirouter/data"'
    (path / "root/node.toml").write_text(
        f"[paths]\ndata_dir = {data}\n[server]\nport = 18080\n[rag]\nenabled = false\n"
    )
    (path / "root").chmod(0o755)  # the service's user reads it


def _look(tree: Tree) -> int:
    failed = 0
    steps = [("installed", f"bash {CHECKOUT}/packaging/install.sh --wheel {CHECKOUT}/*.whl\n")]
    steps += [
        ("looked at", INSTALLED),
        ("configured", VALIDATED),
        ("run", NODE),
        ("again", AGAIN),
        ("removed", REMOVED),
    ]
    for name, lines in steps:
        for line in lines.strip().splitlines():
            done = tree.run(line)
            good = done.returncode == 0
            failed += not good
            print(f"{'ok  ' if good else 'FAIL'}  {name}: {line[:150]}", flush=True)
            if not good:
                print((done.stdout + done.stderr)[-2000:])
    print("all of it holds" if not failed else f"{failed} did not hold")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
