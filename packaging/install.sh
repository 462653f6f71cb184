#!/usr/bin/env bash
# Installs IntelliRouter under /opt/intellirouter, or brings an installation up to date. Ubuntu 22.04+, Debian 12+, RHEL 8+.
#
#   install.sh [--wheel FILE | --source DIR] [--python PYTHON] [--root DIR] [--no-users]
#   install.sh --uninstall [--purge] [--root DIR]
#
# Run again, it changes only what differs: configuration and environment files that exist are kept.
# --root installs into another tree, to look at it: a venv does not move, so an image runs this in a chroot. --purge takes data and configuration away too.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_=$(dirname "$here")
wheel='' python='' root='' action=install purge=no users=yes

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --wheel) wheel=${2:?--wheel needs a file}; shift ;;
    --source) source_=${2:?--source needs a directory}; shift ;;
    --python) python=${2:?--python needs a command}; shift ;;
    --root) root=${2:?--root needs a directory}; shift ;;
    --no-users) users=no ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    -h | --help) sed -n '2,8p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) fail "unknown option $1 (--help lists them)" ;;
  esac
  shift
done
root=${root%/}
base=$root/opt/intellirouter
units=(router orchestrator rag-manager persona-layer)

[ "$(id -u)" = 0 ] || [ -n "$root" ] || fail "run it as root, or give --root"

running() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

find_python() {
  local candidate
  for candidate in ${python:+"$python"} python3.13 python3.12 python3.11 python3.14 python3; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "needs Python 3.11 to 3.14 with venv. Ubuntu, Debian: apt-get install python3-venv (Ubuntu 22.04: python3.11-venv). RHEL: dnf install python3.11"
}

# Put a file in place when it differs, by rename, so that no reader sees half of it.
put() { # mode from to
  if ! cmp -s "$2" "$3"; then
    install -D -m "$1" "$2" "$3.new"
    mv -f "$3.new" "$3"
    echo "wrote $3"
  fi
}

keep() { # mode from to: only when there is none yet
  [ -e "$3" ] || put "$1" "$2" "$3"
}

make_tree() {
  if [ "$users" = no ]; then
    install -d "$base"/{bin,config,env,share,data/{documents,personas}} "$base"/logs/{router,orchestrator,rag-manager,persona-layer}
    chmod 0700 "$base/env" "$base/data"
    return
  fi
  if ! getent passwd intellirouter >/dev/null; then
    useradd --system --user-group --no-create-home --home-dir /opt/intellirouter --shell /usr/sbin/nologin intellirouter
    echo "made the user intellirouter"
  fi
  install -d -m 0755 "$base" "$base/bin" "$base/share"
  install -d -m 0750 -o root -g intellirouter "$base/config"
  install -d -m 0700 "$base/env"
  install -d -m 0700 -o intellirouter -g intellirouter "$base/data" "$base"/data/{documents,personas}
  install -d -m 0700 -o intellirouter -g intellirouter "$root/var/backups/intellirouter"
  install -d -m 0750 -o intellirouter -g intellirouter "$base/logs" "$base"/logs/{router,orchestrator,rag-manager,persona-layer}
}

install_package() {
  local interpreter what
  what=${wheel:-$source_}
  [ -e "$what" ] || fail "$what does not exist"
  if [ ! -x "$base/venv/bin/python" ]; then
    interpreter=$(find_python)
    "$interpreter" -m venv "$base/venv"
  fi
  "$base/venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$what"
  ln -sfn ../venv/bin/intellirouter "$base/bin/intellirouter"
  "$base/bin/intellirouter" --version
}

install_files() {
  local unit
  for unit in "${units[@]}"; do
    put 0644 "$here/systemd/intellirouter-$unit.service" "$root/etc/systemd/system/intellirouter-$unit.service"
    keep 0600 "$here/env/$unit.env" "$base/env/$unit.env"
    keep 0640 "$source_/config/$unit.toml" "$base/config/$unit.toml"
    if [ "$users" = yes ]; then chgrp intellirouter "$base/config/$unit.toml"; fi
  done
  for unit in "$here"/systemd/*@.*; do
    put 0644 "$unit" "$root/etc/systemd/system/${unit##*/}"
  done
  share_token
  put 0644 "$here/logrotate/intellirouter" "$root/etc/logrotate.d/intellirouter"
  put 0644 "$here/tmpfiles.d/intellirouter.conf" "$root/usr/lib/tmpfiles.d/intellirouter.conf"
  put 0644 "$here/sysusers.d/intellirouter.conf" "$root/usr/lib/sysusers.d/intellirouter.conf"
  put 0644 "$here/README.md" "$base/share/README.md"
  if running; then systemctl daemon-reload; fi
}

# Roles trust one another by a token: a random one, the same in every new environment file of this node.
share_token() {
  local token name=INTELLIROUTER__IPC__SECURITY__TOKEN
  local empty=()
  mapfile -t empty < <(grep -lx "#$name=" "$base"/env/*.env 2>/dev/null)
  [ "${#empty[@]}" -gt 0 ] || return 0
  token=$(sed -n "s/^$name=//p" "$base"/env/*.env | head -n 1)
  [ -n "$token" ] || token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
  sed -i "s/^#$name=\$/$name=$token/" "${empty[@]}"
  echo "wrote a token between roles into $base/env: put the same into those of the other nodes"
}

# Every unit of ours that runs, or starts with the machine: of the roles, of further instances, and the timers.
our_units() {
  {
    systemctl list-units --all --plain --no-legend 'intellirouter-*' 'intellirouter@*' || true
    systemctl list-unit-files --plain --no-legend 'intellirouter-*' 'intellirouter@*' || true
  } 2>/dev/null | awk '{ print $1 }' | grep -v '@\.' | sort -u
}

uninstall() {
  local unit
  if running; then
    for unit in $(our_units); do
      systemctl disable --now "$unit" 2>/dev/null || systemctl stop "$unit" 2>/dev/null || true
      systemctl reset-failed "$unit" 2>/dev/null || true
    done
  fi
  # links that start them, what others have laid over them, and they themselves
  rm -rf "$root"/etc/systemd/system/*.{wants,requires,upholds}/intellirouter[-@]* "$root"/etc/systemd/system/intellirouter[-@]*
  rm -f "$root/etc/logrotate.d/intellirouter" "$root/usr/lib/tmpfiles.d/intellirouter.conf" "$root/usr/lib/sysusers.d/intellirouter.conf"
  rm -rf "${base:?}"/{venv,share,bin}
  if running; then systemctl daemon-reload; fi
  if [ "$purge" = yes ]; then
    rm -rf "$base"
    if [ -z "$root" ] && getent passwd intellirouter >/dev/null; then
      userdel intellirouter || fail "the user intellirouter stays: a process of it runs (pgrep -u intellirouter -a)"
    fi
    echo "IntelliRouter is gone, with its configuration and data; backups stay in $root/var/backups/intellirouter."
  else
    echo "IntelliRouter is gone; configuration, logs and data stay in $base (--purge takes them too)."
  fi
}

if [ "$action" = uninstall ]; then
  uninstall
  exit 0
fi
make_tree
install_package
install_files
echo "Next: set $base/config/router.toml and $base/env/router.env, then"
echo "  systemctl enable --now intellirouter-router"
