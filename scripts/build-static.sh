#!/usr/bin/env bash
# Builds a fully static cogclip for x86_64-unknown-linux-musl, of the release profile and every default feature:
#
#     scripts/build-static.sh [--std rustup|source] [--features LIST]
#
# `--std rustup` adds rustup's prebuilt standard library; `source` compiles it of Debian's package rust-src of exactly this rustc's
# version, where rustup's server is out of reach. Without the option the second is tried where the first fails.
# `--features` are added to the default ones.
# Takes cargo and a C compiler; musl-tools, which compiles the parts that are C, is installed through apt if missing.
# Writes to the target folder, and for `source` to ~/.cache/cogclip; the last line printed is `static: PATH, N bytes`.
set -euo pipefail
cd "$(dirname "$0")/.."

triple=x86_64-unknown-linux-musl
std='' features=''

usage() {
    echo "usage: scripts/build-static.sh [--std rustup|source] [--features LIST]" >&2
    exit 2
}

stop() {
    echo "scripts/build-static.sh: $*" >&2
    exit 1
}

while (($#)); do
    (($# > 1)) || usage
    case $1 in
    --std) std=$2 && [[ $std == rustup || $std == source ]] || usage ;;
    --features) features=$2 ;;
    *) usage ;;
    esac
    shift 2
done

[[ $(uname -sm) == 'Linux x86_64' ]] || stop "builds on x86_64 Linux only, not on $(uname -sm)"

# apt PACKAGE...: installs, and reads the lists of packages first where there are none.
apt() {
    command -v apt-get >/dev/null || stop "$* is missing, and there is no apt-get to install it with"
    local install=(apt-get install -y -qq --no-install-recommends "$@")
    "${install[@]}" >&2 || { apt-get update -qq >&2 && "${install[@]}" >&2; } || stop "apt-get could not install $*"
}

command -v musl-gcc >/dev/null || apt musl-tools

sysroot=$(rustc --print sysroot)

# Succeeds if this rustc has the target's prebuilt standard library, or rustup could fetch it.
add_target() {
    [[ -d $sysroot/lib/rustlib/$triple/lib ]] && return
    command -v rustup >/dev/null && rustup target add "$triple" >&2 && [[ -d $sysroot/lib/rustlib/$triple/lib ]]
}

# Fetches Debian's rust-src of this rustc's version and unpacks it; sets $source. The apt configuration is its own, so that
# nothing of the system changes. Kept, since backports drop versions.
fetch_source() {
    local version mirror key folder suite found
    version=$(rustc -vV | sed -n 's/^release: //p')
    folder=${XDG_CACHE_HOME:-$HOME/.cache}/cogclip/rust-src-$version
    source=$folder/root/usr/src/rustc-$version
    [[ -e $folder/complete ]] && return
    command -v apt-get >/dev/null || stop "the source of std $version comes through apt-get, which is missing"
    # The machine's own mirror of Debian, whatever suite it takes from there.
    mirror=$(apt-get indextargets --format '$(SITE) $(REPO_URI)' 'Created-By: Packages' |
        awk '{ print $2 }' | grep -E '/debian/?$' | head -1) || true
    [[ -n $mirror ]] || mirror=http://deb.debian.org/debian/
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ -e $key ]] || apt debian-archive-keyring
    rm -rf "$folder"
    mkdir -p "$folder"/{lists/partial,archives/partial,root}
    for suite in stable-backports stable testing unstable; do
        echo "deb [signed-by=$key] $mirror $suite main"
    done >"$folder/sources.list"
    : >"$folder/status"
    # Inherits how the mirror is reached, nothing else.
    private() {
        "$@" -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null \
            -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State::Lists="$folder/lists" -o Dir::State::Status="$folder/status" \
            -o Dir::Cache="$folder" -o Dir::Cache::Archives="$folder/archives" -o APT::Sandbox::User=root -o APT::Architecture=amd64
    }
    private apt-get -qq update >&2 || stop "apt-get could not read the lists of $mirror"
    # An epoch or a revision may stand around it: 1.95.0+dfsg1-2~bpo13+1.
    found=$(private apt-cache madison rust-src |
        awk -v v="$version" 'index($3, v "+") == 1 || index($3, v "-") == 1 { found = found ? found : $3 } END { print found }')
    [[ -n $found ]] || stop "Debian has no rust-src $version; it has $(private apt-cache madison rust-src | awk '{ printf "%s ", $3 }')"
    (cd "$folder/archives" && private apt-get download -qq "rust-src=$found" >&2) || stop "apt-get could not download rust-src $found"
    dpkg -x "$folder"/archives/rust-src_*.deb "$folder/root"
    [[ -e $source/library/std/Cargo.toml ]] || stop "rust-src $found holds no ${source#"$folder"/root}/library/std"
    rm -rf "$folder"/{lists,archives}
    touch "$folder/complete"
}

if [[ -z $std ]]; then
    if add_target; then std=rustup; else std=source; fi
elif [[ $std == rustup ]]; then
    add_target || stop "rustup could not add $triple; --std source compiles the standard library instead"
fi
echo "standard library: $std; features: default${features:+,$features}"

build=(--locked --release --target "$triple" --bin cogclip)
[[ -z $features ]] || build+=(--features "$features")
flags=(-C target-feature=+crt-static)
export CC_x86_64_unknown_linux_musl=musl-gcc

if [[ $std == source ]]; then
    fetch_source
    # cargo looks for std's source nowhere else. A link of ours is taken away again.
    link=$sysroot/lib/rustlib/src/rust
    if [[ ! -e $link/library/std ]]; then
        mkdir -p "${link%/*}"
        ln -sfn "$source" "$link"
        trap 'rm -f "$link"' EXIT
    fi
    lib=$(realpath -m "${CARGO_TARGET_DIR:-target}/static-lib")
    mkdir -p "$lib"
    # Debian's libgcc_eh.a is glibc's and asks for its _dl_find_object; nothing unwinds with `panic = "abort"`.
    echo 'int _dl_find_object(void *a, void *b) { return -1; }' | musl-gcc -O2 -w -x c -c - -o "$lib/find.o"
    cp "$(gcc -print-file-name=libgcc_eh.a)" "$lib/libunwind.a"
    ar r "$lib/libunwind.a" "$lib/find.o"
    # A position that may change would need crt files that musl-tools lacks: the file would name an interpreter that an
    # empty root has not.
    flags+=(-C relocation-model=static -C link-self-contained=no -C link-arg=-lgcc -L "native=$lib")
    export RUSTC_BOOTSTRAP=1 CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=musl-gcc
    build+=(-Z build-std=std,panic_abort)
fi
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS="${flags[*]}"

bin=${CARGO_TARGET_DIR:-target}/$triple/release/cogclip
cargo build "${build[@]}"

# What `ldd` does not show: an interpreter, which would be looked for when the file starts.
if readelf -lW "$bin" | grep -q INTERP; then
    stop "$bin names an interpreter: it is not fully static"
fi
echo "static: $bin, $(stat -c %s "$bin") bytes"
