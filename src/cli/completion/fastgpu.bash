# SPDX-License-Identifier: Apache-2.0
# bash completion for fastgpu: the program itself knows what fits.
_fastgpu()
{
        local i word="$2"
        COMPREPLY=()
        # Behind "--" stands another program's command line.
        for ((i = 1; i < COMP_CWORD; i++)); do
                if [[ ${COMP_WORDS[i]} == -- ]]; then
                        if declare -F _command_offset >/dev/null; then
                                _command_offset $((i + 1))
                        elif ((i + 1 == COMP_CWORD)); then
                                mapfile -t COMPREPLY < <(compgen -c -- "$word")
                        else
                                compopt -o default
                        fi
                        return
                fi
        done
        # bash breaks words at '=', so that --mode=c arrives as three.
        local -a words=()
        for ((i = 1; i <= COMP_CWORD; i++)); do
                if [[ ${COMP_WORDS[i]} == = && ${#words[@]} -gt 0 ]]; then
                        words[-1]+="="
                elif [[ ${#words[@]} -gt 0 && ${words[-1]} == --*= ]]; then
                        words[-1]+="${COMP_WORDS[i]}"
                else
                        words+=("${COMP_WORDS[i]}")
                fi
        done
        mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
        if [[ ${words[-1]} == --*=* ]]; then
                COMPREPLY=("${COMPREPLY[@]#*=}")
        elif [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
                compopt -o nospace 2>/dev/null
        fi
}
complete -F _fastgpu fastgpu
