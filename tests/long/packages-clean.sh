#!/bin/bash
#
# packages-clean.sh - the packages in a Debian that has nothing else: apt installs them with what
# they need, a store is mounted through fstab and by an ordinary user, an upgrade and a removal
# leave what is mounted alone, a purge leaves stores alone, programs are built on the library, and
# the README's quick start starts.
#
# As root, with Debian's mirror: the one that apt uses here.

tests=$(realpath "$(dirname "$0")/..")
# shellcheck source=tests/fs/mounted.bash
. "$tests/fs/mounted.bash"

debian=$WORK/debian
packages=$tests/../.build/deb/packages
user=1000

clean_up() {
    local point
    for point in srv/notes srv/quick home/one/mnt proc dev/fuse; do
        ! mountpoint -q "$debian/$point" || umount -l "$debian/$point"
    done
    [ ! -e "$WORK/fuse.acl" ] || setfacl --restore="$WORK/fuse.acl"
}

in_debian() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        ${http_proxy:+http_proxy="$http_proxy"} chroot "$debian" "$@"
}

as_user() {
    in_debian setpriv --reuid $user --regid $user --clear-groups env HOME=/home/one "$@"
}

apt() {
    in_debian apt-get -qq -y --no-install-recommends "$@"
}

# The path in there of a package.
debs() {
    (cd "$debian" && find root/debs -name "$1_*.deb" -printf '/%p\n')
}

makes_a_clean_root() {
    local mirror release
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' |
        awk -v release="$release" '$1 == release { print $2; exit }')
    debootstrap --variant=minbase "$release" "$debian" "$mirror"
    mount -t proc proc "$debian/proc"
    touch "$debian/dev/fuse"
    mount --bind /dev/fuse "$debian/dev/fuse"
    # As systemd makes it at boot; without, fusermount3 -u unmounts nothing for ordinary users.
    ln -s ../proc/self/mounts "$debian/etc/mtab"
    in_debian useradd --uid $user --create-home one
    mkdir -p "$debian/root/debs"
    cp "$packages"/*.deb "$debian/root/debs"
    in_debian dpkg-query -W >"$WORK/before"
}

apt_installs_it() {
    not in_debian sh -c 'command -v lsmfs || command -v fusermount3'
    apt install "$(debs lsmfs)"
    in_debian lsmfs --version
    in_debian fusermount3 --version
    in_debian dpkg --verify lsmfs
}

store_is_made() {
    mkdir "$debian/srv/notes"
    in_debian lsmfs /srv/notes.store /srv/notes
    echo 'hello, world' >"$debian/srv/notes/greeting"
    cp -a "$debian/usr/share/doc" "$debian/srv/notes/doc"
    in_debian lsmfs snapshot create /srv/notes monday
    in_debian lsmfs umount /srv/notes
    in_debian lsmfs check /srv/notes.store
}

fstab_mounts() {
    echo '/srv/notes.store /srv/notes lsmfs defaults,nofail,uhelper=lsmfs 0 0' >"$debian/etc/fstab"
    in_debian mount /srv/notes
    in_debian mount -a
    same 1 "$(grep -c " $debian/srv/notes fuse.lsmfs " /proc/mounts)"
    same 'hello, world' "$(cat "$debian/srv/notes/greeting")"
    in_debian umount /srv/notes
    in_debian lsmfs check --quiet /srv/notes.store
}

user_mounts() {
    as_user mkdir /home/one/mnt
    as_user lsmfs /home/one/store /home/one/mnt
    as_user sh -c 'echo mine >/home/one/mnt/file'
    same mine "$(as_user cat /home/one/mnt/file)"
    as_user lsmfs umount /home/one/mnt
    same mine "$(as_user lsmfs get /home/one/store file)"
}

daemon() {
    in_debian lsmfs status /srv/notes | sed -n 's/^pid: //p'
}

upgrade_leaves_it_mounted() {
    local pid
    in_debian mount /srv/notes
    pid=$(daemon)
    apt --reinstall install "$(debs lsmfs)"
    same "$pid" "$(daemon)"
    echo more >"$debian/srv/notes/more"
}

removal_leaves_it_mounted() {
    apt remove lsmfs
    not test -e "$debian/usr/bin/lsmfs"
    same more "$(cat "$debian/srv/notes/more")"
    echo last >"$debian/srv/notes/last"
    # There is no helper any more; the daemon ends by itself when all is on the disk.
    in_debian umount /srv/notes
    for _ in {1..500}; do
        [ ! -e "$debian/srv/notes.store/CLOSED" ] || return 0
        sleep 0.02
    done
    return 1
}

store_state() {
    (cd "$debian" && find srv home -type f -printf '%p %m %U %T@ ' -exec md5sum {} \;)
}

purge_leaves_stores() {
    local before
    before=$(store_state)
    apt purge lsmfs
    apt autoremove --purge
    same "$before" "$(store_state)"
    same "$(cat "$WORK/before")" "$(in_debian dpkg-query -W)"
    grep '^/srv/notes.store /srv/notes lsmfs ' "$debian/etc/fstab"
    same '' "$(find "$debian"/{etc,usr,var} -xdev -name '*lsmfs*')"
}

installed_again_it_is_all_there() {
    apt_installs_it
    in_debian mount -a
    same 'hello, world last' "$(cat "$debian/srv/notes"/{greeting,last} | paste -sd ' ')"
    same_trees "$debian/srv/notes/doc" "$debian/srv/notes/.snapshots/monday/doc"
    in_debian umount /srv/notes
    in_debian lsmfs check --quiet --snapshots /srv/notes.store
}

library_is_installed() {
    apt install "$(debs liblsmkv0.1)" "$(debs liblsmkv-dev)" "$(debs lsmkv-tools)" \
        gcc libc6-dev make pkg-config cmake
    in_debian sh -c 'ldconfig -p | grep liblsmkv.so.0.1'
}

# As the heads of the examples say.
pkg_config_builds() {
    local source name
    mkdir "$debian/srv/built"
    for source in "$debian"/usr/share/doc/liblsmkv-dev/examples/*.c; do
        name=$(basename "$source" .c)
        cp "$source" "$debian/srv/built/"
        in_debian sh -c "cd /srv/built && $(sed -n 's/^ \*     cc \(.*\) && .*/cc \1/p' "$source")"
        same "$(sed -n '/^ \* prints$/,/^ \*\/$/s/^ \*     //p' "$source")" \
            "$(in_debian "/srv/built/$name" "/srv/built/store-$name")"
        in_debian lsm-dump --verify "/srv/built/store-$name"
    done
}

find_package_builds() {
    cat >"$debian/srv/built/CMakeLists.txt" <<'LISTS'
cmake_minimum_required(VERSION 3.25)
project(examples LANGUAGES C)
find_package(lsmkv 0.1 REQUIRED COMPONENTS static)
add_executable(shared first.c)
target_link_libraries(shared PRIVATE lsmkv::lsmkv)
add_executable(static first.c)
target_link_libraries(static PRIVATE lsmkv::static)
LISTS
    in_debian cmake -S /srv/built -B /srv/built/build
    in_debian cmake --build /srv/built/build
    in_debian /srv/built/build/shared /srv/built/store-shared
    # Without the shared library at hand.
    apt remove liblsmkv0.1
    not in_debian /srv/built/build/shared /srv/built/store-shared
    in_debian /srv/built/build/static /srv/built/store-static
}

# The first of the README's two commands, from a clone of what is committed.
quickstart_mounts() {
    git clone -q "$tests/.." "$debian/srv/clone"
    in_debian /srv/clone/mount-helpers/quickstart /srv/quick.store /srv/quick
    echo quick >"$debian/srv/quick/file"
    # It does no harm to say it again.
    in_debian /srv/clone/mount-helpers/quickstart /srv/quick.store /srv/quick
    in_debian /srv/clone/.build/release/bin/lsmfs umount /srv/quick
    same quick "$(in_debian /srv/clone/.build/release/bin/lsmfs get /srv/quick.store file)"
}

if [ "$(id -u)" != 0 ]; then
    echo "not ok - a root of its own takes root"
    exit 1
fi
trap clean_up EXIT
check "the packages are built" "$tests/deb" --build
check "debootstrap makes a clean root" makes_a_clean_root
fuse_for $user
trap clean_up EXIT # fuse_for has set its own
check "apt installs lsmfs and what it needs" apt_installs_it
check "a store is made and checked" store_is_made
check "fstab mounts it, once" fstab_mounts
check "an ordinary user mounts another" user_mounts
check "an upgrade leaves it mounted" upgrade_leaves_it_mounted
check "a removal leaves it mounted" removal_leaves_it_mounted
check "a purge leaves stores, and nothing else" purge_leaves_stores
check "installed again, all of it is there" installed_again_it_is_all_there
check "apt installs the library, its development files and its tools" library_is_installed
check "pkg-config: the examples are built and print what they promise" pkg_config_builds
check "find_package: shared and static" find_package_builds
check "quickstart builds and mounts, from a clone" quickstart_mounts
finish
