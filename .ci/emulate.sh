#!/usr/bin/env bash
# emulate.sh BINARY [ARG...]: runs a static x86-64 BINARY under Linux on an emulated CPU with
# AVX-512 (Bochs).  Prints what it prints and exits with its code; 124: out of time, 125: no start.
# EMULATE_SECONDS: time limit (1500).  EMULATE_ENV: its environment, such as "A=1 B=2".
# Debian: bochs bochs-term bochsbios isolinux syslinux-common xorriso cpio busybox-static
# linux-image-cloud-amd64.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 BINARY [ARG...]" >&2; exit 125; }
work=$(mktemp -d)
trap '[ ! -s "$work/pid" ] || kill -9 "$(cat "$work/pid")" 2>/dev/null || :; wait; rm -rf "$work"' EXIT

# The initramfs: BINARY, busybox and an init.
mkdir -p "$work"/root/{dev,proc,sys,tmp} "$work/iso"
install -m 755 "$1" "$work/root/binary"
install -m 755 /bin/busybox "$work/root/busybox"
shift
cat >"$work/root/init" <<INIT
#!/busybox sh
b=/busybox
for fs in devtmpfs:dev proc:proc sysfs:sys; do \$b mount -t \${fs%:*} none /\${fs#*:}; done
exec </dev/ttyS0 >/dev/ttyS0 2>&1
\$b stty -opost
\$b dmesg -n 1 # no kernel messages in between
echo; echo BEGIN
\$b env -i HOME=/tmp ${EMULATE_ENV:-} /binary ${*@Q}
printf '\nEXIT %d\n' \$?
\$b sleep 99999 # until the emulator is ended
INIT
chmod 755 "$work/root/init"
(cd "$work/root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/iso/initrd"

# A boot CD.  Bochs 2.7 misreports the size of the compacted XSAVE area, on which Linux turns AVX
# off: hence clearcpuid.
cp "$(find /boot -name 'vmlinuz-*-cloud-amd64' | sort -V | tail -n 1)" "$work/iso/kernel"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$work/iso"
cat >"$work/iso/isolinux.cfg" <<CFG
default /kernel initrd=/initrd console=ttyS0,115200 quiet mitigations=off nokaslr nowatchdog lpj=1000000 random.trust_cpu=on panic=-1 clearcpuid=xsavec,xsaves
CFG
xorriso -as mkisofs -quiet -o "$work/cd.iso" -b isolinux.bin -c boot.cat -no-emul-boot \
    -boot-load-size 4 -boot-info-table "$work/iso" 2>/dev/null

# The machine.  Debian's Bochs waits in its debugger at first, has no display that needs no
# terminal, hence script(1), crashes over a missing sound card, and survives SIGTERM.
cat >"$work/bochsrc" <<RC
cpu: model=corei7_skylake_x, ips=200000000, reset_on_triple_fault=0
memory: guest=512, host=512
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
display_library: term
sound: driver=dummy, waveout=/dev/null, wavein=, midiout=
speaker: enabled=0
clock: sync=none
boot: cdrom
ata0-master: type=cdrom, path=$work/cd.iso, status=inserted
com1: enabled=1, mode=file, dev=$work/serial
log: $work/log
panic: action=fatal
RC
echo continue >"$work/debugger"
touch "$work/serial" "$work/log"
TERM=vt100 script -qefc "echo \$\$ >$work/pid
    exec bochs-bin -q -f $work/bochsrc -rc $work/debugger" /dev/null </dev/null >"$work/out" 2>&1 &
SECONDS=0
until grep -q '^EXIT [0-9]*$' "$work/serial"; do
    kill -0 $! 2>/dev/null || { tail -n 20 "$work"/{log,out} >&2; exit 125; }
    [ "$SECONDS" -lt "${EMULATE_SECONDS:-1500}" ] || { echo "$0: out of time" >&2; break; }
    sleep 0.2
done
sed '1,/^BEGIN$/d; /^EXIT [0-9]*$/,$d' "$work/serial" | sed '${/^$/d}'
code=$(sed -n 's/^EXIT \([0-9]*\)$/\1/p' "$work/serial" | tail -n 1)
exit "${code:-124}"
