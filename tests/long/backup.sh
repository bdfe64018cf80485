#!/bin/bash
#
# backup.sh - tests/fs/backup.sh with some ten thousand files.

exec "$(dirname "$0")/../fs/backup.sh" "${BACKUP_SOURCE:-/usr/share}"
