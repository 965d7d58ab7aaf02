#!/usr/bin/env bash
# Installs what the comparisons in test/real/ need and this machine lacks: nginx, where apt-get can do it as root. The
# package's own service is not started. Elsewhere it does nothing, and those tests say why they are skipped.
set -u
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
PATH=$PATH:/usr/sbin
command -v nginx >/dev/null && exit 0
export DEBIAN_FRONTEND=noninteractive
# Packages start their services unless this file says that they must not.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
{ apt-get update && apt-get install -y --no-install-recommends nginx; } >/dev/null 2>&1
exit 0
