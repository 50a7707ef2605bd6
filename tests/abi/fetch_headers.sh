#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: fetch-headers FOLDER
# The vendor's headers of CUDA 12.9 and 13.5 from the packages that Python programs install, headers only, into FOLDER.
# Without a network, or without pip, there is less in FOLDER, or nothing; that is no failure here.
folder=$1
mkdir -p "$folder" || exit 1
for package in nvidia-cuda-runtime-cu12==12.9.79 nvidia-cuda-runtime==13.5.37 nvidia-nvml-dev-cu12==12.9.79 \
        nvidia-nvml-dev==13.5.37; do
        [ -d "$folder/$package" ] && continue
        wheels=$folder/.wheels.$$
        if timeout 60 python3 -m pip download --quiet --disable-pip-version-check --retries 0 --timeout 10 --no-deps \
                --only-binary :all: --dest "$wheels" "$package" >/dev/null 2>&1; then
                # Complete or not there: the name appears when all is unpacked.
                rm -rf "$folder/.new.$$"
                python3 -c '
import sys
import zipfile

with zipfile.ZipFile(sys.argv[1]) as wheel:
    wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.endswith((".h", ".hpp"))])
' "$wheels"/*.whl "$folder/.new.$$" && mv -T "$folder/.new.$$" "$folder/$package" 2>/dev/null
        fi
        rm -rf "$wheels" "$folder/.new.$$"
        # What could not be had now can be had by none of the others.
        [ -d "$folder/$package" ] || break
done
exit 0
