#!/bin/sh
# header.sh FOLDER - writes rustyray.h to stdout: the parts in the folder, each once, in the order of
# their includes, under a mark with its name. FOLDER/rustyray.h is the frame around them. An include
# of what the folder does not have (stb_ds.h) stays one.
exec awk '
function exists(path,    line, is_there) {
    is_there = (getline line < path) >= 0
    close(path)
    return is_there
}
function simplified(path) { # a/b/../c is a/c
    while (match(path, /[^\/.]+\/\.\.\//))
        path = substr(path, 1, RSTART - 1) substr(path, RSTART + RLENGTH)
    return path
}
function put(line) { # never two empty lines in a row
    if (line != "" || last != "") print line
    last = line
}
function put_all(text,    lines, n, i) {
    n = split(text, lines, "\n")
    for (i = 1; i < n; i++) put(lines[i])
}
# What a part includes comes before it; in the frame, where it is included.
function part(folder, name,    path, line, target, text, is_frame) {
    path = folder name
    if (seen[path]++) return
    is_frame = name !~ /\//
    while ((getline line < path) > 0) {
        target = line
        gsub(/^#include "|".*$/, "", target)
        sub(/[^\/]*$/, "", path)
        target = simplified(path target)
        path = folder name
        if (line == "#pragma once") continue
        if (line !~ /^#include "/ || !exists(target)) text = text line "\n"
        else {
            if (is_frame) put_all(text)
            if (is_frame) text = ""
            part(folder, substr(target, length(folder) + 1))
        }
    }
    close(path)
    if (!is_frame) put_all("\n// >>" substr(name, 1, length(name) - 2) "\n\n")
    put_all(text (is_frame ? "" : "\n"))
}
BEGIN { part(ARGV[1] "/", "rustyray.h") }' "$1"
