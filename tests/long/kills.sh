#!/bin/bash
#
# kills.sh - tests/fs/kills.sh with two hundred rounds.

KILLS=${KILLS:-200} exec "$(dirname "$0")/../fs/kills.sh"
