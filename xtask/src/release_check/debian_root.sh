# Runs in a fresh root of Debian: installs the package /tmp/glance-notify.deb, tries it and purges it. Then rpm does the
# same with /tmp/glance-notify.rpm.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset LANG LANGUAGE

fail() {
    echo "$*" >&2
    exit 1
}

install() {
    # apt prints warnings about the missing terminal in any case.
    apt-get -qq --yes --no-install-recommends install "$@" >/tmp/apt 2>&1 || fail "$(cat /tmp/apt)"
}

# Everything that bears the name of the package, except for what apt and dpkg keep.
traces() {
    find /etc /usr /var /opt /srv /home /root -xdev -path /var/log/apt -prune -o -path /var/cache -prune \
        -o -path /var/lib/dpkg/lock -prune -o -name '*glance-notify*' -print
    getent passwd glance-notify || true
    getent group glance-notify || true
}

apt-get -qq update
install /tmp/glance-notify.deb
install man-db bash-completion zsh fish logrotate

# The command, for every user, although the configuration is none of their business.
glance-notify --version
for user in root nobody; do
    setpriv --reuid="$user" --clear-groups env HOME=/nonexistent sh -c 'cd / && glance-notify demo | glance-notify timeline debian-12' |
        grep -q image.upload || fail "$user sees no timeline"
done
glance-notify check 2>&1 | grep -q /etc/glance-notify/config.toml || fail "the configuration is not read"
setpriv --reuid=glance-notify --regid=glance-notify --clear-groups glance-notify schema --example |
    setpriv --reuid=glance-notify --regid=glance-notify --clear-groups glance-notify emit ||
    fail "the packaged configuration does not work"
[ "$(wc -l </var/log/glance-notify/notifications.log)" = 11 ] || fail "the log does not hold the notifications"

# The man pages.
for page in /usr/share/man/man1/glance-notify*.1.gz; do
    name=$(basename "$page" .1.gz)
    man --warnings "$name" >/tmp/page 2>/tmp/man-warnings </dev/null || fail "man $name: $(cat /tmp/man-warnings)"
    grep -q SYNOPSIS /tmp/page || fail "man $name shows no page"
    [ ! -s /tmp/man-warnings ] || fail "man $name: $(cat /tmp/man-warnings)"
done

# The completions.
bash -c '. /usr/share/bash-completion/bash_completion
_completion_loader glance-notify
COMP_WORDS=(glance-notify time) COMP_CWORD=1
"$(complete -p glance-notify | grep -o "_glance[a-z_]*")" glance-notify time glance-notify
echo "${COMPREPLY[@]}"' | grep -q timeline || fail "bash completes nothing"
zsh -fc 'autoload -U compinit && compinit -u && print $_comps[glance-notify]' | grep -q _glance-notify ||
    fail "zsh completes nothing"
fish -c 'complete -C "glance-notify time"' | grep -q timeline || fail "fish completes nothing"

# The units, with the man pages that they name.
systemd-analyze verify /usr/lib/systemd/system/glance-notify-* 2>/tmp/units || fail "$(cat /tmp/units)"
! grep glance-notify /tmp/units || fail "a unit is not valid"

# The user, the directories and the configuration.
[ "$(stat -c '%a %U' /var/spool/glance-notify/spool)" = "700 glance-notify" ] || fail "the spool"
[ "$(stat -c '%a %U:%G' /etc/glance-notify/config.toml)" = "640 root:glance-notify" ] || fail "the configuration"
logrotate --debug /etc/logrotate.d/glance-notify 2>/tmp/logrotate || fail "$(cat /tmp/logrotate)"
! grep -i error /tmp/logrotate || fail "logrotate does not take its file"

# An upgrade keeps a changed configuration.
echo '# changed' >>/etc/glance-notify/config.toml
install --reinstall /tmp/glance-notify.deb
grep -q '# changed' /etc/glance-notify/config.toml || fail "an upgrade lost the configuration"
[ "$(stat -c '%a %U:%G' /etc/glance-notify/config.toml)" = "640 root:glance-notify" ] || fail "its owner"

# A removal leaves no link of an enabled unit.
systemctl enable glance-notify-archive.service glance-notify-outbox.path 2>/dev/null
mkdir -p /var/lib/glance-notify/archive
touch /var/lib/glance-notify/archive/2026-11.sqlite /var/spool/glance-notify/outbox/new/1.jsonl
apt-get -qq --yes remove glance-notify >/dev/null
[ -z "$(find /etc/systemd -name 'glance-notify*')" ] || fail "a removal leaves links of units"

# A purge leaves nothing but data, and their owner.
apt-get -qq --yes purge glance-notify >/dev/null
for data in /var/lib/glance-notify/archive/2026-11.sqlite /var/spool/glance-notify/outbox/new/1.jsonl \
    /var/log/glance-notify/notifications.log
do
    [ -e "$data" ] || fail "a purge removed $data"
done
getent passwd glance-notify >/dev/null || fail "a purge removed the owner of data"
[ ! -e /etc/glance-notify ] || fail "a purge leaves the configuration"

# Without data it leaves nothing.
rm -r /var/lib/glance-notify /var/spool/glance-notify/outbox/new/1.jsonl /var/log/glance-notify/notifications.log
install /tmp/glance-notify.deb
apt-get -qq --yes purge glance-notify >/dev/null
[ -z "$(traces)" ] || fail "a purge leaves: $(traces)"

# rpm installs, verifies, upgrades and erases the RPM. Its user stays, as is usual there.
install rpm
rpm --force-debian --nodeps --install /tmp/glance-notify.rpm || fail "rpm installs nothing"
rpm --verify --nodeps glance-notify || fail "rpm finds differences"
[ "$(stat -c '%a %U:%G' /etc/glance-notify/config.toml)" = "640 root:glance-notify" ] || fail "the owner by rpm"
[ "$(stat -c '%a %U' /var/spool/glance-notify/spool)" = "700 glance-notify" ] || fail "the spool by rpm"
echo '# changed' >>/etc/glance-notify/config.toml
rpm --force-debian --nodeps --upgrade --replacepkgs /tmp/glance-notify.rpm || fail "rpm upgrades nothing"
grep -q '# changed' /etc/glance-notify/config.toml || fail "rpm lost the configuration"
rpm --force-debian --erase glance-notify || fail "rpm erases nothing"
[ ! -e /usr/bin/glance-notify ] || fail "rpm leaves the command"
