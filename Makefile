# Lucency. Two commands do everything on a fresh Debian or Ubuntu with Rust and Node:
#
#   make run     builds and opens the window on the demo study; without a display, the headless demo
#                (make run PATHS="scan.dcm folder" opens your own files)
#   make test    installs what the tests need and runs every check, cheapest first
#   make bench-window   times the window of a release build
#
# Builds go to CARGO_TARGET_DIR, by default outside the checkout.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lucency
export CACHE
export CARGO_TARGET_DIR ?= $(CACHE)/target
PATHS ?= --demo

.PHONY: help run demo test fmt ui lint unit e2e packages-cli packages-app packages-test

help:
	@sed -n 's/^#\( \|$$\)//p' Makefile | head -n 8


# Opens the window, or runs the demo in the terminal where there is no display.
run:
	@if [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ]; then \
	    $(MAKE) --no-print-directory window; \
	else \
	    echo "No display here (neither DISPLAY nor WAYLAND_DISPLAY is set): running the demo in the terminal instead."; \
	    $(MAKE) --no-print-directory demo; \
	fi

.PHONY: window
window: packages-app
	npm --prefix ui ci --no-audit --no-fund
	npm --prefix ui run build
	cargo build --release --locked -p lucency-app --features custom-protocol
	"$(CARGO_TARGET_DIR)/release/lucency-app" $(PATHS)

# Asks the demo study three questions and prints findings and similar cases; needs neither WebKit nor GTK.
demo: packages-cli
	cargo build --release --locked -p lucency-cli
	"$(CARGO_TARGET_DIR)/release/lucency" demo

test: packages-test
	@.ci/test.sh all

# Times the window of a release build: start to the first image, scrolling through 500 slices.
.PHONY: bench-window
bench-window: packages-test
	@.ci/test.sh bench

# Parts of `make test`.
fmt ui lint unit e2e: packages-test
	@.ci/test.sh $@

packages-cli:
	@.ci/packages.sh build-essential
packages-app: packages-cli
	@.ci/packages.sh libwebkit2gtk-4.1-dev librsvg2-dev pkg-config
packages-test: packages-app
	@.ci/packages.sh webkit2gtk-driver xvfb dbus fonts-dejavu-core
