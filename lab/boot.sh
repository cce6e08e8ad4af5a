#!/bin/bash
# Boot the systemd of the system in a folder, and wait for its end. For lab/booted.py, which knows what for.
#
#     unshare --mount --propagation private lab/boot.sh DIR NAME
#
# All namespaces are its own, and so is a cgroup, NAME, that is removed in the end: systemd moves what it finds in the
# root of its cgroups. Of /dev it gets no more than programs ask of any system, no disk and no terminal of this machine's.
set -euo pipefail
dir=$(realpath "$1") name=$2

prepare() {
    mount --bind "$dir" "$dir" # pivot_root takes mount points only
    mount -t proc proc "$dir/proc"
    mount -t sysfs sysfs "$dir/sys"
    mkdir -p "$dir/sys/fs/cgroup"
    mount -t cgroup2 cgroup2 "$dir/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$dir/run"
    mkdir -p "$dir/run/systemd/system"
    ln -s /dev/null "$dir/run/systemd/system/getty.target" # a login without a terminal is started again and again
    mount -t tmpfs -o mode=755 tmpfs "$dir/dev"
    mknod -m 666 "$dir/dev/console" c 1 3 # what it says there goes nowhere
    local device
    for device in 'null 3' 'zero 5' 'full 7' 'random 8' 'urandom 9'; do
        mknod -m 666 "$dir/dev/${device% *}" c 1 "${device#* }"
    done
    mknod -m 666 "$dir/dev/tty" c 5 0
    mkdir "$dir/dev/shm" "$dir/dev/pts"
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$dir/dev/pts"
    ln -s pts/ptmx "$dir/dev/ptmx"
    cd "$dir"
    pivot_root . mnt
    umount -l /mnt
    cd /
    exec env -i container=inband /lib/systemd/systemd --unit=multi-user.target </dev/null
}

if [ "${3-}" = --inside ]; then
    prepare
fi

cgroups=$(mktemp -d)
mount -t cgroup2 cgroup2 "$cgroups"
mkdir "$cgroups/$name"

tidy_up() {
    kill -KILL $(jobs -p) 2>/dev/null || true
    wait 2>/dev/null
    echo $$ >"$cgroups/cgroup.procs"
    for _ in {1..50}; do # those of the namespace die after its first process
        find "$cgroups/$name" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.1
    done
    umount "$cgroups"
    rmdir "$cgroups"
}
trap tidy_up EXIT
trap 'exit 143' TERM
echo $$ >"$cgroups/$name/cgroup.procs"
unshare --mount --propagation private --cgroup --pid --net --ipc --uts --fork --kill-child "$0" "$dir" "$name" --inside &
wait $!
