# Mounts a directory of the host by virtio-fs and tries it; run in the guest, of the cloud kernel.
# usage: virtiofs-tests.sh writable|readonly
export PATH=/bin
busybox mkdir -p /mnt && busybox mount -t virtiofs /src /mnt || exit
busybox cat /mnt/hello
busybox md5sum </mnt/large | busybox sed 's/^/share: md5 /'
busybox cat /mnt/out 2>&1
case $1 in
writable)
    busybox mkdir /mnt/new && busybox cp /mnt/large /mnt/new/copy && echo hello >/mnt/new/f &&
        busybox mv /mnt/new/f /mnt/new/g && busybox rm /mnt/hello && echo "share: written"
    # A driver that goes and comes back: the device is reset and started again.
    busybox umount /mnt && for d in /sys/bus/virtio/drivers/virtiofs/virtio*; do
        d=${d##*/}
        echo "$d" >/sys/bus/virtio/drivers/virtiofs/unbind
        echo "$d" >/sys/bus/virtio/drivers/virtiofs/bind
    done
    busybox mount -t virtiofs /src /mnt && busybox cat /mnt/new/g | busybox sed 's/^/share: again /'
    ;;
readonly)
    echo x 2>/dev/null >/mnt/hello || echo "share: hello cannot be written"
    busybox rm /mnt/hello 2>/dev/null || echo "share: hello cannot be removed"
    busybox mkdir /mnt/sub/new 2>/dev/null || echo "share: no directory can be made"
    busybox chmod 777 /mnt/sub 2>/dev/null || echo "share: no mode can be changed"
    ;;
esac
