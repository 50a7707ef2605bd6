# SPDX-License-Identifier: Apache-2.0
# The front door. meson does the work; `make` leaves a complete runnable tree in out/.
BUILD ?= build
.PHONY: all test check asan tsan fuzz bench lint compat gpu-check gpu-bundle dist deb deb-check image image-check vm-check kubernetes-check kubernetes-cluster-check matrix clean format

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
	@meson install -C $(BUILD) --no-rebuild --quiet

$(BUILD)/build.ninja:
	@meson setup $(BUILD) --prefix=$(CURDIR)/out --libdir=lib

test check: all
	@meson test -C $(BUILD) --print-errorlogs

# The daemon and the jobs' runner as well; they are slower so. Both have their say, whatever the first found.
asan:
	@test -d build-asan || meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false
	@r=0; meson test -C build-asan --suite unit --suite fuzz --print-errorlogs || r=$$?; \
	ASAN_OPTIONS=verify_asan_link_order=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1 \
		meson test -C build-asan --suite daemon --suite runner --timeout-multiplier 5 --print-errorlogs || r=$$?; exit $$r

# The drop-ins are not among them: they answer dlsym() themselves, by which the sanitizer finds what it stands in for.
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
	@for check in check-layers check-shape check-exports check-vendor check-links; do tools/$$check || [ $$? = 77 ] || exit 1; done

# BENCH: options of tests/bench/bench.py, such as "--quick --only tiny,cap".
bench: all
	@FASTGPU_BUILD=$(BUILD) tests/bench/bench.py $(BENCH)

# TensorFlow, Keras, JAX, torch and others in the versions of two years, inside vGPUs: writes docs/compat.md. COMPAT: options of tests/compat/compat.py.
compat: all
	@tests/compat/compat.py $(COMPAT)
# Every way into a container with every engine that is installed, as a table.
matrix: all
	@tests/e2e/matrix.py

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
	@KUBERNETES_BUILD=1 tests/kubernetes/chart.py

# The manifests, claims and fastgpu-scheduler with Kubernetes' own API server and scheduler, which are built the first time: half an hour. Needs go and etcd.
kubernetes-cluster-check: all
	@KUBERNETES_BUILD=1 FASTGPU_PREFIX=$(CURDIR)/out tests/kubernetes/cached.py tests/kubernetes/cluster/test_cluster.py

# What `make` built, as one archive with install.sh.
dist: all
	@tools/dist

# What a Debian or Ubuntu machine installs: one package for each optional part, in build-deb/packages.
deb:
	@tools/deb

# Them judged, installed into a fresh Debian, used and purged. Root, and a package registry.
deb-check:
	@tests/packages/deb_check.py || [ $$? = 77 ]

# The container image leptona/fastgpu. IMAGE: options, such as --engine podman, or --base debootstrap where no registry is reachable.
image:
	@tools/image $(IMAGE)

# The walk-through of docs/containers.md with Docker and podman. Root; a package registry.
image-check: all
	@tests/packages/image_check.py || [ $$? = 77 ]

# The same and the systemd units in a machine with cgroup v2, emulated by QEMU: half an hour. VM_CHECK: options.
vm-check: all
	@tests/packages/vm_check.py $(VM_CHECK) || [ $$? = 77 ]

format:
	@find src include examples tests -name '*.[ch]' | xargs clang-format -i

clean:
	@rm -rf build build-deb build-asan build-tsan build-fuzz out
