#!/bin/bash
#
# packages.sh - tests/fs/packages.sh with packages of some thousand files.

exec "$(dirname "$0")/../fs/packages.sh" 5000
