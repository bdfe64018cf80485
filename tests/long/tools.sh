#!/bin/bash
#
# tools.sh - tests/fs/tools.sh with some ten thousand files.

exec "$(dirname "$0")/../fs/tools.sh" "${TOOLS_SOURCE:-/usr/share}"
