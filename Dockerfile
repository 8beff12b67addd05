# An image with Tutti's library and programs, on Debian 12. The second stage has only what is needed to run.
#
#   docker build -t tutti .
#   docker run --rm tutti tutti-run -n 2 /usr/libexec/tutti/all_reduce_perf -b 8 -e 1M -f 8
#
# Not tried with Docker itself. Tried by hand were the commands of the first stage, in a copy of the tree on Debian 12, and those
# of the second, in a bare Debian 12 (debootstrap's minbase) in a folder: the AllReduce ran there, over shared memory and over UCX.
#
# The image has no tutti-cluster, which needs Python and rights that containers lack, no header and no man pages.
FROM debian:12 AS build
WORKDIR /tutti
COPY . .
RUN tools/setup.sh -Dprefix=/usr -Dtests=disabled -Dpeers=disabled -Ducx=enabled \
 && ninja -C build \
 && meson install -C build --no-rebuild --tags runtime --destdir /image \
 && rm /image/usr/bin/tutti-cluster

FROM debian:12
RUN apt-get update \
 && apt-get install -y --no-install-recommends libhwloc15 libsodium23 libucx0 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /image /
RUN ldconfig && tutti-run -n 2 /usr/libexec/tutti/all_reduce_perf -b 8 -e 1M -f 8
CMD ["tutti-info"]
