#!/bin/bash
#
# compare.sh - tests/fs/compare.sh for three quarters of an hour.

COMPARE_SECONDS=${COMPARE_SECONDS:-2700} exec "$(dirname "$0")/../fs/compare.sh"
