#!/bin/bash
#
# git.sh - tests/fs/git.sh with some fifty thousand objects.

GIT_COMMITS=${GIT_COMMITS:-6000} GIT_KILLS=${GIT_KILLS:-12} exec "$(dirname "$0")/../fs/git.sh"
