#!/bin/bash
#
# packages.sh [COUNT] - package managers with their root, their store and their cache in the mount:
# dpkg with packages made here of COUNT files, and npm with a tarball made here.  No network.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/mounted.bash"
# shellcheck source=tests/fs/trees.bash
. "$(dirname "$0")/trees.bash"

# ---- dpkg ----

# build_deb VERSION: sample_VERSION.deb with a conffile, links, a directory that moves, scripts.
build_deb() {
    local tree=deb-$1 i
    mkdir -p "$tree/DEBIAN" "$tree/etc" "$tree/usr/bin" "$tree/usr/share/sample/$1" \
        "$tree/usr/lib/sample"
    printf '%s\n' 'Package: sample' "Version: $1" 'Architecture: all' \
        'Maintainer: A Tester <tester@example.org>' 'Description: a sample' \
        >"$tree/DEBIAN/control"
    echo /etc/sample.conf >"$tree/DEBIAN/conffiles"
    printf '%s\n' '#!/bin/sh' "echo \"\$0 \$*\" | sed 's,.*/,,' >>\"\$DPKG_ROOT/var/lib/sample.log\"" \
        >"$tree/DEBIAN/postinst"
    chmod 755 "$tree/DEBIAN/postinst"
    for i in prerm postrm preinst; do
        cp "$tree/DEBIAN/postinst" "$tree/DEBIAN/$i"
    done
    echo "setting=$1" >"$tree/etc/sample.conf"
    printf '#!/bin/sh\necho sample %s\n' "$1" >"$tree/usr/bin/sample"
    chmod 755 "$tree/usr/bin/sample"
    ln "$tree/usr/bin/sample" "$tree/usr/bin/sample-hard"
    ln -s sample "$tree/usr/bin/sample-soft"
    head -c 1000000 /dev/urandom >"$tree/usr/lib/sample/large"
    for ((i = 0; i < count; i++)); do
        echo "$1 $i" >"$tree/usr/share/sample/$1/file$i"
        echo "$((i % 3)) $1" >"$tree/usr/share/sample/file$i"
    done
    # A path that is a directory in one version and a link in the next would ask for a script.
    [ "$1" = 1 ] || ln -s large "$tree/usr/lib/sample/only-in-$1"
    dpkg-deb --root-owner-group -Zgzip -b "$tree" "sample_$1.deb"
}

builds_debs() {
    build_deb 1
    build_deb 2
    # The same is built in the mount: the archive is read back to the byte.
    cp -a deb-1 "$mnt/deb-1"
    SOURCE_DATE_EPOCH=1000000000 dpkg-deb --root-owner-group -Zgzip -b deb-1 one.deb
    SOURCE_DATE_EPOCH=1000000000 dpkg-deb --root-owner-group -Zgzip -b "$mnt/deb-1" \
        "$mnt/one.deb"
    cmp <(dpkg-deb --fsys-tarfile one.deb) <(dpkg-deb --fsys-tarfile "$mnt/one.deb")
    rm -r "$mnt/deb-1" "$mnt/one.deb"
}

new_root() {
    mkdir -p root/var/lib/dpkg/updates root/var/lib/dpkg/info root/etc
    : >root/var/lib/dpkg/status
    : >root/var/lib/dpkg/available
}

run_dpkg() {
    dpkg --root="$PWD/root" --log="$PWD/dpkg.log" --force-script-chrootless --force-not-root \
        --no-debsig "$@" 2>&1 | sed "/Reading database/d; s,$PWD,,"
    return "${PIPESTATUS[0]}"
}

# All of a root as text, but for times of the day.
root_is() {
    echo "$1:"
    (cd root && find . -printf '%P %y %m %u %g %n %l\n' | grep -v 'triggers' | sort)
    # shellcheck disable=SC2016
    dpkg-query --admindir=root/var/lib/dpkg -W -f '${Package} ${Version} ${Status}\n' 2>&1 || true
    root/usr/bin/sample 2>/dev/null || true
    cat root/var/lib/sample.log
    sed 's/^[^ ]* [^ ]* //' dpkg.log
}

dpkg_lives() {
    new_root
    run_dpkg -i "$WORK/sample_1.deb"
    root_is installed
    (cd root && md5sum -c --quiet var/lib/dpkg/info/sample.md5sums)
    echo 'setting=mine' >>root/etc/sample.conf
    run_dpkg --force-confdef --force-confold -i "$WORK/sample_2.deb"
    root_is upgraded
    cat root/etc/sample.conf root/etc/sample.conf.dpkg-dist
    run_dpkg --verify sample || true
    run_dpkg --force-downgrade --force-confnew -i "$WORK/sample_1.deb"
    root_is downgraded
    run_dpkg -r sample
    root_is removed
    run_dpkg -P sample
    root_is purged
    # It says when.
    rm dpkg.log
}

# One that the archive of this machine left behind.
dpkg_unpacks_a_real_one() {
    local deb
    deb=$(find /var/cache/apt/archives -name '*.deb' -size +100k -size -20000k 2>/dev/null |
        sort | sed -n 1p)
    if [ -z "$deb" ]; then
        echo "no package at hand"
        return
    fi
    dpkg-deb -x "$deb" "$mnt/real"
    dpkg-deb -x "$deb" "$beneath/real"
    same_trees "$beneath/real" "$mnt/real"
    rm -rf "$mnt/real" "$beneath/real"
}

# ---- npm ----

# Two packages, one of which needs the other, as tarballs.
packs() {
    local i
    mkdir -p leaf/lib tool/bin
    echo '{"name": "leaf", "version": "1.0.0", "main": "index.js", "license": "MIT"}' >leaf/package.json
    echo 'module.exports = require("./lib/0.js");' >leaf/index.js
    for ((i = 0; i < count; i++)); do
        echo "module.exports = 'leaf $i';" >"leaf/lib/$i.js"
    done
    npm pack --silent ./leaf
    printf '%s\n' '{"name": "tool", "version": "2.0.0", "bin": {"tool": "bin/tool.js"},' \
        '"license": "MIT", "scripts": {"postinstall": "node bin/tool.js >installed"},' \
        "\"dependencies\": {\"leaf\": \"file:$WORK/leaf-1.0.0.tgz\"}}" >tool/package.json
    printf '%s\n' '#!/usr/bin/env node' 'console.log("tool and " + require("leaf"));' \
        >tool/bin/tool.js
    npm pack --silent ./tool
}

npm_lives() {
    export npm_config_cache=$PWD/cache npm_config_offline=true npm_config_audit=false
    export npm_config_fund=false npm_config_update_notifier=false npm_config_progress=false
    mkdir project
    cd project
    echo '{"name": "project", "version": "1.0.0", "private": true}' >package.json
    npm install --silent "$WORK/tool-2.0.0.tgz"
    node_modules/.bin/tool
    cat node_modules/tool/installed
    npm ls --all --parseable | sed "s,$PWD,,"
    find . -printf '%P %y %m %n\n' | sort
    # Again from the lock file, and from the cache alone.
    npm ci --silent
    node_modules/.bin/tool
    npm install --silent --install-strategy=linked "$WORK/leaf-1.0.0.tgz" || true
    npm rebuild --silent
    npm dedupe --silent
    npm uninstall --silent tool leaf
    find . -mindepth 1 -not -path './node_modules/*' | sort
    npm cache verify | sed -n 's/^Content verified: //p'
    npm install --silent -g --prefix "$PWD/../global" "$WORK/tool-2.0.0.tgz"
    ../global/bin/tool
    cd ..
    # Names, times and checksums of its own making.
    rm -rf cache project global
}

npm_installs() {
    export HOME=$WORK
    packs
    alike npm_lives
}

count=${1:-60}
mount_store -o acl,suid,dev || exit 1
check "dpkg-deb builds" builds_debs
check "dpkg --root installs, upgrades, downgrades, removes, purges as on ext4" alike dpkg_lives
check "dpkg-deb unpacks a real package" dpkg_unpacks_a_real_one
if command -v npm >/dev/null; then
    check "npm installs, offline, with its cache in the mount, as on ext4" npm_installs
else
    echo "# skipped: npm is not installed"
fi
check "unmounts" umount_store
finish
