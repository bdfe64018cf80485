#!/bin/bash
#
# powercut.sh - the power fails under a kernel, an ext4 and a disk of their own.
#
# A virtual machine (QEMU without acceleration, the kernel of Debian's cloud images) has lsmfs on a
# store on ext4 and does random steps, with a sync now and then whose end it notes on the disk itself.
# Every write that reaches its disk is recorded.  Of what a cut may leave of it (powercut.py) the store
# is sound, and the mount shows the tree after all steps that a sync had acknowledged, or after more.
#
# POWERCUT_ROUNDS machines, POWERCUT_POINTS cuts of each; LSMKV_SEED: the first round's seed.

# shellcheck source=tests/fs/mounted.bash
. "$(dirname "$0")/../fs/mounted.bash"
here=$(realpath "$(dirname "$0")")

rounds=${POWERCUT_ROUNDS:-8}
points=${POWERCUT_POINTS:-150}
seed=${LSMKV_SEED:-$((RANDOM * 32768 + RANDOM))}
steps=1000
modules='virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk fuse'
echo "# LSMKV_SEED=$seed"

if [ "$(id -u)" != 0 ]; then
    echo "ok - all # SKIP images are mounted as root"
    finish
fi

trap 'umount -R "$WORK/quick" 2>/dev/null' EXIT

# ---- the machine ----

# The kernel's package is only unpacked: it is not for this machine.
get_kernel() {
    local package
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
    chmod 755 .
    apt-get download -q "$package"
    dpkg-deb -x "$package"*.deb kernel
}

# into_machine FILE...: and the libraries that they need.
into_machine() {
    local file
    for file in "$@"; do
        cp "$file" machine/bin/
        ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || :
    done | sort -u | while read -r file; do
        mkdir -p "machine$(dirname "$file")"
        cp "$file" "machine$file"
    done
}

build_machine() {
    local name file
    mkdir -p machine/{bin,dev,disk,mnt,proc,sys,run,modules}
    into_machine "$lsmfs" "$TESTS/prog_steps"
    cp "$(command -v busybox)" machine/bin/busybox
    for name in sh mount insmod dd poweroff; do
        ln -s busybox machine/bin/$name
    done
    for name in $modules; do
        file=$(find kernel/lib/modules -name $name.ko)
        cp "$file" machine/modules/
    done
    cat >machine/init <<END
#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for name in $modules; do
    insmod /modules/\$name.ko
done
. /work
poweroff -f
END
    chmod +x machine/init
}

# Makes a library that has nothing synced, and says so to nobody.
build_liar() {
    printf '%s\n' 'int fsync(int fd) { (void)fd; return 0; }' \
        'int fdatasync(int fd) { (void)fd; return 0; }' \
        'int syncfs(int fd) { (void)fd; return 0; }' \
        'int sync_file_range(int fd, long a, long b, unsigned c) { (void)fd; (void)a; (void)b; (void)c; return 0; }' >liar.c
    cc -shared -fPIC -o machine/liar.so liar.c
}

# work_of SEED CREATE MOUNT DISK: what the machine does, with options of lsmfs create, of the mount, and
# of ext4; its steps in pieces of 5 to 64.
work_of() {
    RANDOM=$1
    echo "mount -t ext4 -o $4 /dev/vda /disk"
    echo "${liar:+export LD_PRELOAD=$liar}"
    echo "lsmfs create $2 /disk/store"
    echo "lsmfs mount -o memory=48M,$3 /disk/store /mnt"
    # The sector is behind the file system.
    echo 'ack() { lsmfs sync /mnt && echo "$1 " | dd of=/dev/vda bs=512 seek=393216 conv=sync,fsync 2>/dev/null; }'
    echo "ack 0"
    local at=0 end
    while [ $at -lt $steps ]; do
        end=$((at + 5 + RANDOM % 60))
        [ $end -lt $steps ] || end=$steps
        echo "prog_steps $1 $at $end /mnt && ack $end"
        at=$end
    done
    echo 'echo "all is done"'
}

# runs SEED CREATE MOUNT DISK: leaves base.img, as the disk was at first, and writes.log.
runs() {
    work_of "$@" >machine/work
    (cd machine && find . | cpio -o -H newc --quiet | gzip -1) >initrd
    rm -f disk.img writes.log
    truncate -s 193M disk.img
    mkfs.ext4 -q disk.img 192M
    cp --sparse=always disk.img base.img
    truncate -s 4G writes.log
    timeout 600 qemu-system-x86_64 -machine accel=tcg -cpu max -m 512 -nodefaults -no-reboot \
        -display none -serial stdio -kernel kernel/boot/vmlinuz-* -initrd initrd \
        -append "console=ttyS0 panic=-1" \
        -blockdev node-name=disk,driver=file,filename=disk.img \
        -blockdev node-name=log,driver=file,filename=writes.log \
        -blockdev driver=blklogwrites,node-name=writes,file=disk,log=log,log-sector-size=512 \
        -device virtio-blk-pci,drive=writes >console 2>&1 </dev/null
    grep -q 'all is done' console || {
        tail -n 20 console
        return 1
    }
}

# ---- cuts ----

# In memory, for each cut is a copy.
make_quick() {
    mkdir -p quick
    mountpoint -q quick || mount -t tmpfs -o size=1G quick quick
}

# cuts_of SEED POINTS
cuts_of() {
    make_quick
    "$here/powercut.py" check base.img writes.log states "$2" "$1" "$lsmfs" "$WORK/quick" >told || {
        cat told
        return 1
    }
}

round() {
    runs "$@"
    rm -rf expected states
    mkdir expected
    "$here/powercut.py" expect "$1" $steps "$TESTS/prog_steps" expected states
    cuts_of "$1" "$points"
}

# A disk that nobody syncs must not pass.
noticed() {
    local liar=/liar.so # see work_of
    runs "$1" '' commit=1 defaults
    not cuts_of "$1" 60
    grep -E '^# [0-9]+ cuts .*, [0-9]{2,} failed' told
}

check "a machine" get_kernel
check "with lsmfs" build_machine
build_liar
for ((number = 0; number < rounds; number++)); do
    create='' options=commit=1 disk=defaults
    [ $((number % 2)) = 0 ] || disk=data=writeback
    [ $((number % 4)) != 2 ] || options=sync
    [ $((number % 4)) != 3 ] || create=--compress=lz4
    check "round $number: create ${create:-as usual}, $options, ext4 $disk" \
        round $((seed + number)) "$create" "$options" "$disk"
    grep '^#' told
done
check "without syncs it is noticed" noticed "$seed"
finish
