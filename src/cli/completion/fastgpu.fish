# SPDX-License-Identifier: Apache-2.0
# fish completion for fastgpu: the program itself knows what fits.
function __fastgpu_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null
end
function __fastgpu_in_program
    contains -- -- (commandline -opc)
end
complete -c fastgpu -f -n 'not __fastgpu_in_program' -a '(__fastgpu_complete)'
complete -c fastgpu -n __fastgpu_in_program -a '(__fish_complete_subcommand --fcs-skip=(contains -i -- -- (commandline -opc)))'
