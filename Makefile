# One target per habit. `setup` installs what runs the switch and what tests it, `setup-run` only the former; every other
# target sets up first what it needs.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
DIST := dist
# What runs the switch, and the demo with it. iproute2: `ip netns`, and it brings libbpf, which loads the program of the
# eBPF datapath; python3-venv: the virtual environment.
APT_RUN := iproute2 libbpf1 python3-venv
# What tests it besides. openvswitch-switch: ovs-ofctl (oracle) and the peer of the benchmarks;
# openvswitch-testcontroller: a controller in C; dnsmasq-base, udhcpc, isc-dhcp-client (DHCPv6): DHCP server and clients;
# unbound: a DNS server beside dnsmasq; iperf3: throughput; iputils-ping: data traffic in tests; mininet: runs its own class
# and ours, and its tests want python3-pexpect and an iperf.
APT := iputils-ping openvswitch-switch openvswitch-common openvswitch-testcontroller dnsmasq-base udhcpc isc-dhcp-client unbound iperf3 ethtool procps mininet python3-pexpect iperf
PYTHON ?= $(shell command -v python3.11 || command -v python3)

.PHONY: setup setup-run wheel deb image demo test test-packages lint coverage bench bpf clean conformance equality fuzz soak kills failures lowest old-kernel

setup: $(VENV)/.done

$(VENV)/.done: $(VENV)/.run requirements.txt
	tools/apt-install $(APT)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

# What runs the switch and nothing else: `.venv/bin/inband`.
setup-run: $(VENV)/.run

$(VENV)/.run: pyproject.toml src/inband/__init__.py requirements-run.txt tools/apt-install
	tools/apt-install $(APT_RUN)
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-run.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

# What `pip install` takes, in dist/.
wheel: setup-run
	tools/wheel $(PY) $(DIST)

# The Debian package, in dist/. As root it installs what builds it (debhelper and what that needs: 320 MB).
deb: setup-run
	tools/deb $(PY) $(DIST)

# The container image, as an OCI layout and as a plain archive, in dist/. As root it installs mmdebstrap.
image: setup-run
	tools/image $(PY) $(DIST)

demo: setup-run
	$(PY) -m inband.demo

# `ARGS="tests/unit -x"` for some of them.
test: setup
	$(PY) -m pytest --ignore tests/packaging $(ARGS)

# Wheel, Debian package and image: built, installed and run, each on a fresh system. Needs root and the registries.
test-packages: setup
	$(PY) -m pytest tests/packaging

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# How much of the switch the fast tests reach, and whether that is enough (pyproject.toml). As root: what packets/ tests
# is not reached without. A test that fails only because tracing makes it slow is no matter here: `make test` judges tests.
coverage: setup
	-$(PY) -m coverage run -m pytest -q tests/unit tests/property tests/packets
	$(PY) -m coverage report

# Every target of tests/fuzz for a minute; `ARGS="--seconds 600"` for longer, `ARGS="dns --seconds 600"` for one.
fuzz: setup
	$(PY) -m tests.fuzz $(ARGS)

# Three million packets through random tables, in the kernel and in Python, with changes in between: 20 minutes as root.
# `PACKETS=200000` is what `make test` does.
equality: PACKETS ?= 3000000
equality: setup
	INBAND_PACKETS=$(PACKETS) $(PY) -m pytest -q tests/packets/test_many_packets.py $(ARGS)

# An hour in which everything happens to a switch: is it level? `ARGS="--seconds 900"` for less.
soak: setup
	$(PY) -m bench.soak $(ARGS)

# A switch that is killed at random instants, 200 times; `ARGS="--kills 10"` for fewer.
kills: setup
	$(PY) -m bench.kills $(ARGS)

# A thousand random networks of 200 switches and 100 failures each; `ARGS="--switches 20 --seeds 10"` for less,
# `ARGS="--results build/failures.jsonl"` to stop and go on.
failures: setup
	$(PY) -m tests.failures $(ARGS)

# The unit tests with the lowest versions that pyproject.toml allows of what the switch needs: a promise that is tested.
lowest: setup
	mkdir -p build
	test -x build/lowest/bin/python || $(PYTHON) -m venv build/lowest
	$(PY) tools/lowest.py pyroute2 > build/lowest/requirements.txt
	build/lowest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r build/lowest/requirements.txt
	build/lowest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	build/lowest/bin/python -m pytest -q tests/unit

# The eBPF datapath on Debian 12's own kernel, in an emulated machine (tools/on-kernel): as root, ten minutes the first
# time. `ARGS="tests/packets/test_packets.py"` for other tests; those of minutes here take an hour there.
old-kernel: ARGS ?= tests/system/test_ebpf_program.py tests/system/test_ebpf_meters.py tests/system/test_ebpf_attachments.py
old-kernel:
	tools/on-kernel build/old-kernel linux-image-amd64 $(PY) -m pytest -q -o timeout=900 $(ARGS)

# The os-ken switch tester, ours beside Open vSwitch: about an hour, `ARGS=--seconds 10` for less.
conformance: setup
	$(PY) -m tests.conformance.run $(ARGS)

bench: setup
	$(PY) -m bench

# The program of the eBPF datapath, which ships built: only whoever changes it needs clang-14, llvm-14 and libbpf-dev.
BPF_OBJECT := src/inband/datapath/ebpf/fastpath.bpf.o
CLANG ?= clang-14
LLVM_STRIP ?= llvm-strip-14

bpf: $(BPF_OBJECT)

# -g for its types (BTF), without the rest of it; the directory is mapped so that no path of a machine gets into it.
$(BPF_OBJECT): $(wildcard bpf/*.c bpf/*.h)
	cd bpf && $(CLANG) -O2 -g -Wall -Wextra -Werror -target bpf -mcpu=v3 \
		-fdebug-prefix-map=$(CURDIR)/bpf=bpf -I/usr/include/$(shell uname -m)-linux-gnu \
		-c fastpath.bpf.c -o $(abspath $@)
	$(LLVM_STRIP) --strip-debug $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
