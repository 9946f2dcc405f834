#!/usr/bin/env bash
# put, get, delete: what is written is what is read, byte for byte.
. "$(dirname "$0")/cli_lib.sh"

# A value comes back without a newline added.
expect 0 firn put db colour white
expect_out ''
expect 0 firn get db colour
expect_out 'white'
expect 0 firn set db colour blue
expect 0 firn get db colour
expect_out 'blue'

# Absence has a status of its own, and says so.
expect 1 firn get db nothing
expect_out ''
expect_err 'no such key: nothing'

# Escapes are read from the command line.
expect 0 firn put db 'k\x00\t\n\r\\\xff' 'v\0\x01\xfe\\'
expect 0 firn get db 'k\0\x09\x0a\x0D\x5c\xFF'
expect_out 'v\000\001\376\\'
expect 0 firn scan db --prefix 'k\0'
expect_out 'k\\0\\t\\n\\r\\\\\\xff\tv\\0\\x01\\xfe\\\\\n'
expect 2 firn put db 'bad\q' v
expect_err 'backslash'
expect 2 firn put db 'bad\x4' v
expect 2 firn put db k 'ends with \'

# --raw leaves backslashes alone.
expect 0 firn put --raw db 'c:\new' 'd:\table'
expect 0 firn get db 'c:\\new'
expect_out 'd:\\table'
expect 0 firn delete --raw db 'c:\new'
expect 1 firn get db 'c:\\new'

# The empty key and the empty value are ordinary.
expect 0 firn put db '' ''
expect 0 firn get db ''
expect_out ''
expect 0 firn put db '' something
expect 0 firn get db ''
expect_out 'something'
expect 0 firn del db ''
expect 1 firn get db ''

# Every byte there is, through standard input and through a file.
awk 'BEGIN { for (i = 0; i < 256; i++) printf "\\x%02x", i }' >all.escaped
printf '%b' "$(cat all.escaped)" >all.bytes
[ "$(wc -c <all.bytes)" -eq 256 ] || fail 'the test could not make its 256 bytes'
firn put db all - <all.bytes || fail 'put from stdin'
firn get db all >all.back || fail 'get'
same all.bytes all.back 'all bytes through stdin'
expect 0 firn put db all2 --file all.bytes
firn get db all2 >all.back || fail 'get'
same all.bytes all.back 'all bytes through a file'
expect 0 firn put db "$(cat all.escaped)" "$(cat all.escaped)"
firn get db "$(cat all.escaped)" >all.back || fail 'get by a key of all bytes'
same all.bytes all.back 'all bytes typed'
expect 0 firn get db all --format hex
[ "$(wc -c <out)" -eq 513 ] || fail 'hex of 256 bytes is 512 digits and a newline'
expect 0 firn get db all --format text
expect 0 firn put db again "$(cat out)"
firn get db again >all.back
same all.bytes all.back 'text that was shown and typed back in'

# Readable text stays readable, text that would confuse a terminal does not.
expect 0 firn put db köln 'grüße 雪\x1b[2J\xe2\x80\xae'
expect 0 firn scan db --prefix köln
expect_out 'köln\tgrüße 雪\\x1b[2J\\xe2\\x80\\xae\n'

# Large values: 5 MiB, and their size is what it was.
head -c 5242880 /dev/urandom >large
expect 0 firn put db large --file large
firn get db large >large.back || fail 'get of a large value'
same large large.back 'a large value'
firn get db large | head -c 10 >ten || fail 'get into head'
[ "$(wc -c <ten)" -eq 10 ] || fail 'head got its ten bytes'

# Words after -- are never options; option words may stand anywhere.
expect 0 firn put db -- -key -value
expect 0 firn get db -- -key
expect_out '-value'
expect 2 firn get db -key
expect 0 firn put --sync db synced yes
expect 0 firn put -o durability=every-commit db k2 v2 --sync
expect 0 firn delete db synced k2 never-there
expect 1 firn get db k2

# Too large is refused by name, and the database goes on.
printf 'k%.0s' {1..65536} >long.key
expect 3 firn put db "$(cat long.key)" v
expect_err 'TOO_LARGE'
printf 'k%.0s' {1..65535} >long.key
expect 0 firn put db "$(cat long.key)" v
expect 0 firn get db "$(cat long.key)"
expect_out 'v'

# Several keys at once: a line each, and a missing one does not hide the others.
expect 0 firn put db m1 one
expect 0 firn put db m2 two
expect 0 firn get db m2 m1
expect_out 'two\none\n'
expect 1 firn get db m1 nowhere m2
expect_out 'one\ntwo\n'
expect_err 'no such key: nowhere'

# What a read does.
expect 0 firn flush db
expect 0 firn explain db m1
grep -q 'memtable' out || fail 'explain names the memtable'
grep -q 'L[0-9] table .* value' out || fail 'explain names the table'
expect 0 firn explain db m1 --json
grep -q '"verdict":"value".*"status":"OK"' out || fail 'explain as JSON'
expect 1 firn explain db nowhere
expect 0 firn put db m1 again
expect 0 firn delete db m1
expect 1 firn explain db m1
grep -q 'skipped 0 newer and 1 older versions (0 tombstones)' out || fail 'explain counts versions'
grep -q ' 1 version skipped (0 tombstones)' out || fail 'explain sums up what was skipped'
echo "ok"
