# Mounts the directories that the host shares and tries them; run in the guest.
# usage: share-tests.sh cases|readonly|large
export PATH=/bin
for module in /modules/*; do
    busybox insmod "$module" || echo "share: cannot load $module"
done
alias mount='busybox mount' cat='busybox cat' mkdir='busybox mkdir'
mount_tag() {
    busybox mkdir -p "$2" && busybox mount -t 9p -o "trans=virtio,version=9p2000.L,msize=524288$3" "$1" "$2"
}
# Each directory's tag says where it wants to be.
for tag in /sys/bus/virtio/drivers/9pnet_virtio/virtio*/mount_tag; do
    echo "share: tag $(busybox tr '\\0' '\\n' <"$tag")"
done
case $1 in
cases)
    # cache=mmap: without it nothing can be mapped both shared and to be written.
    mount_tag /src /mnt ,cache=mmap,posixacl && /tests/fs-cases /mnt
    ;;
readonly)
    mount_tag /src /mnt || exit
    busybox cat /mnt/hello
    busybox cat /mnt/out 2>&1
    echo x 2>/dev/null >/mnt/hello || echo "share: hello cannot be written"
    busybox rm /mnt/hello 2>/dev/null || echo "share: hello cannot be removed"
    busybox mkdir /mnt/new 2>/dev/null || echo "share: no directory can be made"
    # Not with ls, which looks at each of them.
    set -- /mnt/many/*
    echo "share: entries $#"
    ;;
large)
    mount_tag /a /a && mount_tag /b /b || exit
    busybox cp /a/large /b/copy && busybox md5sum </b/copy | busybox sed 's/^/share: md5 /'
    ;;
esac
