#!/bin/bash
#
# bigdir.sh - tests/fs/bigdir.sh with a directory of a million files.

exec "$(dirname "$0")/../fs/bigdir.sh" 1000000
