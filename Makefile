# SPDX-License-Identifier: Apache-2.0
# The front door. meson does the work; `make` leaves a complete runnable tree in out/.
BUILD ?= build
.PHONY: all test check asan tsan fuzz bench lint gpu-check gpu-bundle kubernetes-check dist clean format

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@meson install -C $(BUILD) --no-rebuild --quiet

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix=$(CURDIR)/out --libdir=lib

test check: all
	@meson test -C $(BUILD) --print-errorlogs

asan:
	@test -d build-asan || meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false
	@meson test -C build-asan --suite unit --suite fuzz --print-errorlogs

tsan:
	@test -d build-tsan || meson setup build-tsan -Db_sanitize=thread -Db_lundef=false
	@meson test -C build-tsan --suite unit --suite fuzz --print-errorlogs

# Every fuzzer for FUZZ_SECONDS with libFuzzer; what it finds is kept in build-fuzz/corpus, a crash in build-fuzz/crash-*.
FUZZ_SECONDS ?= 30
fuzz:
	@test -d build-fuzz || CC=clang meson setup build-fuzz -Dfuzz=true -Dc_args=-Wno-unknown-warning-option -Db_sanitize=address,undefined -Db_lundef=false
	@ninja -C build-fuzz fuzzers
	@tools/run-fuzzers build-fuzz $(FUZZ_SECONDS)

# 77: what a checker needs is not installed or not built.
lint:
	@for check in check-layers check-shape check-exports check-vendor; do tools/$$check || [ $$? = 77 ] || exit 1; done

# BENCH: options of tests/bench/bench.py, such as "--quick --only tiny,cap".
bench: all
	@tests/bench/bench.py $(BENCH)

# The tests and figures on a real NVIDIA GPU: docs/gpu-check.md. Without one it says so and is not a failure. GPU_CHECK: options.
gpu-check: all
	@tools/gpu-check $(GPU_CHECK)

# One archive with all that gpu-check needs, for a machine without a compiler or a package registry.
gpu-bundle: all
	@tools/gpu-bundle --build $(BUILD)

# fastgpu-kubelet against the kubelet's own code, KUBERNETES_ROUNDS times at random. Needs go and root; builds for minutes the first time.
KUBERNETES_ROUNDS ?= 1000
kubernetes-check: all
	@KUBERNETES_BUILD=1 KUBERNETES_ROUNDS=$(KUBERNETES_ROUNDS) tests/kubernetes/run.py
	@cd tests/kubernetes/chart && FASTGPU_SOURCE=$(CURDIR) go test .

# What `make` built, as one archive with install.sh.
dist: all
	@tools/dist

format:
	@find src include examples tests -name '*.[ch]' | xargs clang-format -i

clean:
	@rm -rf build build-asan build-tsan build-fuzz out
