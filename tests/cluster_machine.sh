#!/bin/sh
# The first process of a machine in namespaces of its own (see cluster_machine.py). It gives them a
# name, a root that is this computer's with files over it, and a private /tmp. Then it only reaps.
# $1: the name. $2: an empty folder. $3: the homes of all machines. The rest: folders with the files;
# the last one wins.
set -eu
name=$1 space=$2 homes=$3
shift 3
read -r process _ </proc/self/stat # its number outside, as /proc is still the one from there
hostname "$name"
ip link set dev lo up
mount -t tmpfs -o mode=755 tmpfs "$space"
mkdir "$space/upper" "$space/work" "$space/root"
for files; do
    cp -a "$files/." "$space/upper"
done
mount -t overlay -o "lowerdir=/,upperdir=$space/upper,workdir=$space/work" overlay "$space/root"
cd "$space/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --bind "$homes" home
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty dev
mkdir dev/pts dev/shm run/sshd run/munge run/slurm run/slurm/state
mount -t devpts -o newinstance,mode=620,gid=5,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
# Stand-ins for cards, which nobody opens: Slurm wants to see devices.
case $name in n[0-9]*) cp -a /dev/null dev/nvidia0 && cp -a /dev/null dev/nvidia1 ;; esac
pivot_root . mnt
umount --lazy /mnt
echo "$process"
while :; do
    sleep 3600 &
    wait
done
