# shellcheck shell=bash
#
# packages.sh - Debian packages, installed only where they are missing.  Sourced by bash.

# What building lsmfs takes, and what testing it takes beside that.
# shellcheck disable=SC2034
build_packages='build-essential cmake pkg-config libfuse3-dev fuse3 libisal-dev libxxhash-dev
    libjansson-dev liblz4-dev libarchive-dev'
# shellcheck disable=SC2034
test_packages='check clang libclang-rt-14-dev clang-format shellcheck git rsync sqlite3 attr
    acl procps systemd strace vim-tiny python3 restic borgbackup e2fsprogs fio stress-ng postgresql
    mandoc groff-base file lintian bash-completion zsh fish xz-utils'
# What only the parts of --long take.
# shellcheck disable=SC2034
long_packages='bonnie++ busybox-static cpio dbench postmark debootstrap qemu-system-x86'
# What tests/run --bench measures beside lsmkv, and what draws the result.
# shellcheck disable=SC2034
bench_packages='librocksdb-dev libleveldb-dev liblmdb-dev libwiredtiger-dev python3'
# What tests/run --bench-mount measures beside lsmfs.
# shellcheck disable=SC2034
bench_mount_packages='bindfs gocryptfs fuse-overlayfs'
# Node from elsewhere brings an npm of its own, beside which Debian's cannot be installed.
command -v npm >/dev/null || long_packages="$long_packages npm"

missing_packages() {
    local package
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            echo "$package"
        fi
    done
}

# Debian's postgresql makes a cluster and starts it when it is installed, unless this is there.
no_cluster=/etc/postgresql-common/createcluster.d/lsmfs-tests.conf

# without_cluster COMMAND...: runs one that installs it, and takes that away again.
without_cluster() {
    local status=0
    "${as_root[@]}" mkdir -p "${no_cluster%/*}" &&
        echo 'create_main_cluster = false' | "${as_root[@]}" tee $no_cluster >/dev/null ||
        return
    "$@" || status=$?
    "${as_root[@]}" rm -f $no_cluster
    return $status
}

# install_packages NAME...: installs those that are missing, as root or through sudo, and
# says so.  Fails with the command that would do it when it may not.
install_packages() {
    local missing as_root=() wrapper=()
    if ! command -v dpkg-query >/dev/null; then
        echo "not Debian: taking for granted what these packages hold there: $*" >&2
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing packages, and neither root nor sudo to install them; as root:" >&2
            echo "    apt-get install ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "installing ${missing[*]}"
    [[ " ${missing[*]} " != *' postgresql '* ]] || wrapper=(without_cluster)
    "${as_root[@]}" apt-get -qq update </dev/null &&
        "${wrapper[@]}" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
            --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}
