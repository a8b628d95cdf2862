"""What is run on a machine to install and remove things, as POSIX shell. Pure texts.

Each is run by `sh -s -- ARGUMENTS` with the text as its input, so that no argument is ever part of
a script, and no path of a bundle is in the shell's own command line.
"""

BEGIN = r"""
prefix=$1 id=$2
[ -x "$prefix/bundles/$id/bin/python" ] && { echo installed; exit 0; }
umask 022
mkdir -p "$prefix/bundles" && : >"$prefix/.umbel" && cd "$prefix/bundles" || exit 1
stat -c %s ".$id.part" 2>/dev/null || echo 0
"""
"""Answers `installed`, or how many bytes of the bundle are there already."""

FINISH = r"""
cd "$1/bundles" || exit 1
id=$2 digest=$3 user=$4
[ "$(sha256sum <".$id.part" | cut -d' ' -f1)" = "$digest" ] || {
  rm -f ".$id.part"; echo "the copy is damaged and was removed" >&2; exit 3
}
give_up() { rm -rf ".$id.new"; exit 4; }
rm -rf ".$id.new" && mkdir ".$id.new" || exit 1
tar -xzf ".$id.part" -C ".$id.new" --no-same-owner || give_up
compiled=$(".$id.new/bin/python" -m compileall -q ".$id.new/lib" 2>&1)  # templates do not compile
case $compiled in *"No space left"*) echo "No space left on device" >&2; give_up ;; esac
".$id.new/bin/python" -c 'import umbel.media.main, umbel.compute.remote.server' || give_up
mv ".$id.new" "$id" && rm -f ".$id.part" || exit 1
[ "$(id -u)" != 0 ] || [ -z "$user" ] || id "$user" >/dev/null 2>&1 || {
  PATH=$PATH:/usr/sbin:/sbin
  useradd --system --no-create-home --home-dir "$1/state/home" --shell /usr/sbin/nologin "$user" &&
    : >"$1/.user"
}
"""
"""Checks, unpacks and tries the copy, and puts it in its place as a whole."""

COLLECT = r"""
cd "$1/bundles" 2>/dev/null || exit 0
for bundle in *; do
  [ "$bundle" != "$2" ] && [ -d "$bundle" ] || continue
  grep -qsaF "$1/bundles/$bundle/" /proc/[0-9]*/cmdline || rm -rf "$bundle"
done
rm -rf .*.new
"""
"""Removes bundles that nothing runs out of, all but the one named."""

UNINSTALL = r"""
[ -e "$1" ] || exit 0
[ -e "$1/.umbel" ] || { echo "$1 was not made by umbel" >&2; exit 3; }
sessions=
for process in /proc/[0-9]*; do
  line=$(tr '\0' ' ' 2>/dev/null <"$process/cmdline") || continue
  case $line in
    "$1/bundles/"*" -m umbel.compute.remote "*) sessions="$sessions ${process#/proc/}" ;;
    "$1/bundles/"*) echo "functions run there" >&2; exit 4 ;;
  esac
done
for session in $sessions; do
  kill "$session" 2>/dev/null
  while [ -e "/proc/$session" ]; do sleep 0.1; done
done
PATH=$PATH:/usr/sbin:/sbin
[ ! -e "$1/.user" ] || userdel "$2" || exit 1
rm -rf "$1"
"""
"""Ends sessions and leaves nothing, unless functions run: status 4."""
