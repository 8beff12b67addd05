# expect: what the scripts of this folder check by. Sourced.
failures=0

# expect CODE TEXT COMMAND...: COMMAND must exit with CODE and print TEXT (a basic regular expression).
expect() {
  code=$1 text=$2
  shift 2
  output=$("$@" 2>&1 </dev/null)
  got=$?
  if [ "$got" != "$code" ] || ! printf '%s\n' "$output" | grep -q -e "$text"; then
    printf 'FAILED (exit code %s, not %s, or no "%s"): %s\n%s\n' "$got" "$code" "$text" "$*" "$output"
    failures=$((failures + 1))
  fi
}

# The script's last line.
conclude() {
  [ $failures = 0 ] && echo 'all as expected'
  exit $((failures != 0))
}
