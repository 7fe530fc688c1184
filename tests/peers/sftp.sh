#!/usr/bin/env bash
# SFTP drop box of a clearinghouse: Debian's OpenSSH (BSD), key sign-in as the user who starts it.
# Usage: sftp.sh start|stop|env     SFTP_PORT=8122 (0: any free one)
# Needs Debian's openssh-server: root gets it by itself, anyone else must have it. Files: SFTP_HOME/{inbound,outbound}
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
needs() { [ -x /usr/sbin/sshd ] || debian openssh-server; }
peer sftp "${1:-start}"
port SFTP_PORT 8122
case $run in *" "*) die "sshd takes no folder with a blank in its name: set PEERS_RUN to another" ;; esac
needs
user=$(id -un) pam=no
if [ "$(id -u)" = 0 ]; then  # sshd wants its folder; without PAM it refuses an account whose password is locked
  mkdir -p /run/sshd; chmod 755 /run/sshd
  case "$(getent shadow "$user")" in "$user:!"*) pam=yes ;; esac
fi
mkdir -p "$run/home/inbound" "$run/home/outbound"; cd "$run"
[ -e host_key ] || ssh-keygen -q -t ed25519 -N '' -f host_key
[ -e user_key ] || ssh-keygen -q -t ed25519 -N '' -f user_key
echo "[127.0.0.1]:$SFTP_PORT $(cut -d' ' -f1,2 host_key.pub)" > known_hosts
cat > sshd_config <<C
Port $SFTP_PORT
ListenAddress 127.0.0.1
HostKey "$run/host_key"
PidFile none
AuthorizedKeysFile "$run/user_key.pub"
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM $pam
StrictModes no
PermitRootLogin prohibit-password
AllowUsers $user
Subsystem sftp internal-sftp -d $run/home
ForceCommand internal-sftp -d $run/home
C
spawn sshd /usr/sbin/sshd -D -e -f "$run/sshd_config"
ready sshd "127.0.0.1/$SFTP_PORT"
tell SFTP_HOST=127.0.0.1 SFTP_PORT="$SFTP_PORT" SFTP_USER="$user" SFTP_KEY="$run/user_key" SFTP_KNOWN_HOSTS="$run/known_hosts" SFTP_HOME="$run/home"
