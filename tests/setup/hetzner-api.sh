# Sourced: asks the Hetzner simulator that HCLOUD_ENDPOINT and HCLOUD_TOKEN lead to, without any other program.
# shellcheck shell=bash
simulator() { # METHOD PATH [JSON]: one request to the simulator, whose reply is printed
  local host=${HCLOUD_ENDPOINT#http://}; host=${host%/v1}
  exec 3<>"/dev/tcp/${host/:/\/}"
  printf '%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
    "$1" "$2" "$host" "$HCLOUD_TOKEN" "${#3}" "$3" >&3
  sed '1,/^\r$/d' <&3
  exec 3<&-
}
