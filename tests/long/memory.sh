#!/bin/bash
#
# memory.sh - tests/fs/memory.sh with what a mount has by default, ten million files, and 10 GiB.

exec "$(dirname "$0")/../fs/memory.sh" 256 10000000 10240
