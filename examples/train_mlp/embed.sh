#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# embed.sh FILE NAME: prints C source that holds FILE's text as `const char NAME[]`.
set -eu
printf '/* Made from %s. */\nextern const char %s[];\nconst char %s[] =\n' "$(basename "$1")" "$2" "$2"
sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/        "/' -e 's/$/\\n"/' "$1"
printf '        ;\n'
