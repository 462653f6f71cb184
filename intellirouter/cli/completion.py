"""`intellirouter completion`: a script for bash, zsh or fish that asks the command itself for what fits."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

PROGRAM = "intellirouter"
VARIABLE = "_INTELLIROUTER_COMPLETE"


class Shell(StrEnum):
    """A shell that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS = {
    Shell.BASH: """_intellirouter() {
    local IFS=$'\\n'
    COMPREPLY=($(env COMP_WORDS="$(printf '%s\\n' "${COMP_WORDS[@]}")" COMP_CWORD="$COMP_CWORD" \\
        _INTELLIROUTER_COMPLETE=words "$1" 2>/dev/null))
}
complete -o default -o nosort -F _intellirouter intellirouter
""",
    Shell.ZSH: """#compdef intellirouter
_intellirouter() {
    local -a found
    found=("${(@f)$(env COMP_WORDS="${(F)words}" COMP_CWORD="$((CURRENT - 1))" \\
        _INTELLIROUTER_COMPLETE=described "${words[1]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then _describe -V unsorted found; else _files; fi
}
if [ "$funcstack[1]" = "_intellirouter" ]; then _intellirouter "$@"; else compdef _intellirouter intellirouter; fi
""",
    Shell.FISH: """function __intellirouter
    set -l words (commandline -opc) (commandline -ct)
    env COMP_WORDS=(string join \\n -- $words | string collect) COMP_CWORD=(math (count $words) - 1) \\
        _INTELLIROUTER_COMPLETE=tabbed $words[1] 2>/dev/null
end
complete -c intellirouter -f -a '(__intellirouter)'
""",
}


def command(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print what makes a shell complete commands: `eval "$(intellirouter completion bash)"` in its start file."""
    typer.echo(_SCRIPTS[shell], nl=False)
